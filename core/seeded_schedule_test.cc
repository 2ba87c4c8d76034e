#include "core/seeded_schedule.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/executor.h"
#include "core/parker.h"
#include "core/thread_pool.h"
#include "gtest/gtest.h"

namespace rustyray::core {
namespace {

using std::chrono::hours;

struct Work final : Runnable {
  explicit Work(std::function<void()> body) : body(std::move(body)) {}
  void RunScheduled() override { body(); }
  void DiscardScheduled() override { ++discarded; }
  std::string_view ScheduledName() const override { return "Work"; }
  const std::function<void()> body;
  int discarded = 0;
};

// Eight pieces of work that each wait for the one after, the last for the driver; who did what, in order.
struct Chain {
  explicit Chain(std::uint64_t seed) {
    SeededSchedule schedule(seed);
    const std::shared_ptr<ThreadPool> pool = MakeSeededPool(schedule);
    constexpr int kWorks = 8;
    std::vector<Parker> parkers(kWorks + 1);
    std::vector<std::unique_ptr<Work>> works;
    Parker done;
    for (int i = 0; i < kWorks; ++i) {
      works.push_back(std::make_unique<Work>([&, i] {
        events.push_back("begin " + std::to_string(i));
        while (!schedule.ParkUntil(parkers[i + 1], kNever)) {
        }
        events.push_back("end " + std::to_string(i));
        if (i == 0) done.Unpark();
        parkers[i].Unpark();
      }));
      EXPECT_TRUE(pool->Schedule(*works.back()));
    }
    parkers[kWorks].Unpark();
    while (!schedule.ParkUntil(done, kNever)) {
    }
    EXPECT_TRUE(pool->Stop(kNever).empty());
    trace = schedule.trace();
  }

  std::vector<std::string> events;
  std::uint64_t trace = 0;
};

TEST(SeededSchedule, TheSameSeedGivesTheSameScheduleAndOthersOthers) {
  std::set<std::vector<std::string>> schedules;
  std::set<std::uint64_t> traces;
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    const Chain first(seed), second(seed);
    EXPECT_EQ(first.events, second.events);
    EXPECT_EQ(first.trace, second.trace);
    EXPECT_EQ(first.events.size(), 16u);
    schedules.insert(first.events);
    traces.insert(first.trace);
  }
  EXPECT_EQ(traces.size(), 50u);
  EXPECT_GT(schedules.size(), 45u) << "the seed does not decide on the order";
}

TEST(SeededSchedule, TheTraceIsTheSameInEveryProcessAndBuild) { EXPECT_EQ(Chain(7).trace, 17875884734330751375u); }

TEST(SeededSchedule, TimeJumpsOnceNobodyCanGoOn) {
  SeededSchedule schedule(1);
  const std::shared_ptr<ThreadPool> pool = MakeSeededPool(schedule);
  std::vector<std::string> events;
  Parker never, other;
  Work sleeper([&] {
    EXPECT_FALSE(schedule.ParkUntil(other, Time(hours(2))));
    events.push_back("sleeper");
  });
  struct Alarm : Timer {
    explicit Alarm(std::vector<std::string>& events)
        : Timer([](Timer& self) { static_cast<Alarm&>(self).events.push_back("timer"); }), events(events) {}
    std::vector<std::string>& events;
  } alarm(events);
  schedule.Arm(alarm, Time(hours(1)));
  EXPECT_TRUE(pool->Schedule(sleeper));
  EXPECT_FALSE(schedule.ParkUntil(never, Time(hours(3))));
  EXPECT_EQ(schedule.Now(), Time(hours(3)));
  EXPECT_EQ(events, (std::vector<std::string>{"timer", "sleeper"}));
  EXPECT_FALSE(schedule.ParkUntil(never, Time(hours(3)))) << "a deadline that has passed";
}

TEST(SeededSchedule, StopDiscardsWhatIsQueuedAndNamesWhatDoesNotEnd) {
  // Their threads stay where they are, so what they use stays too.
  auto* const schedule = new SeededSchedule(3);
  static Parker never;
  const std::shared_ptr<ThreadPool> pool = MakeSeededPool(*schedule);
  auto* const stuck = new Work([schedule] {
    while (!schedule->ParkUntil(never, kNever)) {
    }
  });
  EXPECT_TRUE(pool->Schedule(*stuck));
  Parker nobody;
  EXPECT_FALSE(schedule->ParkUntil(nobody, Time(hours(1))));
  Work queued([] { FAIL() << "it was not to run"; });
  EXPECT_TRUE(pool->Schedule(queued));
  EXPECT_EQ(pool->Stop(Time(hours(2))), std::vector<std::string>{"Work"});
  EXPECT_EQ(queued.discarded, 1);
  EXPECT_FALSE(pool->Schedule(queued));
}

TEST(SeededScheduleDeathTest, AScheduleInWhichNobodyCanGoOnSaysWhoWaits) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        SeededSchedule schedule(1);
        const std::shared_ptr<ThreadPool> pool = MakeSeededPool(schedule);
        schedule.set_describe_waits([] { return "thread 1 waits for Godot"; });
        Parker never;
        schedule.ParkUntil(never, kNever);
      },
      "all threads wait for what nobody will do\nthread 1 waits for Godot");
}

TEST(SeededScheduleDeathTest, AThreadThatItDidNotStartIsRefused) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        SeededSchedule schedule(1);
        const std::shared_ptr<ThreadPool> pool = MakeSeededPool(schedule);
        Work work([] {});
        std::thread([&] { pool->Schedule(work); }).join();
      },
      "used by a thread that it did not start");
}

}  // namespace
}  // namespace rustyray::core
