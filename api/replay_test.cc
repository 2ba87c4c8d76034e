// Programs under RayConfig::schedule_seed: the same seed runs the same again.
#include <ray/api.h>
#include <sched.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace {

std::string events;  // under a seed one thread runs at a time

int Say(int x) {
  events += "t" + std::to_string(x) + " ";
  return x;
}

class Speaker {
 public:
  static Speaker* Create(int number) { return new Speaker(number); }
  explicit Speaker(int number) : number_(number) {}
  ~Speaker() { events += "~" + std::to_string(number_) + " "; }
  int Speak(int x) {
    events += std::to_string(number_) + ":" + std::to_string(x) + " ";
    return *ray::Get(ray::Task(Say).Remote(x));
  }
  int Ask(ray::ActorHandle<Speaker> other, int x) { return *ray::Get(other.Task(&Speaker::Speak).Remote(x)); }

 private:
  const int number_;
};

int Conversation(std::vector<ray::ActorHandle<Speaker>> speakers, int x) {
  const auto& one = speakers[x % speakers.size()];
  const auto& other = speakers[(x + 1) % speakers.size()];
  return x % 2 == 0 ? *ray::Get(one.Task(&Speaker::Speak).Remote(x))
                    : *ray::Get(other.Task(&Speaker::Ask).Remote(one, x));
}

void KillOne(std::vector<ray::ActorHandle<Speaker>> speakers) { speakers[0].Kill(false); }

RAY_REMOTE(Say, Conversation, KillOne);
RAY_REMOTE(Speaker::Create, &Speaker::Speak, &Speaker::Ask);

struct Replay {
  explicit Replay(std::uint64_t seed) {
    events.clear();
    ray::RayConfig config;
    config.schedule_seed = seed;
    ray::Init(config);
    std::vector<ray::ActorHandle<Speaker>> speakers;
    for (int i = 0; i < 4; ++i) speakers.push_back(ray::Actor(Speaker::Create).SetMaxRestarts(-1).Remote(i));
    std::vector<ray::ObjectRef<int>> results;
    for (int i = 0; i < 10; ++i) results.push_back(ray::Task(Conversation).Remote(speakers, 2 * i));
    auto killed = ray::Task(KillOne).Remote(speakers);
    ray::Wait(results, 5, 60'000);
    ray::Get(killed);
    speakers.clear();
    // Queued and running when the runtime ends.
    for (int i = 0; i < 5; ++i) results.push_back(ray::Task(Say).Remote(100 + i));
    ray::Shutdown();
    trace = ray::ScheduleTrace();
    said = events;
  }
  std::uint64_t trace = 0;
  std::string said;
};

TEST(Replay, ASeedRunsTheSameAgainToTheEndOfShutdown) {
  std::set<std::uint64_t> traces;
  std::set<std::string> said;
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    const Replay first(seed), second(seed);
    EXPECT_EQ(first.said, second.said) << "seed " << seed;
    EXPECT_EQ(first.trace, second.trace) << "seed " << seed;
    traces.insert(first.trace);
    said.insert(first.said);
  }
  EXPECT_EQ(traces.size(), 30u);
  EXPECT_GT(said.size(), 25u) << "the seed does not decide on the order";
}

TEST(Replay, ShutdownEndsTheOldestActorFirstWhereverTheyLie) {
  ray::RayConfig config;
  config.schedule_seed = 1;
  ray::Init(config);
  std::vector<ray::ActorHandle<Speaker>> speakers;
  for (int i = 0; i < 8; ++i) speakers.push_back(ray::Actor(Speaker::Create).Remote(i));
  for (const auto& speaker : speakers) ray::Get(speaker.Task(&Speaker::Speak).Remote(1));
  events.clear();
  ray::Shutdown();
  EXPECT_EQ(events, "~0 ~1 ~2 ~3 ~4 ~5 ~6 ~7 ");
}

TEST(Replay, TimeJumpsOnceNobodyCanGoOn) {
  const auto before = std::chrono::steady_clock::now();
  ray::RayConfig config;
  config.schedule_seed = 1;
  ray::Init(config);
  auto speaker =
      ray::Actor(Speaker::Create).SetRestartPolicy({.max_restarts = 1, .backoff = std::chrono::hours(2)}).Remote(1);
  EXPECT_EQ(*ray::Get(speaker.Task(&Speaker::Speak).Remote(1)), 1);
  speaker.Kill(false);
  auto later = speaker.Task(&Speaker::Speak).Remote(2);
  EXPECT_THROW(ray::Get(later, 3'600'000), ray::RayTimeoutException);
  EXPECT_EQ(*ray::Get(later), 2);
  ray::Shutdown();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::minutes(1));
}

TEST(Replay, ThereIsNoTraceWithoutASeedAndTheProcessorsAreGivenBack) {
  cpu_set_t before, after;
  ASSERT_EQ(sched_getaffinity(0, sizeof(before), &before), 0);
  Replay seeded(1);
  ASSERT_EQ(sched_getaffinity(0, sizeof(after), &after), 0);
  EXPECT_TRUE(CPU_EQUAL(&before, &after));
  ray::Init();
  EXPECT_EQ(ray::ScheduleTrace(), 0u);
  ray::Shutdown();
  EXPECT_EQ(ray::ScheduleTrace(), 0u);
}

}  // namespace
