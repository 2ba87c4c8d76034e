#include "core/clock.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "core/parker.h"
#include "core/testing/seeds.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rustyray::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;

class Alarm final : public Timer {
 public:
  explicit Alarm(std::function<void()> ring)
      : Timer([](Timer& timer) {
          auto& alarm = static_cast<Alarm&>(timer);
          alarm.ring_();
          ++alarm.rang;  // last: whoever waits for it may let the alarm go
        }),
        ring_(std::move(ring)) {}
  std::atomic<int> rang{0};

 private:
  const std::function<void()> ring_;
};

void AwaitRing(const Alarm& alarm, int times = 1) {
  const auto limit = std::chrono::steady_clock::now() + seconds(60);
  while (alarm.rang.load() < times) {
    ASSERT_LT(std::chrono::steady_clock::now(), limit) << "the timer never fired";
    std::this_thread::yield();
  }
}

TEST(SaturatingAdd, NeverOverflows) {
  EXPECT_EQ(SaturatingAdd(Time(), Duration::max()), Time(Duration::max()));
  EXPECT_EQ(SaturatingAdd(Time(seconds(1)), Duration::max()), kNever);
  EXPECT_EQ(SaturatingAdd(kNever, seconds(1)), kNever);
  EXPECT_EQ(SaturatingAdd(Time(seconds(2)), seconds(-1)), Time(seconds(1)));
}

// --- The manual clock.

TEST(ManualClock, FiresInOrderOfTimeAtTheirTimes) {
  ManualClock clock;
  std::vector<int> order;
  const Time start = clock.Now();
  Alarm late([&] {
    order.push_back(20);
    EXPECT_EQ(clock.Now(), start + milliseconds(20));
  });
  Alarm early([&] {
    order.push_back(10);
    EXPECT_EQ(clock.Now(), start + milliseconds(10));
  });
  Alarm never([&] { order.push_back(0); });
  clock.Arm(late, start + milliseconds(20));
  clock.Arm(early, start + milliseconds(10));
  clock.Arm(never, kNever);
  clock.Advance(milliseconds(9));
  EXPECT_THAT(order, ElementsAre());
  clock.Advance(milliseconds(100));
  EXPECT_THAT(order, ElementsAre(10, 20));
  EXPECT_EQ(clock.Now(), start + milliseconds(109));
  EXPECT_FALSE(clock.Cancel(never));
}

TEST(ManualClock, CancelDisarmsAndSaysWhether) {
  ManualClock clock;
  Alarm alarm([] {});
  EXPECT_FALSE(clock.Cancel(alarm));
  clock.Arm(alarm, clock.Now() + milliseconds(1));
  EXPECT_TRUE(clock.Cancel(alarm));
  clock.Advance(milliseconds(2));
  EXPECT_EQ(alarm.rang.load(), 0);
  clock.Arm(alarm, clock.Now());
  clock.Advance(Duration(0));
  EXPECT_EQ(alarm.rang.load(), 1);
  EXPECT_FALSE(clock.Cancel(alarm));
}

TEST(ManualClock, ATimerMayArmItselfAgainAndCancelAnotherInItsFire) {
  ManualClock clock;
  Alarm other([] {});
  Alarm* self = nullptr;
  int left = 3;
  Alarm repeats([&] {
    EXPECT_FALSE(clock.Cancel(*self)) << "it is not armed while it fires";
    if (--left > 0) clock.Arm(*self, clock.Now() + milliseconds(1));
    clock.Cancel(other);
  });
  self = &repeats;
  clock.Arm(repeats, clock.Now() + milliseconds(1));
  clock.Arm(other, clock.Now() + milliseconds(2));
  clock.Advance(milliseconds(10));
  EXPECT_EQ(repeats.rang.load(), 3);
  EXPECT_EQ(other.rang.load(), 0);
}

TEST(ManualClock, AParkedThreadWakesByTokenOrWhenTimeHasCome) {
  ManualClock clock;
  Parker parker;
  parker.Unpark();
  EXPECT_TRUE(clock.ParkUntil(parker, clock.Now() + milliseconds(1)));
  EXPECT_FALSE(clock.ParkUntil(parker, clock.Now())) << "the time has come";
  std::atomic<bool> parked{false};
  std::thread sleeper([&] {
    const Time deadline = clock.Now() + milliseconds(10);
    parked.store(true);
    while (clock.Now() < deadline) clock.ParkUntil(parker, deadline);
  });
  while (!parked.load()) std::this_thread::yield();
  clock.Advance(milliseconds(5));
  clock.Advance(milliseconds(5));
  sleeper.join();
}

// --- The real clock.

// Each is armed from a thread that is not the clock's, mostly when the clock's thread sleeps for good.
TEST(RealClock, FiresTimersArmedWhileNothingElseIs) {
  const std::unique_ptr<Clock> clock = MakeRealClock();
  for (int i = 0; i < 50; ++i) {
    Alarm alarm([] {});
    clock->Arm(alarm, clock->Now() + std::chrono::microseconds(i * 20));
    AwaitRing(alarm);
    clock->Cancel(alarm);
    if (i % 10 == 0) std::this_thread::sleep_for(milliseconds(1));  // until its thread sleeps
  }
}

TEST(RealClock, AnEarlierTimerIsNotHeldUpByALaterOne) {
  const std::unique_ptr<Clock> clock = MakeRealClock();
  Alarm hour([] {}), soon([] {});
  clock->Arm(hour, clock->Now() + std::chrono::hours(1));
  std::this_thread::sleep_for(milliseconds(2));  // until its thread sleeps for that one
  clock->Arm(soon, clock->Now() + milliseconds(1));
  AwaitRing(soon);
  EXPECT_TRUE(clock->Cancel(hour));
  clock->Cancel(soon);
}

TEST(RealClock, CancelWaitsForAFireThatRuns) {
  const std::unique_ptr<Clock> clock = MakeRealClock();
  for (int i = 0; i < 200; ++i) {
    std::atomic<bool> began{false};
    int not_atomic = 0;
    auto alarm = std::make_unique<Alarm>([&] {
      began.store(true);
      for (int spin = 0; spin < 1000; ++spin) began.load();
      ++not_atomic;
    });
    clock->Arm(*alarm, clock->Now());
    while (!began.load()) std::this_thread::yield();
    EXPECT_FALSE(clock->Cancel(*alarm));
    EXPECT_EQ(not_atomic, 1);
    alarm.reset();
  }
}

TEST(RealClock, ArmsAndCancelsRaceAndEachTimerFiresOnceOrIsDisarmed) {
  ForSeeds(Sized(20, 500), [&](std::uint64_t seed) {
    const std::unique_ptr<Clock> clock = MakeRealClock();
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(seed * 3 + t);
        for (int i = 0; i < 100; ++i) {
          Alarm alarm([] {});
          clock->Arm(alarm, clock->Now() + std::chrono::microseconds(random() % 50));
          for (std::uint64_t spin = random() % 5000; spin > 0; --spin) alarm.rang.load();
          const bool disarmed = clock->Cancel(alarm);
          ASSERT_EQ(alarm.rang.load(), disarmed ? 0 : 1);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  });
}

TEST(RealClock, ParkUntilReturnsAtTheDeadlineWithoutAToken) {
  const std::unique_ptr<Clock> clock = MakeRealClock();
  Parker parker;
  const Time deadline = clock->Now() + milliseconds(2);
  EXPECT_FALSE(clock->ParkUntil(parker, deadline));
  EXPECT_GE(clock->Now(), deadline);
  EXPECT_FALSE(clock->ParkUntil(parker, clock->Now() - seconds(1)));
  parker.Unpark();
  EXPECT_TRUE(clock->ParkUntil(parker, clock->Now() - seconds(1))) << "a token counts also when it is late";
}

TEST(ManualClock, TimersOfOneTimeFireInTheOrderInWhichTheyWereArmedWhereverTheyLie) {
  struct Numbered final : Timer {
    Numbered() : Timer([](Timer& timer) { static_cast<Numbered&>(timer).fired->push_back(&timer); }) {}
    std::vector<const Timer*>* fired = nullptr;
  };
  ManualClock clock;
  std::vector<const Timer*> fired;
  Numbered timers[4];
  for (const int i : {2, 3, 0, 1}) {
    timers[i].fired = &fired;
    clock.Arm(timers[i], Time(Duration(10)));
  }
  EXPECT_TRUE(clock.Cancel(timers[3]));
  clock.Arm(timers[3], Time(Duration(10)));
  clock.Advance(Duration(10));
  EXPECT_EQ(fired, (std::vector<const Timer*>{&timers[2], &timers[0], &timers[1], &timers[3]}));
}

}  // namespace
}  // namespace rustyray::core
