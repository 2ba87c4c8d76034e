#include "ray/api/init_options.h"

#include <cstdlib>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace ray::internal {
namespace {

absl::StatusOr<RayConfig> ResolveArgs(std::vector<std::string> args, RayConfig config = {}) {
  std::vector<char*> argv{const_cast<char*>("program")};
  for (std::string& arg : args) argv.push_back(arg.data());
  std::vector<std::string> warnings;
  absl::StatusOr<RayConfig> resolved = Resolve(config, static_cast<int>(argv.size()), argv.data(), warnings);
  if (resolved.ok()) {
    for (const std::string& warning : warnings) resolved->head_args.push_back(warning);
  }
  return resolved;
}

class InitOptions : public ::testing::Test {
 protected:
  void SetUp() override {
    unsetenv("RAY_ENGINE");
    unsetenv("RAY_ADDRESS");
  }
  void TearDown() override { SetUp(); }
};

TEST_F(InitOptions, FlagsWinOverTheConfigAndLeaveTheRest) {
  RayConfig config;
  config.threads = 3;
  config.ray_namespace = "mine";
  const auto resolved = ResolveArgs({"other", "--ray_threads=5", "--ray_engine", "EMBEDDED"}, config);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->threads, 5);
  EXPECT_EQ(resolved->ray_namespace, "mine");
  EXPECT_EQ(*PickEngine(*resolved), Engine::kEmbedded);
}

TEST_F(InitOptions, ABadFlagIsNamedWithWhatItTakes) {
  EXPECT_EQ(ResolveArgs({"--ray_threads=many"}).status().message(),
            "--ray_threads takes a whole number, 0 for as many as processors, but 'many' was given");
  EXPECT_EQ(ResolveArgs({"--ray_threads"}).status().message(),
            "--ray_threads takes a whole number, 0 for as many as processors, but nothing was given");
  EXPECT_EQ(ResolveArgs({"--ray_schedule_seed=any"}).status().message(),
            "--ray_schedule_seed takes a whole number, but 'any' was given");
  EXPECT_EQ(ResolveArgs({"--ray_schedule_seed=5"})->schedule_seed, 5u);
  EXPECT_EQ(ResolveArgs({"--ray_default_actor_lifetime=forever"}).status().message(),
            "--ray_default_actor_lifetime takes DETACHED or NON_DETACHED, but 'forever' was given");
}

TEST_F(InitOptions, FlagsWithoutEffectAreToldAndFlagsAfterTwoDashesAreNotOurs) {
  const auto resolved = ResolveArgs({"--ray_logging_level=9", "--", "--ray_threads=x"});
  ASSERT_TRUE(resolved.ok());
  EXPECT_EQ(resolved->head_args, std::vector<std::string>{"--ray_logging_level has no effect here"});
}

TEST_F(InitOptions, AnEngineThatIsNotThereIsNamedAndNeverSilentlyAnother) {
  setenv("RAY_ENGINE", "process", 1);
  EXPECT_EQ(PickEngine(*ResolveArgs({})).status().message(),
            "the engine 'process' is not there in this build: only 'embedded' is");
  EXPECT_EQ(*PickEngine(*ResolveArgs({"--ray_engine=embedded"})), Engine::kEmbedded);
  unsetenv("RAY_ENGINE");
  setenv("RAY_ADDRESS", "10.0.0.1:6379", 1);
  EXPECT_EQ(PickEngine(*ResolveArgs({})).status().message(),
            "the engine 'ray' (for the address '10.0.0.1:6379') is not there in this build: only 'embedded' is");
  EXPECT_EQ(PickEngine(*ResolveArgs({"--ray_engine=spark"})).status().message(),
            "'spark' is no engine: there are embedded, process and ray");
}

TEST_F(InitOptions, LocalModeIsEmbeddedWhateverTheEnvironment) {
  setenv("RAY_ENGINE", "process", 1);
  setenv("RAY_ADDRESS", "auto", 1);
  RayConfig config;
  config.local_mode = true;
  EXPECT_EQ(*PickEngine(*ResolveArgs({}, config)), Engine::kEmbedded);
}

TEST_F(InitOptions, NumbersOutOfRangeAreNamed) {
  RayConfig config;
  config.threads = -1;
  EXPECT_EQ(ResolveArgs({}, config).status().message(), "RayConfig::threads must be 0 or more, but it is -1");
  config.threads = 0;
  config.max_threads = 0;
  EXPECT_EQ(ResolveArgs({}, config).status().message(), "RayConfig::max_threads must be 1 or more, but it is 0");
}

TEST_F(InitOptions, DifferencesNameFieldsAndBothValues) {
  RayConfig a, b;
  EXPECT_EQ(Differences(a, b), "");
  b.threads = 4;
  b.ray_namespace = "n";
  EXPECT_EQ(Differences(a, b), "threads (0, now 4), ray_namespace ('', now 'n')");
}

}  // namespace
}  // namespace ray::internal
