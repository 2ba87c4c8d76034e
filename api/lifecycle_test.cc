#include <ray/api.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "api/thrown.h"
#include "gtest/gtest.h"

namespace {

using ray::Thrown;

int Echo(int x) { return x; }
std::atomic<bool> running{false};
std::atomic<bool> release{false};
int Stubborn() {
  running.store(true);
  while (!release.load()) std::this_thread::yield();
  return 1;
}
int Obedient() {
  running.store(true);
  while (!ray::CancelToken::Current().cancelled()) std::this_thread::yield();
  return 1;
}
RAY_REMOTE(Echo, Stubborn, Obedient);

TEST(Lifecycle, CallsBeforeInitSayWhatIsMissing) {
  EXPECT_FALSE(ray::IsInitialized());
  const std::string expected = "ray::Init was not called: call it before anything else of ray::";
  EXPECT_EQ(Thrown([] { ray::Put(1); }), expected);
  EXPECT_EQ(Thrown([] { ray::Task(Echo); }), expected);
  EXPECT_EQ(Thrown([] { ray::Get(ray::ObjectRef<int>()); }), expected);
  EXPECT_EQ(Thrown([] { ray::Wait(std::vector<ray::ObjectRef<int>>(1), 1, 0); }), expected);
  EXPECT_EQ(Thrown([] { ray::DumpWaits(); }), expected);
  ray::Shutdown();  // nothing to do
}

TEST(Lifecycle, ComesAndGoesAnyNumberOfTimes) {
  for (int i = 0; i < 100; ++i) {
    ray::Init();
    EXPECT_TRUE(ray::IsInitialized());
    EXPECT_EQ(*ray::Get(ray::Task(Echo).Remote(i)), i);
    ray::Shutdown();
    EXPECT_FALSE(ray::IsInitialized());
  }
  EXPECT_EQ(Thrown([] { ray::Put(1); }), "ray::Shutdown was called: call ray::Init again first");
}

TEST(Lifecycle, ASecondInitChangesNothingAndNamesWhatItWouldHave) {
  ray::RayConfig config;
  config.threads = 2;
  ray::Init(config);
  config.threads = 3;
  ::testing::internal::CaptureStderr();
  ray::Init(config);
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("threads (2, now 3)"), std::string::npos) << log;
  ray::Shutdown();
}

TEST(Lifecycle, ARefFromBeforeAShutdownSaysSoAndViewsStayValid) {
  ray::Init();
  auto put = ray::Put(std::string("old"));
  auto result = ray::Task(Echo).Remote(1);
  ray::Get(result);
  auto view = ray::View(put);
  ray::Shutdown();
  ray::Init();
  EXPECT_EQ(Thrown([&] { ray::Get(put); }), "the object ref is from before a Shutdown: its runtime is gone");
  EXPECT_EQ(Thrown([&] { ray::Get(result); }), "the object ref is from before a Shutdown: its runtime is gone");
  EXPECT_NE(Thrown([&] { ray::Get(ray::Task(Echo).Remote(result)); }).find("from before a Shutdown"),
            std::string::npos);
  EXPECT_NE(Thrown([&] { ray::Cancel(result); }).find("from before a Shutdown"), std::string::npos);
  EXPECT_EQ(*view, "old");
  ray::Shutdown();
}

TEST(Lifecycle, ShutdownFailsWhatIsQueuedAndAsksWhatRunsToEnd) {
  ray::RayConfig config;
  config.threads = 1;
  ray::Init(config);
  running.store(false);
  auto obedient = ray::Task(Obedient).Remote();
  while (!running.load()) std::this_thread::yield();
  auto queued = ray::Task(Echo).Remote(1);
  std::string what;
  std::atomic<bool> waits{false};
  std::thread waiter([&] {
    waits.store(true);
    what = Thrown([&] { ray::Get(queued, 60'000); });
  });
  while (!waits.load() || ray::DumpWaits().empty()) std::this_thread::yield();
  ray::Shutdown();
  waiter.join();
  EXPECT_TRUE(what.find("shut down") != std::string::npos || what.find("Shutdown") != std::string::npos) << what;
}

TEST(Lifecycle, WhatDoesNotEndIsAbandonedAndNamed) {
  ray::RayConfig config;
  config.shutdown_timeout_ms = 20;
  ray::Init(config);
  running.store(false);
  auto ref = ray::Task(Stubborn).Remote();
  while (!running.load()) std::this_thread::yield();
  ::testing::internal::CaptureStderr();
  ray::Shutdown();
  const std::string log = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(log.find("abandoned 1 task(s)"), std::string::npos) << log;
  EXPECT_NE(log.find("Stubborn"), std::string::npos) << log;
  ray::Init();
  EXPECT_EQ(Thrown([&] { ray::Get(ref); }), "the object ref is from before a Shutdown: its runtime is gone");
  release.store(true);
  ray::Shutdown();
}

TEST(Lifecycle, ShutdownWhileOthersCallIsSafe) {
  for (int round = 0; round < 20; ++round) {
    ray::Init();
    std::atomic<bool> stop{false};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&stop] {
        while (!stop.load(std::memory_order_relaxed)) {
          auto put = ray::TryPut(1);
          auto task = ray::TryTask(Echo);
          if (!put.ok() || !task.ok()) continue;
          auto result = task->TryRemote(*put);
          if (result.ok()) (void)ray::TryGet(*result);
        }
      });
    }
    for (int i = 0; i < 50; ++i) std::this_thread::yield();
    ray::Shutdown();
    stop.store(true);
    for (std::thread& thread : threads) thread.join();
  }
}

TEST(Lifecycle, AfterAForkCallsInTheChildAreErrors) {
  ray::Init();
  auto ref = ray::Put(1);
  ray::Get(ray::Task(Echo).Remote(1));
  const pid_t child = fork();
  if (child == 0) {
    const std::string put = Thrown([] { ray::Put(1); });
    const std::string get = Thrown([&] { ray::Get(ref); });
    const bool right = put.find("forked") != std::string::npos && get.find("forked") != std::string::npos;
    bool own = true;
#if !defined(__SANITIZE_THREAD__)  // which allows no threads after a fork
    ray::Init();
    own = *ray::Get(ray::Task(Echo).Remote(3)) == 3;
    ray::Shutdown();
#endif
    _exit(right && own ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ(*ray::Get(ref), 1);
  ray::Shutdown();
}

TEST(Lifecycle, AnEngineThatIsNotThereIsAnErrorThatNamesIt) {
  setenv("RAY_ENGINE", "process", 1);
  EXPECT_EQ(Thrown([] { ray::Init(); }), "the engine 'process' is not there in this build: only 'embedded' is");
  unsetenv("RAY_ENGINE");
  EXPECT_FALSE(ray::IsInitialized());
}

struct Stays {
  static Stays* Create() { return new Stays; }
  int One() { return 1; }
};
RAY_REMOTE(Stays::Create, &Stays::One);

TEST(Lifecycle, LeavingMainWithoutShutdownIsCleanWhileActorsLive) {
  const auto leave = [] {
    ray::Init();
    for (int i = 0; i < 20; ++i) {
      auto stays = ray::Actor(Stays::Create).SetLifetime(ray::ActorLifetime::DETACHED).Remote();
      ray::Get(stays.Task(&Stays::One).Remote());
    }
    std::exit(7);
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a fresh process: a fork of one with threads may start none
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(7), "");
}

TEST(Lifecycle, LeavingMainWithoutShutdownIsClean) {
  const auto leave = [] {
    ray::Init();
    for (int i = 0; i < 100; ++i) ray::Task(Echo).Remote(i);
    std::exit(7);
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");  // a fresh process: a fork of one with threads may start none
  EXPECT_EXIT(leave(), ::testing::ExitedWithCode(7), "");
}

}  // namespace
