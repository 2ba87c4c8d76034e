"""The task layer's tests, over every object store."""

load("//:layers.bzl", "rustyray_cc_library", "rustyray_cc_test")

# What each test is linked with, by what its name ends in. They define the same function.
_STORES = {
    "": ":memory_store_under_test",
    "_on_shm": ":shm_store_under_test",
}

def over_each_store(name, deps):
    """Tests of name.cc over the memory store, as `name`, and over the shared-memory store, as `name`_on_shm.

    Args:
      name: of the tests, and of their source.
      deps: of the source.
    """
    rustyray_cc_library(
        name = name + "_cases",
        testonly = True,
        srcs = [name + ".cc"],
        visibility = ["//visibility:private"],
        deps = deps,
        alwayslink = True,
    )
    for ending, store in _STORES.items():
        rustyray_cc_test(
            name = name + ending,
            deps = [
                ":%s_cases" % name,
                store,
                "@com_google_googletest//:gtest_main",
            ],
        )
