"""The layers as code. Every C++ target of RustyRay is declared through these macros.

    api -> runtime -> actor -> task -> {object_store, ownership} -> core

An arrow that runs up fails at loading. Visibility cannot do this by itself: a package_group is not visible from another
workspace, and a public target lets every arrow in.
"""

load("//checks:include_check.bzl", "include_check_test")

DIAGRAM = "api -> runtime -> actor -> task -> {object_store, ownership} -> core"

# What each layer may depend on, itself aside.
_BELOW = {
    "core": [],
    "object_store": ["core"],
    "ownership": ["core"],
    "task": ["core", "object_store", "ownership"],
    "actor": ["core", "object_store", "ownership", "task"],
    "runtime": ["core", "object_store", "ownership", "task", "actor"],
    "api": ["core", "object_store", "ownership", "task", "actor", "runtime"],
}

# Folders above the layers: they may depend on anything, no layer on them.
_ABOVE = ["benchmarks", "checks", "docs", "examples"]

_LAYER_CHECKED = "layer_checked"

def _third_party_violation(package, layer, repository, testonly):
    if repository in ("com_google_protobuf", "com_github_grpc_grpc"):
        if layer != "runtime" and "rpc" not in package.split("/"):
            return "only runtime and folders named rpc may depend on @%s" % repository
    elif repository in ("com_google_googletest", "com_github_google_benchmark"):
        if not testonly:
            return "only tests and testonly targets may depend on @%s" % repository
    elif repository in ("msgpack", "nlohmann_json", "boost", "com_github_google_glog"):
        if layer != "api":
            return "layers below api may not depend on @%s" % repository
    return None

def layer_violation(package, dep, testonly = False):
    """Says how a dependency breaks the layers.

    Args:
      package: the package of the target, such as "task/rpc".
      dep: a label as written in the BUILD file: ":x", "//core:x", "@rustyray//core:x" or "@repository//x".
      testonly: whether the target is a test or testonly.

    Returns:
      A message, or None when the dependency is allowed.
    """
    layer = package.split("/")[0]
    if layer in _ABOVE:
        return None
    if layer not in _BELOW:
        return "//%s lies in no layer: %s (or in a folder above them: %s)" % (package, DIAGRAM, ", ".join(_ABOVE))

    repository, separator, path = dep.partition("//")
    if not separator:
        if repository.startswith("@"):
            path = ""
        else:
            return None  # In the same package.
    if repository.startswith("@") and repository != "@" and repository != "@rustyray":
        problem = _third_party_violation(package, layer, repository[1:], testonly)
        return "//%s must not depend on %s: %s" % (package, dep, problem) if problem else None

    other = path.partition(":")[0].split("/")[0]
    if other == layer or other in _BELOW[layer]:
        return None
    if other in _ABOVE:
        return "//%s (layer %s) must not depend on %s: %s lies above all layers: %s" % (
            package,
            layer,
            dep,
            other,
            DIAGRAM,
        )
    if other not in _BELOW:
        return "//%s (layer %s) must not depend on %s, which lies in no layer: %s" % (package, layer, dep, DIAGRAM)
    return "//%s (layer %s) must not depend on %s (layer %s), arrows never run up or sideways: %s" % (
        package,
        layer,
        dep,
        other,
        DIAGRAM,
    )

def _check(name, deps, testonly):
    for dep in deps:
        violation = layer_violation(native.package_name(), str(dep), testonly)
        if violation:
            fail("\n\n%s: %s\n" % (name, violation))

def rustyray_cc_library(name, deps = [], testonly = False, tags = [], **kwargs):
    """A cc_library in the layer of its folder; deps must be a plain list."""
    _check(name, deps, testonly)
    native.cc_library(name = name, deps = deps, testonly = testonly, tags = tags + [_LAYER_CHECKED], **kwargs)

def rustyray_cc_binary(name, deps = [], testonly = False, tags = [], **kwargs):
    """A cc_binary in the layer of its folder; deps must be a plain list."""
    _check(name, deps, testonly)
    native.cc_binary(name = name, deps = deps, testonly = testonly, tags = tags + [_LAYER_CHECKED], **kwargs)

def rustyray_cc_test(name, deps = [], tags = [], size = "small", **kwargs):
    """A cc_test in the layer of its folder; deps must be a plain list. A test that hangs fails after a minute."""
    _check(name, deps, testonly = True)
    native.cc_test(name = name, size = size, deps = deps, tags = tags + [_LAYER_CHECKED], **kwargs)

def package_checks(name = "include_check"):
    """Checks the package's C++ targets; call it at the end of each BUILD file.

    It fails at loading if one was not declared through the macros above, and adds the test :include_check, which compares
    what the targets' files include with what the targets depend on.

    Args:
      name: the name of the test.
    """
    targets = []
    for rule in native.existing_rules().values():
        if rule["kind"] in ("cc_library", "cc_binary", "cc_test"):
            if _LAYER_CHECKED not in rule["tags"]:
                fail("\n\n//%s:%s is a plain %s: declare it through rustyray_%s of //:layers.bzl\n" % (
                    native.package_name(),
                    rule["name"],
                    rule["kind"],
                    rule["kind"],
                ))
            targets.append(":" + rule["name"])
    if targets:
        include_check_test(
            name = name,
            size = "small",
            tags = ["no_sanitizer"],
            targets = targets,
        )
