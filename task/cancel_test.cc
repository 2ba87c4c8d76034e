// Cancelling, deadlines and stopping: what becomes of a call that is not simply run.
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "core/call.h"
#include "core/error.h"
#include "core/object_ref.h"
#include "core/parker.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "task/task_fixture.h"

namespace rustyray::task {
namespace {

using core::CancelToken;
using core::ErrorKind;
using core::KindOf;
using core::ObjectRef;
using std::chrono::milliseconds;
using testing::HasSubstr;

std::string Text(const absl::Status& status) { return std::string(status.message()); }

class CancelTest : public TaskFixture {
 protected:
  ErrorKind KindOfFailure(const ObjectRef& ref) {
    EXPECT_TRUE(ref.ready());
    return ref.ready() ? KindOf(ref.Wait()) : ErrorKind::kGeneric;
  }
};

TEST_F(CancelTest, AQueuedCallFailsAtOnceAndNeverRuns) {
  auto argument = std::make_shared<int>(1);
  bool ran = false;
  const ObjectRef ref = tasks.Run(
      kF, [&ran](const std::shared_ptr<int>&) { ran = true; }, argument);
  EXPECT_EQ(argument.use_count(), 2);
  EXPECT_TRUE(tasks.Cancel(ref).ok());
  EXPECT_EQ(KindOfFailure(ref), ErrorKind::kCancelled);
  EXPECT_EQ(ref.Wait().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(argument.use_count(), 1) << "its arguments are destroyed by the cancel";
  executor.RunUntilIdle();
  EXPECT_FALSE(ran);
}

TEST_F(CancelTest, ACallThatWaitsForARefFailsAtOnceAndLetsTheRefGo) {
  auto* const promised = new core::Promised<int>(owner);
  ObjectRef pending = ObjectRef::Adopt(promised);
  const ObjectRef ref = tasks.Run(
      kF, [](int) {}, pending);
  EXPECT_EQ(promised->handles(), 2u);
  EXPECT_TRUE(tasks.Cancel(ref).ok());
  EXPECT_EQ(KindOfFailure(ref), ErrorKind::kCancelled);
  EXPECT_EQ(promised->handles(), 1u);
  promised->Seal(1);
  EXPECT_EQ(executor.queued(), 0u);
}

TEST_F(CancelTest, ARunningCallSeesItsTokenAndItsLateResultIsDropped) {
  ObjectRef ref;
  auto late = std::make_shared<int>(1);
  const std::weak_ptr<int> result = late;
  bool before = true, after = false;
  ref = tasks.Run(kF, [&, late = std::move(late)]() mutable {
    before = CancelToken::Current().cancelled();
    EXPECT_TRUE(tasks.Cancel(ref).ok());
    EXPECT_EQ(KindOfFailure(ref), ErrorKind::kCancelled);
    after = CancelToken::Current().cancelled();
    return std::move(late);
  });
  executor.RunUntilIdle();
  EXPECT_FALSE(before);
  EXPECT_TRUE(after);
  EXPECT_TRUE(result.expired());
  EXPECT_EQ(owner.admitted(), 0);
  EXPECT_EQ(KindOfFailure(ref), ErrorKind::kCancelled);
}

TEST_F(CancelTest, OutsideOfCallsTheTokenIsNeverCancelled) { EXPECT_FALSE(CancelToken::Current().cancelled()); }

TEST_F(CancelTest, ASecondCancelAndACancelOfWhatIsDoneSaySo) {
  const ObjectRef cancelled = tasks.Run(kF, [] {});
  EXPECT_TRUE(tasks.Cancel(cancelled).ok());
  const absl::Status twice = tasks.Cancel(cancelled);
  EXPECT_EQ(twice.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(Text(twice), HasSubstr("task f was cancelled already"));
  const ObjectRef done = tasks.Run(kG, [] { return 1; });
  executor.RunUntilIdle();
  EXPECT_THAT(Text(tasks.Cancel(done)), HasSubstr("task g is done already"));
  EXPECT_EQ(*done.Get<int>(), 1);
}

TEST_F(CancelTest, OnlyCallsCanBeCancelled) {
  EXPECT_EQ(tasks.Cancel(owner.Put(1)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(tasks.Cancel(ObjectRef()).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(CancelTest, DependentsOfACancelledCallFailWithItsError) {
  const ObjectRef ref = tasks.Run(kF, [] { return 1; });
  const ObjectRef dependent = tasks.Run(
      kG, [](int i) { return i; }, ref);
  EXPECT_TRUE(tasks.Cancel(ref).ok());
  EXPECT_EQ(KindOfFailure(dependent), ErrorKind::kCancelled);
  EXPECT_THAT(Text(dependent.Wait()), HasSubstr("needed by g"));
}

TEST_F(CancelTest, ChildrenAreCancelledWithTheirParent) {
  ObjectRef parent, queued, waiting_for_a_ref, done;
  auto* const promised = new core::Promised<int>(owner);
  const ObjectRef pending = ObjectRef::Adopt(promised);
  parent = tasks.Run(kF, [&] {
    done = tasks.Run(kG, [] { return 1; });
    EXPECT_EQ(*done.Get<int>(), 1);
    queued = tasks.Run(kG, [] {});
    waiting_for_a_ref = tasks.Run(
        kG, [](int) {}, pending);
    EXPECT_TRUE(tasks.Cancel(parent).ok());
    EXPECT_EQ(KindOfFailure(queued), ErrorKind::kCancelled);
    EXPECT_EQ(KindOfFailure(waiting_for_a_ref), ErrorKind::kCancelled);
  });
  executor.RunUntilIdle();
  EXPECT_EQ(*done.Get<int>(), 1);
  promised->Seal(1);
}

TEST_F(CancelTest, AllChildrenOfACancelledParentFailAlsoWhenItHadNone) {
  ObjectRef parent, first, second, third;
  parent = tasks.Run(kF, [&] {
    EXPECT_TRUE(tasks.Cancel(parent).ok());
    first = tasks.Run(kG, [] {});
    second = tasks.Run(kG, [] {});
    third = tasks.Run(
        kG, [](int) {}, first);
  });
  executor.RunUntilIdle();
  EXPECT_EQ(KindOfFailure(first), ErrorKind::kCancelled);
  EXPECT_EQ(KindOfFailure(second), ErrorKind::kCancelled);
  EXPECT_EQ(KindOfFailure(third), ErrorKind::kCancelled);
}

TEST_F(CancelTest, ChildrenLiveOnWhenTheirParentIsDone) {
  ObjectRef child;
  const ObjectRef parent = tasks.Run(kF, [&] { child = tasks.Run(kG, [] { return 1; }); });
  executor.Step();
  EXPECT_FALSE(tasks.Cancel(parent).ok());
  EXPECT_EQ(*child.Get<int>(), 1);
}

TEST_F(CancelTest, AFailedCallsChildrenAreNotCancelled) {
  ObjectRef child;
  const ObjectRef parent = tasks.Run(kF, [&] {
    child = tasks.Run(kG, [] { return 1; });
    return absl::AbortedError("f gives up");
  });
  executor.RunUntilIdle();
  EXPECT_EQ(*child.Get<int>(), 1);
}

// Ten thousand calls, each the child of the one before, none done.
TEST_F(CancelTest, ReachesTenThousandNestedChildrenWithoutDeepRecursion) {
  constexpr int kDepth = 10'000;
  // Linked by hand: ten thousand that run inside one another would need a deep stack themselves.
  std::vector<CallPtr> calls;
  std::vector<ObjectRef> refs;
  for (int i = 0; i < kDepth; ++i) {
    calls.push_back(MakeCall(owner, kF, [] {}));
    refs.push_back(ObjectRef::Share(*calls.back()));
    if (i > 0) {
      EXPECT_TRUE(calls[i]->BecomeChildOf(*calls[i - 1]));
    }
  }
  EXPECT_TRUE(tasks.Cancel(refs[0]).ok());
  for (const ObjectRef& ref : refs) ASSERT_EQ(KindOfFailure(ref), ErrorKind::kCancelled);
}

// --- Deadlines.

TEST_F(CancelTest, ADeadlineFailsWhatIsQueuedOrWaits) {
  auto* const promised = new core::Promised<int>(owner);
  const ObjectRef pending = ObjectRef::Adopt(promised);
  const ObjectRef queued = tasks.RunWith({.deadline = milliseconds(10)}, kF, [] {});
  const ObjectRef waits = tasks.RunWith(
      {.deadline = milliseconds(10)}, kG, [](int) {}, pending);
  const ObjectRef named = tasks.RunWith(
      {.name = "my task", .deadline = milliseconds(11)}, kG, [](int) {}, pending);
  clock.Advance(milliseconds(9));
  EXPECT_FALSE(queued.ready());
  EXPECT_FALSE(waits.ready());
  clock.Advance(milliseconds(1));
  EXPECT_EQ(KindOfFailure(queued), ErrorKind::kDeadline);
  EXPECT_EQ(queued.Wait().code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(KindOfFailure(waits), ErrorKind::kDeadline);
  clock.Advance(milliseconds(1));
  EXPECT_THAT(Text(named.Wait()), HasSubstr("my task"));
  promised->Seal(1);
}

TEST_F(CancelTest, ADeadlineFailsWhatRunsAndFiresItsTokenAndItsChildren) {
  ObjectRef child;
  const ObjectRef ref = tasks.RunWith({.deadline = milliseconds(10)}, kF, [&] {
    child = tasks.Run(kG, [] {});
    clock.Advance(milliseconds(10));
    EXPECT_TRUE(CancelToken::Current().cancelled());
    return 1;
  });
  executor.RunUntilIdle();
  EXPECT_EQ(KindOfFailure(ref), ErrorKind::kDeadline);
  EXPECT_EQ(KindOfFailure(child), ErrorKind::kDeadline);
}

TEST_F(CancelTest, ADeadlineInThePastFailsAtTheNextLookAtTheClock) {
  const ObjectRef ref = tasks.RunWith({.deadline = core::Duration(1)}, kF, [] { return 1; });
  clock.Advance(milliseconds(1));
  EXPECT_EQ(KindOfFailure(ref), ErrorKind::kDeadline);
}

TEST_F(CancelTest, WhatIsDoneOrCancelledBeforeItsDeadlineKeepsNothingArmed) {
  const ObjectRef done = tasks.RunWith({.deadline = std::chrono::hours(1)}, kF, [] { return 1; });
  const ObjectRef cancelled = tasks.RunWith({.deadline = std::chrono::hours(1)}, kF, [] { return 1; });
  EXPECT_TRUE(tasks.Cancel(cancelled).ok());
  executor.RunUntilIdle();
  EXPECT_EQ(*done.Get<int>(), 1);
  clock.Advance(std::chrono::hours(2));
  EXPECT_EQ(*done.Get<int>(), 1);
  EXPECT_EQ(KindOfFailure(cancelled), ErrorKind::kCancelled);
}

TEST_F(CancelTest, AHugeDeadlineIsNone) {
  const ObjectRef ref = tasks.RunWith({.deadline = core::Duration::max()}, kF, [] { return 1; });
  clock.Advance(std::chrono::hours(1));
  EXPECT_EQ(*ref.Get<int>(), 1);
}

// --- Stop.

TEST_F(CancelTest, AfterStopWhatIsQueuedAndWhatIsSubmittedFailsWithShutdown) {
  const ObjectRef queued = tasks.Run(kF, [] {});
  auto* const promised = new core::Promised<int>(owner);
  const ObjectRef pending = ObjectRef::Adopt(promised);
  const ObjectRef waits = tasks.Run(
      kF, [](int) {}, pending);
  executor.Stop();
  const ObjectRef late = tasks.Run(kG, [] {});
  EXPECT_EQ(KindOfFailure(queued), ErrorKind::kShutdown);
  EXPECT_EQ(KindOfFailure(late), ErrorKind::kShutdown);
  promised->Seal(1);
  EXPECT_EQ(KindOfFailure(waits), ErrorKind::kShutdown);
}

TEST_F(CancelTest, WhatRunsAtStopSeesItsToken) {
  bool stopping = false;
  const ObjectRef ref = tasks.Run(kF, [&] {
    executor.Stop();
    stopping = CancelToken::Current().stopping();
    return 1;
  });
  executor.RunUntilIdle();
  EXPECT_TRUE(stopping);
  EXPECT_EQ(*ref.Get<int>(), 1);
}

// --- Races.

// One thread submits children with deadlines while another cancels the parent: nothing is lost, leaked or run late.
TEST_F(CancelTest, AParentCancelledWhileItSubmitsLeavesNoChildUndone) {
  for (int round = 0; round < 300; ++round) {
    std::atomic<bool> runs{false};
    std::vector<ObjectRef> children;
    const ObjectRef parent = tasks.Run(kF, [&] {
      runs.store(true);
      for (int i = 0; i < 20; ++i) {
        children.push_back(i % 2 == 0 ? tasks.RunWith({.deadline = std::chrono::hours(1)}, kG, [] {})
                                      : tasks.Run(
                                            kG, [](int) {}, children.back()));
      }
    });
    std::thread canceller([&] {
      while (!runs.load()) std::this_thread::yield();
      for (int i = 0; i < round % 50; ++i) std::this_thread::yield();
      (void)tasks.Cancel(parent);
    });
    executor.RunUntilIdle();
    canceller.join();
    executor.RunUntilIdle();
    for (const ObjectRef& child : children) ASSERT_TRUE(child.ready());
  }
}

}  // namespace
}  // namespace rustyray::task
