"""A test that compares what files include with what their targets depend on.

Bazel cannot do it: headers of /usr/include need no dependency, and those of indirect dependencies are readable too.
"""

_CcIncludesInfo = provider(fields = ["record", "files"])

def _files(rule, attributes):
    files = []
    for attribute in attributes:
        for target in getattr(rule.attr, attribute, []):
            files += target.files.to_list()
    return files

def _include_aspect_impl(target, ctx):
    own = _files(ctx.rule, ["srcs", "hdrs", "textual_hdrs"])
    deps = []
    for dep in getattr(ctx.rule.attr, "deps", []):
        headers = []
        if CcInfo in dep:
            context = dep[CcInfo].compilation_context
            headers = [
                header.short_path
                for header in context.direct_public_headers + context.direct_textual_headers
            ]
        deps.append(struct(label = str(dep.label), headers = headers))
    return [_CcIncludesInfo(
        files = own,
        record = struct(
            label = str(target.label),
            files = [file.short_path for file in own],
            deps = deps,
        ),
    )]

_include_aspect = aspect(implementation = _include_aspect_impl)

def _include_check_test_impl(ctx):
    manifest = ctx.actions.declare_file(ctx.label.name + ".json")
    ctx.actions.write(manifest, json.encode([target[_CcIncludesInfo].record for target in ctx.attr.targets]))
    script = ctx.actions.declare_file(ctx.label.name + ".sh")
    ctx.actions.write(
        script,
        "#!/bin/sh\nexec python3 %s %s\n" % (ctx.file._checker.short_path, manifest.short_path),
        is_executable = True,
    )
    files = [manifest, ctx.file._checker]
    for target in ctx.attr.targets:
        files += target[_CcIncludesInfo].files
    return [DefaultInfo(executable = script, runfiles = ctx.runfiles(files = files))]

include_check_test = rule(
    implementation = _include_check_test_impl,
    doc = "Fails on an include of a header that neither the target itself nor one of its direct dependencies offers.",
    test = True,
    attrs = {
        "targets": attr.label_list(mandatory = True, aspects = [_include_aspect]),
        "_checker": attr.label(allow_single_file = True, default = "//checks:include_check.py"),
    },
)
