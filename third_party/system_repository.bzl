"""Repositories over what the system has installed."""

def require_system_files(rctx, files):
    """Fails unless every file is there.

    Args:
      rctx: the repository context.
      files: a dict from absolute path to the Debian package that holds it.
    """
    for path, package in files.items():
        if not rctx.path(path).exists:
            fail("\n\n@%s needs %s, which is not there: install the Debian package %s (apt-get install %s)\n" % (
                rctx.name,
                path,
                package,
                package,
            ))

def _system_library_repository_impl(rctx):
    require_system_files(rctx, rctx.attr.requires)
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name)
    rctx.symlink(rctx.path(rctx.attr.build_file), "BUILD.bazel")
    for target, link in rctx.attr.links.items():
        rctx.symlink(target, link)

system_library_repository = repository_rule(
    implementation = _system_library_repository_impl,
    doc = "A library of the system under its upstream repository name and labels.",
    local = True,
    attrs = {
        "build_file": attr.label(mandatory = True, allow_single_file = True, doc = "BUILD file of its root package."),
        "links": attr.string_dict(doc = "From a file of the system to its name in the repository."),
        "requires": attr.string_dict(mandatory = True, doc = "From a file that must be there to its Debian package."),
    },
)

def _system_directory_repository_impl(rctx):
    require_system_files(rctx, {rctx.attr.path: rctx.attr.debian_package})
    for entry in rctx.path(rctx.attr.path).readdir():
        rctx.symlink(entry, entry.basename)

system_directory_repository = repository_rule(
    implementation = _system_directory_repository_impl,
    doc = "A Bazel workspace that the system has installed.",
    local = True,
    attrs = {
        "debian_package": attr.string(mandatory = True),
        "path": attr.string(mandatory = True),
    },
)

def _file_repository_impl(rctx):
    rctx.file("WORKSPACE", "workspace(name = \"%s\")\n" % rctx.name)
    for label, name in rctx.attr.files.items():
        rctx.symlink(rctx.path(label), name)

file_repository = repository_rule(
    implementation = _file_repository_impl,
    doc = "A small repository made of files of this one.",
    local = True,
    attrs = {
        "files": attr.label_keyed_string_dict(mandatory = True, allow_files = True),
    },
)
