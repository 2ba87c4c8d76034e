// The thread pool: places, growth, shrinking, idleness, stopping.
#include "core/thread_pool.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/mutex.h"
#include "core/parker.h"
#include "core/testing/seeds.h"
#include "core/thread_context.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rustyray::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Work that runs a function, once.
class Work final : public Runnable {
 public:
  explicit Work(std::function<void()> run, std::string_view name = "work") : run_(std::move(run)), name_(name) {}
  void RunScheduled() override {
    run_();
    ran.store(true);
  }
  void DiscardScheduled() override { discarded.store(true); }
  std::string_view ScheduledName() const override { return name_; }
  std::atomic<bool> ran{false}, discarded{false};

 private:
  const std::function<void()> run_;
  const std::string_view name_;
};

// A gate that many threads may wait at, asleep, as user code would: the pool is not told.
class Gate {
 public:
  void Open() {
    MutexLock lock(mutex_);
    open_ = true;
    opened_.NotifyAll();
  }
  void Pass() {
    MutexLock lock(mutex_);
    while (!open_) opened_.Wait(mutex_);
  }

 private:
  Mutex mutex_;
  CondVar opened_;
  bool open_ ABSL_GUARDED_BY(mutex_) = false;
};

// Waits for a condition that other threads bring about.
template <class Condition>
bool Eventually(Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

bool AllRan(const std::vector<std::unique_ptr<Work>>& works) {
  return std::all_of(works.begin(), works.end(), [](const auto& work) { return work->ran.load(); });
}

// Sleeps in a wait that the pool is told of until `go`.
void BlockUntil(const std::atomic<bool>& go) {
  const BlockingScope scope;
  ASSERT_TRUE(scope.status().ok()) << scope.status();
  while (!go.load()) std::this_thread::yield();
}

// How many threads can enter at once.
int FreePlaces(ThreadPool& pool) {
  std::atomic<int> tried{0}, entered{0};
  std::vector<std::thread> threads;
  const int count = pool.Statistics().places + 2;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&] {
      const bool in = pool.TryEnter();
      entered += in;
      ++tried;
      while (tried.load() < count) std::this_thread::yield();
      if (in) pool.Leave();
    });
  }
  for (std::thread& thread : threads) thread.join();
  return entered.load();
}

class ThreadPoolTest : public testing::Test {
 protected:
  std::shared_ptr<ThreadPool> Pool(int places, int max_threads = 1024) {
    return MakeThreadPool({.places = places, .max_threads = max_threads, .tick = milliseconds(5)}, *clock);
  }
  const std::unique_ptr<Clock> clock = MakeRealClock();
};

TEST_F(ThreadPoolTest, RunsAllThatIsScheduledOnce) {
  const auto pool = Pool(2);
  constexpr int kWorks = 10'000;
  std::vector<std::atomic<int>> runs(kWorks);
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < kWorks; ++i) works.push_back(std::make_unique<Work>([&runs, i] { ++runs[i]; }));
  for (const auto& work : works) ASSERT_TRUE(pool->Schedule(*work));
  ASSERT_TRUE(Eventually([&] { return AllRan(works); }));
  for (const auto& count : runs) ASSERT_EQ(count.load(), 1);
}

TEST_F(ThreadPoolTest, ManySchedulersLoseNothing) {
  ForSeeds(Sized(20, 500), [&](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const auto pool = Pool(1 + static_cast<int>(random() % 3));
    constexpr int kThreads = 3, kEach = 500;
    std::atomic<int> ran{0};
    std::vector<std::unique_ptr<Work>> works;
    for (int i = 0; i < kThreads * kEach; ++i) works.push_back(std::make_unique<Work>([&] { ++ran; }));
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t, pause = random() % 200] {
        for (int i = 0; i < kEach; ++i) {
          Work& work = *works[t * kEach + i];
          ASSERT_TRUE(pool->Schedule(work));
          if (i % 16 == t && pool->Unschedule(work)) work.RunScheduled();
          // Now and then long enough for the workers to park.
          for (std::uint64_t spin = i % 64 == 0 ? pause * 100 : 0; spin > 0; --spin) ran.load();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    ASSERT_TRUE(Eventually([&] { return AllRan(works); })) << ran.load();
    ASSERT_EQ(ran.load(), kThreads * kEach);
  });
}

// One piece of work at a time, each to a pool that is about to park or has: the wake-up must not be lost.
TEST_F(ThreadPoolTest, ALoneScheduleIsNeverMissed) {
  const auto pool = Pool(2);
  for (int i = 0; i < Sized(20'000, 1'000'000); ++i) {
    Work work([] {});
    ASSERT_TRUE(pool->Schedule(work));
    while (!work.ran.load()) std::this_thread::yield();
    for (int spin = 0; spin < i % 3000; ++spin) work.ran.load();
  }
}

// Short work comes in bursts, so that workers begin and end to look for it all the time.
TEST_F(ThreadPoolTest, NoMoreThreadsAreMadeThanCanRun) {
  struct Short final : Runnable {
    void RunScheduled() override {
      static thread_local bool counted = false;
      if (!std::exchange(counted, true)) ++threads;
      ++ran;
    }
    void DiscardScheduled() override {}
    std::atomic<int> threads{0};
    std::atomic<std::int64_t> ran{0};
  };
  constexpr int kPlaces = 2, kBurst = 300;
  Short work;
  const auto pool = Pool(kPlaces);
  const int bursts = Sized(3'000, 100'000);
  for (int burst = 1; burst <= bursts; ++burst) {
    for (int i = 0; i < kBurst; ++i) ASSERT_TRUE(pool->Schedule(work));
    while (work.ran.load() < std::int64_t{burst} * kBurst) std::this_thread::yield();
  }
  // One more now and then is one that was about to look, and lost its place to another.
  EXPECT_LE(work.threads.load(), kPlaces + 2);
}

TEST_F(ThreadPoolTest, CpuBoundWorkNeverTakesMoreThanThePlacesAlsoWithHelpers) {
  const auto pool = Pool(2);
  std::atomic<int> running{0}, most{0};
  const auto busy = [&] {
    const int now = ++running;
    for (int seen = most.load(); now > seen && !most.compare_exchange_weak(seen, now);) continue;
    const auto until = std::chrono::steady_clock::now() + milliseconds(20);
    while (std::chrono::steady_clock::now() < until) continue;
    --running;
  };
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < 8; ++i) works.push_back(std::make_unique<Work>(busy));
  for (const auto& work : works) ASSERT_TRUE(pool->Schedule(*work));
  std::atomic<bool> stop{false};
  std::atomic<int> helped{0};
  std::vector<std::thread> helpers;
  for (int i = 0; i < 2; ++i) {
    helpers.emplace_back([&] {
      while (!stop.load()) {
        const RunningPlace place(*pool);
        if (!place.entered()) {
          std::this_thread::yield();
          continue;
        }
        ++helped;
        busy();
      }
    });
  }
  EXPECT_TRUE(Eventually([&] { return AllRan(works); }));
  stop.store(true);
  for (std::thread& helper : helpers) helper.join();
  EXPECT_LE(most.load(), 2);
  EXPECT_EQ(pool->Statistics().lent, 0);
}

TEST_F(ThreadPoolTest, AnOutsideThreadEntersOnlyAFreePlace) {
  const auto pool = Pool(1);
  std::atomic<bool> go{false}, began{false};
  Work work([&] {
    began.store(true);
    while (!go.load()) continue;
  });
  ASSERT_TRUE(pool->Schedule(work));
  ASSERT_TRUE(Eventually([&] { return began.load(); }));
  {
    const RunningPlace none(*pool);
    EXPECT_FALSE(none.entered());
  }
  go.store(true);
  ASSERT_TRUE(Eventually([&] { return work.ran.load(); }));
  ASSERT_TRUE(Eventually([&] { return RunningPlace(*pool).entered(); }));
  const RunningPlace place(*pool);
  ASSERT_TRUE(place.entered());
  const RunningPlace again(*pool);
  EXPECT_TRUE(again.entered()) << "it is there already";
}

TEST_F(ThreadPoolTest, WorkLeftByAHelperIsFoundWhenItLeaves) {
  const auto pool = Pool(1);
  Work work([] {});
  {
    const RunningPlace place(*pool);
    ASSERT_TRUE(place.entered());
    ASSERT_TRUE(pool->Schedule(work));
    std::this_thread::yield();
    EXPECT_FALSE(work.ran.load());
  }
  EXPECT_TRUE(Eventually([&] { return work.ran.load(); }));
}

TEST_F(ThreadPoolTest, ThreadsInAWaitLendTheirPlacesAndThePoolGrowsAndShrinks) {
  const auto pool = Pool(2);
  constexpr int kBlocked = 20;
  std::atomic<bool> go{false};
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < kBlocked; ++i) works.push_back(std::make_unique<Work>([&] { BlockUntil(go); }));
  for (const auto& work : works) ASSERT_TRUE(pool->Schedule(*work));
  EXPECT_TRUE(Eventually([&] { return pool->Statistics().blocked == kBlocked; }));
  EXPECT_GE(pool->Statistics().threads, kBlocked);
  go.store(true);
  EXPECT_TRUE(Eventually([&] { return AllRan(works); }));
  EXPECT_TRUE(Eventually([&] { return pool->Statistics().threads <= 2; })) << pool->Statistics().threads;
  EXPECT_EQ(pool->Statistics().blocked, 0);
}

TEST_F(ThreadPoolTest, ThreadsThatComeBackFromAWaitTakeAPlaceBeforeNewWork) {
  const auto pool = Pool(1);
  std::atomic<bool> go{false}, second_began{false};
  Work waits([&] { BlockUntil(go); });
  Work second([&] {
    second_began.store(true);
    while (!go.load()) continue;
  });
  ASSERT_TRUE(pool->Schedule(waits));
  ASSERT_TRUE(Eventually([&] { return pool->Statistics().blocked == 1; }));
  ASSERT_TRUE(pool->Schedule(second));
  ASSERT_TRUE(Eventually([&] { return second_began.load(); }));
  go.store(true);
  EXPECT_TRUE(Eventually([&] { return waits.ran.load() && second.ran.load(); }));
}

TEST_F(ThreadPoolTest, PastTheHardCapAWaitFailsAndNeverHangs) {
  const auto pool = Pool(2, 3);
  std::atomic<bool> go{false};
  std::atomic<int> refused{0};
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < 6; ++i) {
    works.push_back(std::make_unique<Work>([&] {
      const BlockingScope scope;
      if (!scope.status().ok()) {
        EXPECT_EQ(scope.status().code(), absl::StatusCode::kResourceExhausted);
        ++refused;
        return;
      }
      while (!go.load()) std::this_thread::yield();
    }));
  }
  for (const auto& work : works) ASSERT_TRUE(pool->Schedule(*work));
  EXPECT_TRUE(Eventually([&] { return refused.load() == 4; }));
  EXPECT_EQ(pool->Statistics().blocked, 2);
  go.store(true);
  EXPECT_TRUE(Eventually([&] { return AllRan(works); }));
}

// The subject is code that sleeps, so it sleeps.
TEST_F(ThreadPoolTest, EightThatSleepHalfASecondOnTwoPlacesEndTogetherWithinASecond) {
  const auto pool = Pool(2);
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < 8; ++i)
    works.push_back(std::make_unique<Work>([] { std::this_thread::sleep_for(milliseconds(500)); }));
  const auto begin = std::chrono::steady_clock::now();
  for (const auto& work : works) ASSERT_TRUE(pool->Schedule(*work));
  EXPECT_TRUE(Eventually([&] { return AllRan(works); }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(1));
  EXPECT_TRUE(Eventually([&] { return pool->Statistics().lent == 0 && pool->Statistics().threads <= 2; }));
}

TEST_F(ThreadPoolTest, AfterSleepersComeBackThereAreAsManyPlacesAsBefore) {
  const auto pool = Pool(2);
  for (int round = 0; round < 3; ++round) {
    Gate gate;
    std::atomic<int> inside{0};
    std::vector<std::unique_ptr<Work>> works;
    for (int i = 0; i < 6; ++i) {
      works.push_back(std::make_unique<Work>([&] {
        ++inside;
        gate.Pass();
        // Runs on for a while after its sleep: nobody may get a place for it any more.
        const auto until = std::chrono::steady_clock::now() + milliseconds(15);
        while (std::chrono::steady_clock::now() < until) continue;
      }));
    }
    for (const auto& work : works) ASSERT_TRUE(pool->Schedule(*work));
    EXPECT_TRUE(Eventually([&] { return inside.load() == 6; }));
    gate.Open();
    EXPECT_TRUE(Eventually([&] { return AllRan(works); }));
    EXPECT_TRUE(Eventually([&] { return pool->Statistics().lent == 0; }));
  }
  EXPECT_TRUE(Eventually([&] { return pool->Statistics().parked == pool->Statistics().threads; }));
  EXPECT_EQ(FreePlaces(*pool), 2);
}

// Work that sleeps where the pool is not told, waits where it is, runs, and schedules more, with helpers: whatever is
// lent and taken back, in the end there are as many places as at first.
TEST_F(ThreadPoolTest, PlacesAreNeitherLostNorMade) {
  ForSeeds(Sized(kSanitized ? 10 : 25, 500), [&](std::uint64_t seed) {
    std::mt19937_64 random(seed);
    const int places = 1 + static_cast<int>(random() % 3);
    const auto pool =
        MakeThreadPool({.places = places, .max_threads = 64, .tick = std::chrono::microseconds(500)}, *clock);
    std::vector<std::unique_ptr<Work>> works;
    std::vector<std::uint64_t> kinds;
    for (int i = 0; i < 60; ++i) kinds.push_back(random());
    for (int i = 0; i < 60; ++i) {
      works.push_back(std::make_unique<Work>([&, i] {
        const std::uint64_t kind = kinds[i];
        if (i >= 30) return;
        EXPECT_TRUE(pool->Schedule(*works[i + 30]));  // more, from within
        const auto nap = std::chrono::microseconds(kind / 8 % 3000);
        switch (kind % 5) {
          case 0:
            std::this_thread::sleep_for(nap);
            break;
          case 1: {
            const BlockingScope scope;
            EXPECT_TRUE(scope.status().ok());
            std::this_thread::sleep_for(nap);
            break;
          }
          case 2: {
            std::this_thread::sleep_for(nap);
            const BlockingScope scope;
            EXPECT_TRUE(scope.status().ok());
            std::this_thread::sleep_for(nap / 2);
            break;
          }
          case 3: {
            std::this_thread::sleep_for(nap);
            const auto until = std::chrono::steady_clock::now() + nap;
            while (std::chrono::steady_clock::now() < until) continue;
            break;
          }
          default:
            break;
        }
      }));
    }
    std::thread helper([&] {
      for (int i = 0; i < 20; ++i) {
        const RunningPlace place(*pool);
        if (place.entered() && i % 4 == 0) std::this_thread::sleep_for(milliseconds(1));
      }
    });
    for (int i = 0; i < 30; ++i) ASSERT_TRUE(pool->Schedule(*works[i]));
    ASSERT_TRUE(Eventually([&] { return AllRan(works); }));
    helper.join();
    ASSERT_TRUE(Eventually([&] {
      const ThreadPoolStatistics now = pool->Statistics();
      return now.parked == now.threads && now.blocked == 0 && now.lent == 0;
    }));
    ASSERT_EQ(FreePlaces(*pool), places);
  });
}

// Voluntary context switches so far of each thread of this process but the calling one.
std::map<std::string, long> Switches() {
  std::map<std::string, long> switches;
  const std::string me = std::to_string(syscall(SYS_gettid));
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    const std::string task = entry.path().filename();
    if (task == me) continue;
    std::ifstream status(entry.path() / "status");
    for (std::string line; std::getline(status, line);) {
      constexpr std::string_view kKey = "voluntary_ctxt_switches:";
      if (line.rfind(kKey, 0) == 0) switches[task] = std::stol(line.substr(kKey.size()));
    }
  }
  return switches;
}

// A clock that counts what is armed and passes all else on.
class CountingClock final : public Clock {
 public:
  explicit CountingClock(Clock& clock) : clock_(clock) {}
  Time Now() override { return clock_.Now(); }
  void Arm(Timer& timer, Time at) override {
    ++armed;
    clock_.Arm(timer, at);
  }
  bool Cancel(Timer& timer) override { return clock_.Cancel(timer); }
  bool ParkUntil(Parker& parker, Time deadline) override { return clock_.ParkUntil(parker, deadline); }
  std::atomic<int> armed{0};

 private:
  Clock& clock_;
};

// A clock whose first Arm takes until it is let go on.
class SlowClock final : public Clock {
 public:
  explicit SlowClock(Clock& clock) : clock_(clock) {}
  Time Now() override { return clock_.Now(); }
  void Arm(Timer& timer, Time at) override {
    if (Timer* none = nullptr; first_.compare_exchange_strong(none, &timer)) {
      while (!go_on.load()) std::this_thread::yield();
    }
    clock_.Arm(timer, at);
  }
  bool Cancel(Timer& timer) override { return clock_.Cancel(timer); }
  bool ParkUntil(Parker& parker, Time deadline) override { return clock_.ParkUntil(parker, deadline); }
  Timer* first() const { return first_.load(); }
  std::atomic<bool> go_on{false};

 private:
  Clock& clock_;
  std::atomic<Timer*> first_{nullptr};
};

TEST_F(ThreadPoolTest, AMonitorThatIsArmedAsThePoolStopsIsDisarmed) {
  ManualClock manual;
  SlowClock slow(manual);
  const auto pool = MakeThreadPool({.places = 1, .max_threads = 16, .tick = milliseconds(5)}, slow);
  Gate gate;
  std::atomic<bool> begun{false};
  Work first([&] {
    begun.store(true);
    gate.Pass();
  });
  Work second([] {});
  ASSERT_TRUE(pool->Schedule(first));
  ASSERT_TRUE(Eventually([&] { return begun.load(); }));
  std::thread schedules([&] { (void)pool->Schedule(second); });  // no place is free: the monitor is to look
  ASSERT_TRUE(Eventually([&] { return slow.first() != nullptr; }));
  gate.Open();
  EXPECT_TRUE(pool->Stop(kNever).empty());
  slow.go_on.store(true);
  schedules.join();
  EXPECT_TRUE(second.ran.load() || second.discarded.load());
  EXPECT_FALSE(manual.Cancel(*slow.first())) << "the clock would call a pool that is gone";
}

// The subject is what happens while nothing happens, so it sleeps.
TEST_F(ThreadPoolTest, AnIdlePoolArmsNothingAndWakesForNothing) {
  std::thread([] {}).join();  // a sanitizer starts a thread of its own with the first
  const std::map<std::string, long> others = Switches();
  CountingClock counting(*clock);
  const auto pool = MakeThreadPool({.places = 2, .max_threads = 16, .tick = milliseconds(5)}, counting);
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < 8; ++i) {
    works.push_back(std::make_unique<Work>([] { std::this_thread::sleep_for(milliseconds(30)); }));
  }
  for (const auto& work : works) ASSERT_TRUE(pool->Schedule(*work));
  ASSERT_TRUE(Eventually([&] { return AllRan(works); }));
  EXPECT_GT(counting.armed.load(), 0) << "while work waited it looked for sleepers";
  std::this_thread::sleep_for(milliseconds(100));
  const int armed = counting.armed.load();
  const std::map<std::string, long> before = Switches();
  std::this_thread::sleep_for(seconds(1));
  const std::map<std::string, long> after = Switches();
  EXPECT_EQ(counting.armed.load(), armed);
  EXPECT_GE(before.size(), 2u);
  for (const auto& [task, switches] : before) {
    if (after.count(task) != 0 && others.count(task) == 0) {
      EXPECT_EQ(after.at(task), switches) << "thread " << task;
    }
  }
}

TEST_F(ThreadPoolTest, WorkThatOnlyRunsArmsNothing) {
  CountingClock counting(*clock);
  const auto pool = MakeThreadPool({.places = 2, .max_threads = 16, .tick = milliseconds(5)}, counting);
  for (int i = 0; i < 200; ++i) {
    Work work([] {});
    ASSERT_TRUE(pool->Schedule(work));
    while (!work.ran.load()) std::this_thread::yield();
  }
  EXPECT_EQ(counting.armed.load(), 0) << "a place was free all the time";
}

// --- Stop.

TEST_F(ThreadPoolTest, StopDiscardsWhatIsQueuedAndWaitsForWhatRuns) {
  const auto pool = Pool(1);
  std::atomic<bool> began{false}, saw_stop{false};
  Work runs([&] {
    began.store(true);
    while (!pool->stopping()) std::this_thread::yield();
    saw_stop.store(true);
  });
  Work queued([] {}), late([] {});
  ASSERT_TRUE(pool->Schedule(runs));
  ASSERT_TRUE(Eventually([&] { return began.load(); }));
  ASSERT_TRUE(pool->Schedule(queued));
  EXPECT_TRUE(pool->Stop(kNever).empty());
  EXPECT_TRUE(runs.ran.load());
  EXPECT_TRUE(saw_stop.load());
  EXPECT_FALSE(queued.ran.load());
  EXPECT_TRUE(queued.discarded.load());
  EXPECT_FALSE(pool->Schedule(late));
  EXPECT_FALSE(late.discarded.load());
  EXPECT_EQ(pool->Statistics().threads, 0);
  EXPECT_FALSE(pool->TryEnter());
  EXPECT_TRUE(pool->Stop(kNever).empty());
}

TEST_F(ThreadPoolTest, StopAbandonsAtItsDeadlineNamesTheWorkAndTheDestructorDoesNotWait) {
  auto gate = std::make_shared<Gate>();
  auto ended = std::make_shared<std::atomic<int>>(0);
  std::atomic<int> began{0};
  const auto hangs = [&, gate, ended] {
    ++began;
    gate->Pass();
    ++*ended;
  };
  Work one(hangs, "hangs in user code");
  auto go = std::make_shared<std::atomic<bool>>(false);
  Work two(
      [&, go, ended] {
        ++began;
        BlockUntil(*go);
        ++*ended;
      },
      "hangs in a wait");
  {
    ManualClock manual;
    auto pool = MakeThreadPool({.places = 2, .max_threads = 16, .tick = milliseconds(5)}, manual);
    ASSERT_TRUE(pool->Schedule(one));
    ASSERT_TRUE(pool->Schedule(two));
    ASSERT_TRUE(Eventually([&] { return began.load() == 2; }));
    std::thread time([&] {
      while (!pool->stopping()) std::this_thread::yield();
      manual.Advance(seconds(1));
    });
    EXPECT_THAT(pool->Stop(manual.Now() + milliseconds(100)),
                testing::UnorderedElementsAre("hangs in user code", "hangs in a wait"));
    time.join();
    pool.reset();
  }
  gate->Open();
  go->store(true);
  EXPECT_TRUE(Eventually([&] { return ended->load() == 2 && one.ran.load() && two.ran.load(); }));
}

TEST_F(ThreadPoolTest, StopWaitsForAnOutsideThreadThatHelps) {
  auto pool = Pool(1);
  std::atomic<bool> inside{false}, left{false};
  std::thread helper([&, raw = pool.get()] {
    const RunningPlace place(*raw);
    ASSERT_TRUE(place.entered());
    inside.store(true);
    while (!raw->stopping()) std::this_thread::yield();
    left.store(true);
  });
  ASSERT_TRUE(Eventually([&] { return inside.load(); }));
  EXPECT_TRUE(pool->Stop(kNever).empty());
  EXPECT_TRUE(left.load());
  pool.reset();
  helper.join();
}

TEST_F(ThreadPoolTest, AnAbandonedOutsideThreadMayLeaveWhenThePoolIsGone) {
  auto pool = Pool(1);
  Gate gate;
  std::atomic<bool> inside{false};
  std::thread helper([&, raw = pool.get()] {
    const RunningPlace place(*raw);
    ASSERT_TRUE(place.entered());
    inside.store(true);
    gate.Pass();
  });
  ASSERT_TRUE(Eventually([&] { return inside.load(); }));
  EXPECT_EQ(pool->Stop(clock->Now() + milliseconds(1)).size(), 1u);
  pool.reset();
  gate.Open();
  helper.join();
}

TEST_F(ThreadPoolTest, StopRacesSchedulesAndEachWorkIsRunOrDiscardedOrRefused) {
  ForSeeds(Sized(150, 5'000), [&](std::uint64_t seed) {
    auto pool = Pool(1 + static_cast<int>(seed % 3));
    constexpr int kEach = 200;
    std::vector<std::unique_ptr<Work>> works;
    for (int i = 0; i < 2 * kEach; ++i) works.push_back(std::make_unique<Work>([] {}));
    std::vector<char> taken(2 * kEach);
    std::vector<std::thread> threads;
    std::atomic<int> scheduled{0};
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&, t] {
        for (int i = t * kEach; i < (t + 1) * kEach; ++i) {
          taken[i] = pool->Schedule(*works[i]);
          ++scheduled;
        }
      });
    }
    while (scheduled.load() < static_cast<int>(seed % 300)) std::this_thread::yield();
    EXPECT_TRUE(pool->Stop(kNever).empty());
    for (std::thread& thread : threads) thread.join();
    for (int i = 0; i < 2 * kEach; ++i) {
      ASSERT_EQ(works[i]->ran.load() + works[i]->discarded.load(), taken[i] ? 1 : 0) << i;
    }
  });
}

TEST_F(ThreadPoolTest, TwoStopsAtOnceBothReturn) {
  const auto pool = Pool(2);
  Work work([] {});
  ASSERT_TRUE(pool->Schedule(work));
  std::thread other([&] { EXPECT_TRUE(pool->Stop(kNever).empty()); });
  EXPECT_TRUE(pool->Stop(kNever).empty());
  other.join();
  EXPECT_TRUE(work.ran.load() || work.discarded.load());
}

TEST_F(ThreadPoolTest, ThreadsThatComeAndGoReuseSlotsAndTheirWorkIsNotLost) {
  const auto pool = Pool(1);
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < 300; ++i) works.push_back(std::make_unique<Work>([] {}));
  for (const auto& work : works) std::thread([&] { ASSERT_TRUE(pool->Schedule(*work)); }).join();
  EXPECT_TRUE(Eventually([&] { return AllRan(works); }));
}

TEST_F(ThreadPoolTest, OneThreadMayScheduleOnManyPoolsInTurn) {
  for (int i = 0; i < 50; ++i) {
    const auto a = Pool(1), b = Pool(1);
    Work one([] {}), two([] {}), three([] {});
    ASSERT_TRUE(a->Schedule(one));
    ASSERT_TRUE(b->Schedule(two));
    ASSERT_TRUE(a->Schedule(three));
    ASSERT_TRUE(Eventually([&] { return one.ran.load() && two.ran.load() && three.ran.load(); }));
  }
}

// A thread's own destructors may come back to the pool when it ends.
TEST_F(ThreadPoolTest, AThreadLocalThatSchedulesAsItsThreadEndsDoesNotDeadlock) {
  auto pool = Pool(1);
  static std::atomic<int> destroyed;
  destroyed.store(0);
  struct Local {
    ThreadPool* pool = nullptr;
    ~Local() {
      if (pool != nullptr) (void)pool->Statistics();
      ++destroyed;
    }
  };
  std::atomic<bool> go{false};
  std::vector<std::unique_ptr<Work>> works;
  for (int i = 0; i < 4; ++i) {
    works.push_back(std::make_unique<Work>([&, raw = pool.get()] {
      static thread_local Local local;
      local.pool = raw;
      BlockUntil(go);
    }));
  }
  for (const auto& work : works) ASSERT_TRUE(pool->Schedule(*work));
  ASSERT_TRUE(Eventually([&] { return pool->Statistics().blocked == 4; }));
  go.store(true);
  ASSERT_TRUE(Eventually([&] { return AllRan(works); }));
  Work last([] {});
  ASSERT_TRUE(pool->Schedule(last));
  EXPECT_TRUE(pool->Stop(kNever).empty());
  EXPECT_GE(destroyed.load(), 4);
}

// Two pieces of work of which each needs the other to run at the same time.
bool TwoMeet(ThreadPool& pool, bool pause) {
  std::atomic<int> there{0};
  const auto meet = [&] {
    ++there;
    while (there.load() < 2) std::this_thread::yield();
  };
  Work one(meet), other(meet);
  if (!pool.Schedule(one)) return false;
  if (pause) std::this_thread::yield();
  if (!pool.Schedule(other)) return false;
  return Eventually([&] { return one.ran.load() && other.ran.load(); });
}

TEST(ThreadPool, APlaceThatAnOutsideThreadKeepsIsThereForWorkThatWaits) {
  // The clock stands: nobody is helped by the monitor.
  ManualClock clock;
  const auto pool = MakeThreadPool({.places = 2}, clock);
  for (int round = 0; round < 500; ++round) {
    { const RunningPlace kept(*pool); }
    ASSERT_TRUE(TwoMeet(*pool, round % 3 == 0)) << "round " << round;  // this thread only looks on
  }
  EXPECT_TRUE(pool->Stop(kNever).empty());
}

TEST(ThreadPool, OutsideThreadsThatHelpInTurnsShareAllPlaces) {
  ManualClock clock;
  const auto pool = MakeThreadPool({.places = 2}, clock);
  constexpr int kThreads = 4;
  std::atomic<int> inside{0}, most{0}, entered{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        const RunningPlace place(*pool);
        if (!place.entered()) continue;
        const int now = ++inside;
        for (int seen = most.load(); seen < now && !most.compare_exchange_weak(seen, now);) {
        }
        ++entered;
        --inside;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(most.load(), 2);
  EXPECT_GT(entered.load(), 0);
  EXPECT_TRUE(TwoMeet(*pool, /*pause=*/false)) << "a place was lost";
  EXPECT_TRUE(pool->Stop(kNever).empty());
}

}  // namespace
}  // namespace rustyray::core
