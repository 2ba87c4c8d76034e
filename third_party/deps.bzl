"""What a workspace that builds RustyRay must define. See rustyray_dependencies() and rustyray_debian_bazel()."""

load("//third_party:system_repository.bzl", "file_repository", "system_directory_repository", "system_library_repository")
load("//third_party/com_google_absl:repository.bzl", "absl_repository")

def _library(name, requires, links = {}):
    if not native.existing_rule(name):
        system_library_repository(
            name = name,
            build_file = Label("//third_party/%s:%s.BUILD" % (name, name)),
            links = links,
            requires = requires,
        )

def rustyray_dependencies():
    """Defines the libraries RustyRay builds on, from Debian's packages, under upstream's names and labels.

    A repository that the workspace has defined before the call is left as it is. None is looked at before a target
    needs it.
    """
    if not native.existing_rule("com_google_absl"):
        absl_repository(name = "com_google_absl")
    _library("com_google_googletest", {
        "/usr/include/gmock/gmock.h": "libgmock-dev",
        "/usr/include/gtest/gtest.h": "libgtest-dev",
    })
    _library("com_github_google_glog", {"/usr/include/glog/logging.h": "libgoogle-glog-dev"})
    _library("com_github_google_benchmark", {"/usr/include/benchmark/benchmark.h": "libbenchmark-dev"})
    _library("msgpack", {"/usr/include/msgpack.hpp": "libmsgpack-cxx-dev"})
    _library("nlohmann_json", {"/usr/include/nlohmann/json.hpp": "nlohmann-json3-dev"})
    _library("boost", {"/usr/include/boost/callable_traits.hpp": "libboost-dev"})
    _library(
        "com_google_protobuf",
        links = {"/usr/bin/protoc": "protoc"},
        requires = {
            "/usr/bin/protoc": "protobuf-compiler",
            "/usr/include/google/protobuf/message.h": "libprotobuf-dev",
        },
    )
    _library(
        "com_github_grpc_grpc",
        links = {"/usr/bin/grpc_cpp_plugin": "grpc_cpp_plugin"},
        requires = {
            "/usr/bin/grpc_cpp_plugin": "protobuf-compiler-grpc",
            "/usr/include/grpcpp/grpcpp.h": "libgrpc++-dev",
        },
    )

def _directory(name, path, debian_package):
    if not native.existing_rule(name):
        system_directory_repository(name = name, debian_package = debian_package, path = path)

def rustyray_debian_bazel():
    """Defines what Debian's Bazel (bazel-bootstrap) would otherwise fetch from the network.

    Only for Debian's Bazel: others bring these along, in versions that fit them.
    """
    _directory("rules_java", "/usr/share/bazel/rules/java", "bazel-rules-java")
    _directory("rules_proto", "/usr/share/bazel/rules/proto", "bazel-rules-proto")
    _directory("platforms", "/usr/share/bazel/tools/platforms", "bazel-platforms")
    _directory("bazel_skylib", "/usr/share/bazel/tools/skylib", "bazel-skylib")
    if not native.existing_rule("rules_cc"):
        file_repository(
            name = "rules_cc",
            files = {
                Label("//third_party/rules_cc:defs.bzl"): "cc/defs.bzl",
                Label("//third_party/rules_cc:rules_cc.BUILD"): "cc/BUILD.bazel",
            },
        )
    if not native.existing_rule("remote_coverage_tools"):
        file_repository(
            name = "remote_coverage_tools",
            files = {
                Label("//third_party/remote_coverage_tools:nothing.sh"): "nothing.sh",
                Label("//third_party/remote_coverage_tools:remote_coverage_tools.BUILD"): "BUILD.bazel",
            },
        )
