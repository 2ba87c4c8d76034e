// What actors cost: allocations of a call, bytes of an idle actor, memory that stays flat.
#include <malloc.h>

#include <cstddef>
#include <thread>
#include <utility>
#include <vector>

#include "actor/actor_system.h"
#include "core/clock.h"
#include "core/manual_executor.h"
#include "core/object_ref.h"
#include "core/testing/allocation_count.h"
#include "core/testing/seeds.h"
#include "core/testing/test_owner.h"
#include "core/waiting.h"
#include "gtest/gtest.h"
#include "task/function_registry.h"
#include "task/task_system.h"

namespace rustyray::actor {
namespace {

struct Counter {
  static Counter* Create() { return new Counter; }
  int Add(int by) { return value += by; }
  int value = 0;
};

class ActorCosts : public ::testing::Test {
 protected:
  ~ActorCosts() override {
    actors.Shutdown(core::Time::min());
    executor.RunUntilIdle();
    executor.Stop();
  }
  static std::size_t BytesInUse() {
    const struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
  }
  core::ManualExecutor executor;
  core::ManualClock clock;
  core::Waiting waiting{clock};
  core::TestOwner owner{waiting};
  task::FunctionRegistry registry;
  task::TaskSystem tasks{executor, clock, owner, registry};
  ActorSystem actors{executor, clock, tasks};
};

TEST_F(ActorCosts, ACallIsOneAllocationWithItsResult) {
  if (!core::AllocationsAreCounted()) GTEST_SKIP() << "nothing is counted under a sanitizer";
  auto counter = actors.Spawn(ActorOptions(), &Counter::Create);
  for (int i = 0; i < 200; ++i) (void)counter->Call(&Counter::Add, 1).Wait();
  const std::uint64_t before = core::AllocationsOfThisThread();
  core::ObjectRef last;
  for (int i = 0; i < 100; ++i) {
    last = counter->Call(&Counter::Add, 1);
    ASSERT_TRUE(last.Wait().ok());
  }
  // The queue of the manual executor allocates now and then.
  EXPECT_LE(core::AllocationsOfThisThread() - before, 105u);
  EXPECT_EQ(*last.Get<int>(), 300);
}

TEST_F(ActorCosts, AnIdleActorTakesAtMostAKibibyte) {
  if (!core::AllocationsAreCounted()) GTEST_SKIP() << "the sanitizer's allocator is another one";
  const int count = core::Sized(10'000, 100'000);
  std::vector<ActorRef<Counter>> kept;
  kept.reserve(static_cast<std::size_t>(count));
  const std::size_t before = BytesInUse();
  for (int i = 0; i < count; ++i) {
    kept.push_back(*actors.Spawn(ActorOptions(), &Counter::Create));
    (void)kept.back().Call(&Counter::Add, 1).Wait();
  }
  executor.RunUntilIdle();
  const std::size_t each = (BytesInUse() - before) / static_cast<std::size_t>(count);
  RecordProperty("bytes_each", static_cast<int>(each));
  RecordProperty("bytes_of_cell", static_cast<int>(sizeof(ActorCell)));
  EXPECT_LE(each, 1024u);
  EXPECT_EQ(actors.size(), static_cast<std::size_t>(count));
  EXPECT_EQ(executor.queued(), 0u) << "an idle actor has a turn";
}

TEST_F(ActorCosts, CallsThroughABoundedMailboxLeaveMemoryFlat) {
  auto counter = actors.Spawn(ActorOptions{.mailbox_capacity = 64}, &Counter::Create);
  const int count = core::Sized(100'000, 10'000'000);
  for (int i = 0; i < 10'000; ++i) (void)counter->Call(&Counter::Add, 1);
  const std::size_t before = BytesInUse();
  for (int i = 0; i < count; ++i) (void)counter->Call(&Counter::Add, 1);
  EXPECT_LE(BytesInUse(), before + 64 * 1024);
  EXPECT_EQ(*counter->Call(&Counter::Add, 1).Get<int>(), count + 10'001);
}

TEST_F(ActorCosts, RefsThatThreadsKeepToDeadActorsGoWithThemAtTheLatest) {
  if (!core::AllocationsAreCounted()) GTEST_SKIP() << "the sanitizer's allocator is another one, and it sees leaks";
  const auto live_and_end = [&] {
    ActorRef<Counter> counter = *actors.Spawn(ActorOptions(), &Counter::Create);
    for (int i = 0; i < 300; ++i) ASSERT_TRUE(counter.Call(&Counter::Add, 1).Wait().ok());
  };
  const auto in_threads = [&](int count) {
    for (int i = 0; i < count; ++i) {
      std::thread(live_and_end).join();
      executor.RunUntilIdle();
      live_and_end();
      executor.RunUntilIdle();
    }
  };
  in_threads(100);
  const std::size_t before = BytesInUse();
  in_threads(500);
  EXPECT_LE(BytesInUse(), before + 64 * 1024);
}

// Each holds the last handle to the next: their ends do not nest on the stack.
struct Link {
  static Link* Create() { return new Link; }
  int Hold(ActorRef<Link> other) { return next = std::move(other), 1; }
  ActorRef<Link> next;
};

TEST_F(ActorCosts, AChainOfActorsEndsInConstantStackAlsoWhenTheExecutorHasStopped) {
  {
    ActorRef<Link> first;
    for (int i = 0; i < 20'000; ++i) {
      ActorRef<Link> link = *actors.Spawn(ActorOptions(), &Link::Create);
      if (first) {
        ASSERT_TRUE(link.Call(&Link::Hold, std::move(first)).Wait().ok());
      }
      first = std::move(link);
    }
    executor.RunUntilIdle();
    executor.Stop();
  }
  EXPECT_EQ(actors.size(), 0u);
}

}  // namespace
}  // namespace rustyray::actor
