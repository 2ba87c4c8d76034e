"""A test of what a program holds: symbols and shared libraries that must not be there."""

def symbols_check_test(name, binary, forbid, **kwargs):
    """Fails if a demangled symbol or a needed shared library of a program matches one of the patterns.

    Args:
      name: the name of the test.
      binary: the label of the cc_binary.
      forbid: extended regular expressions, such as ["msgpack", "google::protobuf", "^ray::"].
      **kwargs: passed on to sh_test.
    """
    if not forbid:
        fail("symbols_check_test %s forbids nothing" % name)
    native.sh_test(
        name = name,
        size = "small",
        srcs = ["//checks:symbols_check.sh"],
        args = ["$(rootpath %s)" % binary] + ["'%s'" % pattern.replace("$", "$$") for pattern in forbid],
        data = [binary],
        tags = ["no_sanitizer"] + kwargs.pop("tags", []),
        **kwargs
    )
