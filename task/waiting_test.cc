// How calls are waited for: helping, parking, growth, cycles of waits, waits for k of n, and what Dump says.
// Here rather than beside core/waiting.h, since it takes calls that wait for calls.
#include "core/waiting.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/testing/seeds.h"
#include "core/testing/small_stack.h"
#include "core/testing/test_owner.h"
#include "core/thread_context.h"
#include "core/thread_pool.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "task/function_registry.h"
#include "task/store_under_test.h"
#include "task/task_fixture.h"
#include "task/task_system.h"

namespace rustyray::task {
namespace {

using core::ErrorKind;
using core::KindOf;
using core::kNever;
using core::ObjectRef;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::AnyOf;
using testing::HasSubstr;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

template <class Condition>
bool Eventually(Condition condition) {
  const auto limit = std::chrono::steady_clock::now() + seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

// --- Helping, stepped by hand.

using HelpingTest = TaskFixture;

TEST_F(HelpingTest, AWaitRunsTheCallItWaitsForAndNothingElse) {
  bool unrelated_ran = false;
  const ObjectRef unrelated = tasks.Run(kG, [&] { unrelated_ran = true; });
  const ObjectRef wanted = tasks.Run(kF, [] { return 1; });
  EXPECT_EQ(*wanted.Get<int>(), 1);
  EXPECT_FALSE(unrelated_ran);
  EXPECT_EQ(executor.queued(), 1u) << "the wanted one was taken back from the queue";
  executor.RunUntilIdle();
}

TEST_F(HelpingTest, AWaitRunsTheProducersItNeedsInTheirOrder) {
  std::vector<int> order;
  const auto note = [&](int i) { return [&order, i](int) { return order.push_back(i), i; }; };
  const ObjectRef a = tasks.Run(kF, note(1), 0);
  const ObjectRef other = tasks.Run(kF, note(100), a);
  const ObjectRef b = tasks.Run(kF, note(2), a);
  const ObjectRef c = tasks.Run(kF, note(3), b);
  EXPECT_EQ(*c.Get<int>(), 3);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
  executor.RunUntilIdle();
}

TEST_F(HelpingTest, ATimedWaitDoesNotHelp) {
  executor.set_allow_inline(false);
  const ObjectRef promised = ObjectRef::Adopt(new core::Promised<int>(owner));
  EXPECT_EQ(KindOf(promised.Wait(clock.Now())), ErrorKind::kTimeout);
  EXPECT_EQ(promised.Wait(clock.Now()).code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(HelpingTest, ContextIsSavedAndRestoredAroundAnInlineRun) {
  ObjectRef inner;
  core::Call* outer_call = nullptr;
  const ObjectRef outer = tasks.Run(kF, [&] {
    core::Call* const me = core::current_frame->call;
    inner = tasks.Run(kG, [&] { outer_call = core::current_frame->outer->call; });
    EXPECT_TRUE(inner.Wait().ok());
    EXPECT_EQ(core::current_frame->call, me);
    return me == outer_call;
  });
  EXPECT_TRUE(*outer.Get<bool>());
  EXPECT_EQ(core::current_frame, nullptr);
}

TEST_F(HelpingTest, WaitForAllRunsTheNewestFirst) {
  std::vector<int> order;
  std::vector<ObjectRef> refs;
  for (int i = 0; i < 4; ++i) refs.push_back(tasks.Run(kF, [&order, i] { order.push_back(i); }));
  EXPECT_TRUE(waiting
                  .WaitForAll(
                      refs.size(), [&](std::size_t i) -> const ObjectRef& { return refs[i]; }, kNever)
                  .ok());
  EXPECT_EQ(order, (std::vector<int>{3, 2, 1, 0}));
}

// --- Deep chains, on a stack too small for recursion.

constexpr std::size_t kSmallStack = core::Waiting::kStackReserve + 128 * 1024;
constexpr int kChain = core::kSanitized ? 100'000 : 1'000'000;

class ChainTest : public TaskFixture {
 protected:
  // A chain of calls, each of which needs the one before; the first needs `root`.
  ObjectRef Chain(const ObjectRef& root) {
    ObjectRef last = root;
    for (int i = 0; i < kChain; ++i)
      last = tasks.Run(
          kF, +[](int i) { return i + 1; }, std::move(last));
    return last;
  }
};

TEST_F(ChainTest, AMillionCallsRunWhenTheFirstIsReady) {
  core::OnAStackOf(kSmallStack, [&] {
    auto* const promised = new core::Promised<int>(owner);
    ObjectRef root = ObjectRef::Adopt(promised);
    const ObjectRef last = Chain(root);
    promised->Seal(0);
    root = ObjectRef();
    EXPECT_EQ(executor.RunUntilIdle(), static_cast<std::size_t>(kChain));
    EXPECT_EQ(*last.Get<int>(), kChain);
  });
}

TEST_F(ChainTest, AMillionCallsRunByTheWaitForTheLast) {
  core::OnAStackOf(kSmallStack, [&] {
    const ObjectRef last = Chain(tasks.Run(kG, [] { return 0; }));
    EXPECT_EQ(*last.Get<int>(), kChain);
  });
}

TEST_F(ChainTest, AMillionCallsFailWithTheFirst) {
  core::OnAStackOf(kSmallStack, [&] {
    ObjectRef root = tasks.Run(kG, [] { return 0; });
    const ObjectRef last = Chain(root);
    EXPECT_TRUE(tasks.Cancel(root).ok());
    root = ObjectRef();
    EXPECT_TRUE(last.ready());
    EXPECT_EQ(KindOf(last.Wait()), ErrorKind::kCancelled);
    EXPECT_THAT(Text(last.Wait()), HasSubstr("needed by f"));
  });
}

TEST_F(ChainTest, AMillionCallsAreDroppedUnsubmitted) {
  core::OnAStackOf(kSmallStack, [&] {
    ObjectRef last = owner.Put(0);
    for (int i = 0; i < kChain; ++i) {
      const CallPtr call = MakeCall(
          owner, kF, +[](int i) { return i; }, std::move(last));
      last = ObjectRef::Share(*call);
    }
    last = ObjectRef();
    EXPECT_EQ(owner.gone(), 1);
  });
}

TEST_F(ChainTest, AMillionCallsAreDroppedWhenTheExecutorStops) {
  core::OnAStackOf(kSmallStack, [&] {
    ObjectRef root = tasks.Run(kG, [] { return 0; });
    { const ObjectRef last = Chain(root); }
    root = ObjectRef();
    executor.Stop();
  });
}

// --- With threads.

class PoolTest : public testing::Test {
 protected:
  ~PoolTest() override {
    pool.reset();
    EXPECT_EQ(owner.values(), 0);
    EXPECT_EQ(owner.bytes(), 0u);
    EXPECT_EQ(owner.bytes_elsewhere(), 0u);
  }
  void UsePool(int places, int max_threads = 1024) {
    pool = core::MakeThreadPool({.places = places, .max_threads = max_threads, .tick = milliseconds(5)}, *clock);
    system = std::make_unique<TaskSystem>(*pool, *clock, owner, registry);
  }

  const std::unique_ptr<core::Clock> clock = core::MakeRealClock();
  core::Waiting waiting{*clock};
  StoreUnderTest owner{waiting};
  FunctionRegistry registry;
  std::shared_ptr<core::ThreadPool> pool;
  std::unique_ptr<TaskSystem> system;
};

int Nested(TaskSystem& system, int depth) {
  if (depth == 0) return 0;
  return 1 + *system.Run(kF, [&system, depth] { return Nested(system, depth - 1); }).Get<int>();
}

TEST_F(PoolTest, TenThousandNestedWaitsOnOnePlaceComplete) {
  UsePool(1);
  constexpr int kDepth = core::kSanitized ? 1'000 : 10'000;  // the thread sanitizer keeps whole stacks of each lock
  EXPECT_EQ(Nested(*system, kDepth), kDepth);
  EXPECT_EQ(*system->Run(kF, [this] { return Nested(*system, kDepth); }).Get<int>(), kDepth);
}

int Fib(TaskSystem& system, int n) {
  if (n < 2) return n;
  const ObjectRef a = system.Run(kF, [&system, n] { return Fib(system, n - 1); });
  const ObjectRef b = system.Run(kF, [&system, n] { return Fib(system, n - 2); });
  return *b.Get<int>() + *a.Get<int>();
}

TEST_F(PoolTest, TreesOfNestedTasksCompleteOnAnyNumberOfPlaces) {
  for (const int places : {1, 2, 4}) {
    UsePool(places);
    EXPECT_EQ(Fib(*system, 16), 987) << places;
  }
}

TEST_F(PoolTest, CpuBoundTasksNeverExceedThePlacesWhileMainWaitsForThem) {
  UsePool(2);
  std::atomic<int> running{0}, most{0};
  std::vector<ObjectRef> refs;
  for (int i = 0; i < 8; ++i) {
    refs.push_back(system->Run(kF, [&] {
      const int now = ++running;
      for (int seen = most.load(); now > seen && !most.compare_exchange_weak(seen, now);) continue;
      const auto until = std::chrono::steady_clock::now() + milliseconds(20);
      while (std::chrono::steady_clock::now() < until) continue;
      --running;
    }));
  }
  EXPECT_TRUE(waiting
                  .WaitForAll(
                      refs.size(), [&](std::size_t i) -> const ObjectRef& { return refs[i]; }, kNever)
                  .ok());
  EXPECT_LE(most.load(), 2);
}

TEST_F(PoolTest, PastTheCapOfThreadsAWaitFailsRatherThanHangs) {
  UsePool(2, 4);
  auto* const promised = new core::Promised<int>(owner);
  const ObjectRef pending = ObjectRef::Adopt(promised);
  std::vector<ObjectRef> refs;
  for (int i = 0; i < 6; ++i) {
    refs.push_back(system->Run(
        kF, [](const ObjectRef& ref) { return ref.Wait(); }, pending));
  }
  const auto failed = [&] {
    int count = 0;
    for (const ObjectRef& ref : refs) count += ref.ready() && ref.record()->has_error();
    return count;
  };
  EXPECT_TRUE(Eventually([&] { return failed() == 3; }));
  for (const ObjectRef& ref : refs) {
    if (ref.ready()) {
      EXPECT_EQ(ref.Wait().code(), absl::StatusCode::kResourceExhausted);
    }
  }
  promised->Seal(1);
  for (const ObjectRef& ref : refs) (void)ref.Wait();
  EXPECT_EQ(failed(), 3);
}

std::uint32_t RunsOn() { return core::ThisThreadNumber(); }

TEST_F(PoolTest, OnlyAnUntimedWaitRunsTheCallOnItsOwnThread) {
  UsePool(1);
  const std::uint32_t me = core::ThisThreadNumber();
  int helped = 0;
  // A worker that searches may be faster every time for a while; not for ever.
  for (int i = 0; i < 100 || (helped == 0 && i < 100'000); ++i) {
    if (i < 100) {
      EXPECT_NE(*system->Run(kF, &RunsOn).Get<std::uint32_t>(clock->Now() + seconds(60)), me);
    }
    helped += *system->Run(kF, &RunsOn).Get<std::uint32_t>() == me;
  }
  EXPECT_GT(helped, 0);
}

TEST_F(PoolTest, WithLittleStackLeftAWaitParksRatherThanRunsTheCall) {
  UsePool(1);
  core::OnAStackOf(core::Waiting::kStackReserve - 32 * 1024, [&] {
    if (core::StackLeft() >= core::Waiting::kStackReserve) return;  // the thread sanitizer needs more
    for (int i = 0; i < 100; ++i) {
      EXPECT_NE(*system->Run(kF, &RunsOn).Get<std::uint32_t>(), core::ThisThreadNumber());
    }
  });
}

TEST_F(PoolTest, AWaitOfAnOutsideThreadWithNoFreePlaceParks) {
  UsePool(1);
  std::atomic<bool> go{false}, began{false};
  const ObjectRef busy = system->Run(kG, [&] {
    began.store(true);
    while (!go.load()) continue;
  });
  ASSERT_TRUE(Eventually([&] { return began.load(); }));
  const ObjectRef ref = system->Run(kF, &RunsOn);
  std::thread waits([&] { EXPECT_NE(*ref.Get<std::uint32_t>(), core::ThisThreadNumber()); });
  ASSERT_TRUE(Eventually([&] { return !waiting.Dump().empty(); }));
  go.store(true);
  waits.join();
  EXPECT_TRUE(busy.Wait().ok());
}

// --- Cycles of waits.

TEST_F(PoolTest, AWaitForItselfIsAnError) {
  UsePool(2);
  std::atomic<bool> go{false};
  ObjectRef self;
  self = system->Run(kF, [&] {
    while (!go.load()) std::this_thread::yield();
    return self.Wait();
  });
  const ObjectRef ref = self;
  go.store(true);
  const absl::Status status = ref.Wait();
  EXPECT_EQ(KindOf(status), ErrorKind::kWaitCycle);
  EXPECT_THAT(Text(status), HasSubstr("task f waits for its own result"));
}

TEST_F(PoolTest, ACycleOfTwoIsAnErrorToTheOneThatClosesIt) {
  UsePool(2);
  for (int round = 0; round < 50; ++round) {
    std::atomic<bool> go{false};
    ObjectRef f, g;
    const auto wait_for = [&go](const ObjectRef* other) {
      return [&go, other] {
        while (!go.load()) std::this_thread::yield();
        return other->Wait();
      };
    };
    f = system->Run(kF, wait_for(&g));
    g = system->Run(kG, wait_for(&f));
    // The waits must be the tasks' own: this thread does not help while it spins.
    ASSERT_TRUE(Eventually([&] { return f.record()->claimed() && g.record()->claimed(); }));
    go.store(true);
    ASSERT_TRUE(Eventually([&] { return f.ready() && g.ready(); }));
    const absl::Status status = f.record()->has_error() ? f.Wait() : g.Wait();
    EXPECT_THAT(Text(status), AllOf(HasSubstr("this wait would never end"), HasSubstr("task f waits for task g"),
                                    HasSubstr("task g waits for task f")));
  }
}

TEST_F(PoolTest, ACycleThroughAnArgumentIsAnError) {
  UsePool(2);
  std::atomic<bool> go{false};
  ObjectRef f, g;
  f = system->Run(kF, [&]() -> absl::StatusOr<int> {
    while (!go.load()) std::this_thread::yield();
    return g.Get<int>();
  });
  g = system->Run(
      kG, [](int i) { return i; }, f);
  go.store(true);
  ASSERT_TRUE(Eventually([&] { return f.ready(); }));
  EXPECT_THAT(Text(f.Wait()),
              AllOf(HasSubstr("task f waits for task g"), HasSubstr("task g needs the result of task f")));
  EXPECT_TRUE(Eventually([&] { return g.ready(); }));
}

TEST_F(PoolTest, ACycleThroughAnInlineFrameIsAnError) {
  UsePool(1);
  ObjectRef f;
  std::atomic<bool> go{false};
  absl::Status inner;
  f = system->Run(kF, [&] {
    while (!go.load()) std::this_thread::yield();
    // Runs on this stack, and waits for the call beneath it.
    const ObjectRef g = system->Run(kG, [&] { inner = f.Wait(); });
    return g.Wait();
  });
  go.store(true);
  ASSERT_TRUE(Eventually([&] { return f.ready(); }));
  EXPECT_TRUE(f.Wait().ok());
  EXPECT_EQ(KindOf(inner), ErrorKind::kWaitCycle);
  EXPECT_THAT(Text(inner), AllOf(HasSubstr("task g waits for task f"), HasSubstr("which runs task g on its stack")));
}

TEST_F(PoolTest, TimedWaitsAreNoCycle) {
  UsePool(2);
  std::atomic<bool> go{false};
  ObjectRef self;
  self = system->Run(kF, [&] {
    while (!go.load()) std::this_thread::yield();
    return static_cast<int>(KindOf(self.Wait(clock->Now() + milliseconds(1))));
  });
  go.store(true);
  ASSERT_TRUE(Eventually([&] { return self.ready(); }));
  EXPECT_EQ(*self.Get<int>(), static_cast<int>(ErrorKind::kTimeout));
}

// --- k of n.

TEST_F(PoolTest, WaitForSomeReturnsWhenEnoughAreReady) {
  UsePool(2);
  std::vector<core::Promised<int>*> promised;
  std::vector<ObjectRef> refs;
  for (int i = 0; i < 5; ++i) {
    promised.push_back(new core::Promised<int>(owner));
    refs.push_back(ObjectRef::Adopt(promised.back()));
  }
  const auto at = [&](std::size_t i) -> const ObjectRef& { return refs[i]; };
  promised[3]->Seal(1);
  EXPECT_EQ(*waiting.WaitForSome(5, at, 1, kNever), 1u);
  EXPECT_EQ(*waiting.WaitForSome(5, at, 0, kNever), 1u);
  EXPECT_EQ(*waiting.WaitForSome(5, at, 2, clock->Now() + milliseconds(2)), 1u);
  EXPECT_EQ(*waiting.WaitForSome(5, at, 2, clock->Now()), 1u);
  std::thread sealer([&] {
    promised[0]->Seal(1);
    promised[4]->Seal(1);
  });
  EXPECT_GE(*waiting.WaitForSome(5, at, 3, kNever), 3u);
  sealer.join();
  promised[1]->SealError(core::MakeError({.code = absl::StatusCode::kAborted}));
  EXPECT_EQ(*waiting.WaitForSome(5, at, 4, kNever), 4u) << "an error is ready too";
  promised[2]->Seal(1);
  EXPECT_EQ(*waiting.WaitForSome(5, at, 5, kNever), 5u);
}

TEST_F(PoolTest, WaitForSomeTakesTheSameRefTwice) {
  UsePool(1);
  const ObjectRef ref = system->Run(kF, [] { return 1; });
  EXPECT_EQ(*waiting.WaitForSome(
                2, [&](std::size_t) -> const ObjectRef& { return ref; }, 2, kNever),
            2u);
}

TEST_F(PoolTest, WaitsForNullRefsAndForMoreThanThereAreAreErrors) {
  UsePool(1);
  const ObjectRef pending = ObjectRef::Adopt(new core::Promised<int>(owner));
  const std::vector<ObjectRef> refs{pending, ObjectRef()};
  const auto at = [&](std::size_t i) -> const ObjectRef& { return refs[i]; };
  for (const core::Time deadline : {kNever, clock->Now()}) {
    const absl::Status one = waiting.WaitFor(refs[1], deadline);
    EXPECT_TRUE(absl::IsInvalidArgument(one));
    EXPECT_EQ(Text(one), "an empty object ref has no value: it was default-constructed or moved from");
    for (const absl::Status& status :
         {waiting.WaitForAll(2, at, deadline), waiting.WaitForSome(2, at, 1, deadline).status()}) {
      EXPECT_TRUE(absl::IsInvalidArgument(status));
      EXPECT_EQ(KindOf(status), ErrorKind::kInvalid);
      EXPECT_EQ(Text(status), "ref 1 of 2 is empty: it was default-constructed or moved from");
    }
    const absl::Status more = waiting.WaitForSome(1, at, 2, deadline).status();
    EXPECT_TRUE(absl::IsInvalidArgument(more));
    EXPECT_EQ(Text(more), "2 of 1 refs can never be ready");
  }
}

TEST_F(PoolTest, RingsRaceTheEndOfAWaitForSome) {
  UsePool(2);
  core::ForSeeds(core::Sized(300, 10'000), [&](std::uint64_t seed) {
    std::vector<core::Promised<int>*> promised;
    std::vector<ObjectRef> refs;
    for (int i = 0; i < 6; ++i) {
      promised.push_back(new core::Promised<int>(owner));
      refs.push_back(ObjectRef::Adopt(promised.back()));
    }
    std::vector<core::RecordHold> held;  // for who seals them
    for (core::Promised<int>* const one : promised) held.emplace_back(*one);
    std::thread a([&] { promised[0]->Seal(1), promised[1]->Seal(1), promised[2]->Seal(1); });
    std::thread b([&] { promised[3]->Seal(1), promised[4]->Seal(1), promised[5]->Seal(1); });
    const std::size_t enough = seed % 7;
    const auto at = [&](std::size_t i) -> const ObjectRef& { return refs[i]; };
    const core::Time deadline = seed % 3 == 0 ? clock->Now() + std::chrono::microseconds(seed % 100) : kNever;
    const absl::StatusOr<std::size_t> ready = waiting.WaitForSome(6, at, enough, deadline);
    ASSERT_TRUE(ready.ok());
    if (deadline == kNever) {
      ASSERT_GE(*ready, enough);
    }
    refs.clear();  // the last handles may go before the seals
    a.join();
    b.join();
  });
}

// --- Timed waits and Dump.

TEST_F(PoolTest, TimedWaitsRaceTheSeal) {
  UsePool(1);
  core::ForSeeds(core::Sized(300, 10'000), [&](std::uint64_t seed) {
    auto* const promised = new core::Promised<int>(owner);
    const ObjectRef ref = ObjectRef::Adopt(promised);
    std::thread sealer([&, copy = ref] { promised->Seal(1); });
    const absl::Status status = ref.Wait(clock->Now() + std::chrono::microseconds(seed % 100));
    ASSERT_TRUE(status.ok() || KindOf(status) == ErrorKind::kTimeout) << status;
    sealer.join();
    ASSERT_TRUE(ref.Wait(clock->Now()).ok());
  });
}

TEST_F(PoolTest, DumpSaysWhoWaitsForWhom) {
  UsePool(2);
  EXPECT_EQ(waiting.Dump(), "");
  auto* const promised = new core::Promised<int>(owner);
  const ObjectRef pending = ObjectRef::Adopt(promised);
  const ObjectRef g = system->Run(
      kG, [](int i) { return i; }, pending);
  const ObjectRef f = system->Run(kF, [&] { return g.Wait(); });
  ASSERT_TRUE(Eventually([&] { return !waiting.Dump().empty(); }));
  EXPECT_THAT(waiting.Dump(), AllOf(HasSubstr("in task f waits for task g"),
                                    HasSubstr("(needs the result of an object that is not there yet)")));
  std::thread timed([&] { (void)f.Wait(clock->Now() + seconds(60)); });
  EXPECT_TRUE(Eventually([&] { return waiting.Dump().find("up to a deadline") != std::string::npos; }));
  EXPECT_THAT(waiting.Dump(), HasSubstr("waits for task f (runs on thread "));
  promised->Seal(1);
  timed.join();
  EXPECT_TRUE(f.Wait().ok());
  EXPECT_TRUE(Eventually([&] { return waiting.Dump().empty(); }));
}

}  // namespace
}  // namespace rustyray::task
