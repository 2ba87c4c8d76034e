"""Tests of the layer diagram in //:layers.bzl."""

load("@bazel_skylib//lib:unittest.bzl", "asserts", "unittest")
load("//:layers.bzl", "DIAGRAM", "layer_violation")

_LAYERS = ["core", "object_store", "ownership", "task", "actor", "runtime", "api"]

def _arrows_never_run_up_test_impl(ctx):
    env = unittest.begin(ctx)
    for i in range(len(_LAYERS)):
        for j in range(len(_LAYERS)):
            siblings = sorted([_LAYERS[i], _LAYERS[j]]) == ["object_store", "ownership"]
            allowed = j <= i and not siblings
            for label in ["//%s:x", "//%s/deeper:x", "//%s", "@rustyray//%s:x", "@//%s:x"]:
                violation = layer_violation(_LAYERS[i], label % _LAYERS[j])
                asserts.equals(env, allowed, violation == None, "%s -> %s" % (_LAYERS[i], label % _LAYERS[j]))
                if violation:
                    asserts.true(env, "layer " + _LAYERS[i] in violation and "layer " + _LAYERS[j] in violation)
                    asserts.true(env, DIAGRAM in violation)
    return unittest.end(env)

_arrows_never_run_up_test = unittest.make(_arrows_never_run_up_test_impl)

def _other_folders_test_impl(ctx):
    env = unittest.begin(ctx)
    asserts.equals(env, None, layer_violation("core/deeper", ":x"))
    asserts.equals(env, None, layer_violation("core/deeper", "//core:x"))
    asserts.equals(env, None, layer_violation("examples", "//core:x"))
    asserts.equals(env, None, layer_violation("benchmarks", "@msgpack//:msgpack"))
    asserts.true(env, "above all layers" in layer_violation("api", "//examples:x"))
    asserts.true(env, "no layer" in layer_violation("core", "//elsewhere:x"))
    asserts.true(env, "no layer" in layer_violation("elsewhere", "//core:x"))
    return unittest.end(env)

_other_folders_test = unittest.make(_other_folders_test_impl)

def _third_party_test_impl(ctx):
    env = unittest.begin(ctx)
    for layer in _LAYERS:
        asserts.equals(env, None, layer_violation(layer, "@com_google_absl//absl/status:statusor"))
        for label in ["@msgpack//:msgpack", "@nlohmann_json//:json", "@boost//:x", "@com_github_google_glog//:glog", "@msgpack"]:
            asserts.equals(env, layer == "api", layer_violation(layer, label) == None, layer + " -> " + label)
        for label in ["@com_github_grpc_grpc//:grpc++", "@com_google_protobuf//:protobuf"]:
            asserts.equals(env, layer == "runtime", layer_violation(layer, label) == None, layer + " -> " + label)
            asserts.equals(env, None, layer_violation(layer + "/rpc", label))
        for label in ["@com_google_googletest//:gtest_main", "@com_github_google_benchmark//:benchmark"]:
            asserts.true(env, layer_violation(layer, label) != None)
            asserts.equals(env, None, layer_violation(layer, label, testonly = True))
    return unittest.end(env)

_third_party_test = unittest.make(_third_party_test_impl)

def layers_test_suite(name):
    unittest.suite(
        name,
        _arrows_never_run_up_test,
        _other_folders_test,
        _third_party_test,
    )
