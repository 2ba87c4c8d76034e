"""Debian's Abseil under upstream's labels: one package for each folder, the links from its pkg-config files."""

load("//third_party:system_repository.bzl", "require_system_files")

# Upstream's public targets by package; a value names the pkg-config file where "absl_" + target is not it.
ABSL_TARGETS = {
    "algorithm": {
        "algorithm": "",
        "container": "absl_algorithm_container",
    },
    "base": {
        "base": "",
        "config": "",
        "core_headers": "",
        "dynamic_annotations": "",
        "endian": "",
        "log_severity": "",
        "prefetch": "",
    },
    "cleanup": {"cleanup": ""},
    "container": {
        "btree": "",
        "fixed_array": "",
        "flat_hash_map": "",
        "flat_hash_set": "",
        "inlined_vector": "",
        "node_hash_map": "",
        "node_hash_set": "",
    },
    "debugging": {
        "failure_signal_handler": "",
        "leak_check": "",
        "stacktrace": "",
        "symbolize": "",
    },
    "flags": {
        "commandlineflag": "absl_flags_commandlineflag",
        "config": "absl_flags_config",
        "flag": "absl_flags",
        "marshalling": "absl_flags_marshalling",
        "parse": "absl_flags_parse",
        "reflection": "absl_flags_reflection",
        "usage": "absl_flags_usage",
    },
    "functional": {
        "any_invocable": "",
        "bind_front": "",
        "function_ref": "",
    },
    "hash": {"hash": ""},
    "memory": {"memory": ""},
    "meta": {"type_traits": ""},
    "numeric": {
        "bits": "",
        "int128": "",
    },
    "random": {
        "bit_gen_ref": "absl_random_bit_gen_ref",
        "distributions": "absl_random_distributions",
        "random": "absl_random_random",
        "seed_sequences": "absl_random_seed_sequences",
    },
    "status": {
        "status": "",
        "statusor": "",
    },
    "strings": {
        "cord": "",
        "str_format": "",
        "strings": "",
    },
    "synchronization": {"synchronization": ""},
    "time": {"time": ""},
    "types": {
        "any": "",
        "bad_any_cast": "",
        "bad_optional_access": "",
        "bad_variant_access": "",
        "compare": "",
        "optional": "",
        "span": "",
        "variant": "",
    },
    "utility": {"utility": ""},
}

_HEADERS = """
cc_library(
    name = "{name}",
    linkopts = {linkopts},
    deps = {deps},
)
"""

# Headers need every library that they may call into, a program only those that it calls: where all objects come together
# in one link, the linker finds out which. With --dynamic_mode=default the objects of a cc_test lie in shared libraries,
# which Bazel links without their dependencies, and gold does not look into those for what is needed: then all are.
_LIBRARY = """
cc_library(
    name = "{name}",
    linkopts = select({{
        "//internal:static_links": ["-Wl,--push-state,--as-needed"],
        "//conditions:default": ["-Wl,--push-state,--no-as-needed"],
    }}) + {linkopts} + ["-Wl,--pop-state"],
    deps = {deps},
)
"""

_STATIC_LINKS = """
config_setting(
    name = "static_links",
    values = {"dynamic_mode": "off"},
)
"""

def _pkg_config_directory(rctx):
    for entry in rctx.path("/usr/lib").readdir():
        directory = entry.get_child("pkgconfig")
        if directory.get_child("absl_config.pc").exists:
            return directory
    fail("\n\n@%s: no pkg-config files of Abseil in /usr/lib/*/pkgconfig: reinstall the Debian package libabsl-dev\n" %
         rctx.name)

def _read_module(rctx, path):
    """What a pkg-config file holds: the template of its target, linkopts, required modules."""
    template = _HEADERS
    linkopts = []
    requires = []
    for line in rctx.read(path).split("\n"):
        if line.startswith("Libs:"):
            for word in line[len("Libs:"):].split(" "):
                if word.startswith("-labsl_"):
                    template = _LIBRARY
                if word and not word.startswith("-L"):
                    linkopts.append(word)
        elif line.startswith("Requires:"):
            for requirement in line[len("Requires:"):].split(","):
                requires.append(requirement.strip().split(" ")[0])
    return template, linkopts, [module for module in requires if module]

def _absl_repository_impl(rctx):
    require_system_files(rctx, {"/usr/include/absl/base/config.h": "libabsl-dev"})
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name)

    modules = {}
    for path in _pkg_config_directory(rctx).readdir():
        if path.basename.startswith("absl_") and path.basename.endswith(".pc"):
            modules[path.basename[:-len(".pc")]] = _read_module(rctx, path)

    labels = {}  # By module.
    packages = {"internal": {}}
    for package, targets in ABSL_TARGETS.items():
        packages["absl/" + package] = {}
        for name, module in targets.items():
            module = module or "absl_" + name
            if module in modules:
                labels[module] = "//absl/%s:%s" % (package, name)
                packages["absl/" + package][name] = module
    for module in modules:
        if module not in labels:
            labels[module] = "//internal:" + module
            packages["internal"][module] = module

    for package, targets in packages.items():
        visibility = "//absl:__subpackages__" if package == "internal" else "//visibility:public"
        text = "package(default_visibility = [\"%s\"])\n" % visibility
        if package == "internal":
            text += _STATIC_LINKS
        for name, module in targets.items():
            template, linkopts, requires = modules[module]
            text += template.format(
                name = name,
                linkopts = repr(linkopts),
                deps = repr([labels[required] for required in requires if required in labels]),
            )
        rctx.file(package + "/BUILD.bazel", text)

absl_repository = repository_rule(
    implementation = _absl_repository_impl,
    doc = "The system's Abseil, shared libraries, so that gRPC and we use one and the same.",
    local = True,
)
