#include "actor/caller_lanes.h"

#include <cstddef>
#include <deque>
#include <vector>

#include "actor/caller.h"
#include "core/call.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "core/record.h"
#include "core/testing/test_owner.h"
#include "core/waiting.h"
#include "gtest/gtest.h"
#include "task/typed_call.h"

namespace rustyray::actor {
namespace {

constexpr core::FunctionInfo kNothing{"nothing"};
constexpr CallerId kAnn = 1;
constexpr CallerId kBob = 2;

struct Held final : HeldCall {
  Held(core::Call& call, CallerId caller) : HeldCall(call, caller, [](core::Waiter&) {}) {}
};

// Calls are known by their numbers.
class CallerLanesTest : public ::testing::Test {
 protected:
  // Holds another call of `caller` back, submitted.
  void Hold(CallerId caller) {
    calls_.push_back(task::MakeCall(owner_, kNothing, [] {}));
    held_.emplace_back(*calls_.back(), caller);
    held_.back().submitted = true;
    core::MutexLock lock(mutex_);
    lanes_.Add(held_.back(), mutex_);
  }
  Held& held(std::size_t number) { return held_[number]; }
  int NumberOf(const core::Record& record) const {
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      if (&*calls_[i] == &record) return static_cast<int>(i);
    }
    return -1;
  }
  std::vector<int> Release(CallerId caller) {
    std::vector<int> released;
    core::MutexLock lock(mutex_);
    lanes_.Release(
        caller,
        [&](HeldCall& held) {
          EXPECT_TRUE(lanes_.any()) << "the caller's next call could go ahead of this one";
          released.push_back(NumberOf(held.call));
        },
        mutex_);
    return released;
  }
  std::vector<int> InOrder() {
    core::MutexLock lock(mutex_);
    std::vector<int> numbers;
    for (const core::RecordHold& hold : lanes_.InOrder(mutex_)) numbers.push_back(NumberOf(*hold));
    return numbers;
  }
  bool Has(CallerId caller) {
    core::MutexLock lock(mutex_);
    return lanes_.Has(caller, mutex_);
  }
  HeldCall* Find(std::size_t number) {
    core::MutexLock lock(mutex_);
    return lanes_.Find(*calls_[number], mutex_);
  }
  int FirstBefore(std::size_t number) {
    core::MutexLock lock(mutex_);
    const core::Call* const first = lanes_.FirstBefore(*calls_[number], mutex_);
    return first != nullptr ? NumberOf(*first) : -1;
  }

  core::ManualClock clock_;
  core::Waiting waiting_{clock_};
  core::TestOwner owner_{waiting_};
  core::Mutex mutex_;
  CallerLanes lanes_;
  std::vector<task::CallPtr> calls_;
  std::deque<Held> held_;
};

using Numbers = std::vector<int>;

TEST_F(CallerLanesTest, NothingIsHeldAtFirst) {
  calls_.push_back(task::MakeCall(owner_, kNothing, [] {}));
  EXPECT_FALSE(lanes_.any());
  EXPECT_FALSE(Has(kAnn));
  EXPECT_EQ(Find(0), nullptr);
  EXPECT_EQ(FirstBefore(0), -1);
  EXPECT_EQ(InOrder(), Numbers());
  EXPECT_EQ(Release(kAnn), Numbers());
}

TEST_F(CallerLanesTest, AReadyCallWaitsForThoseBeforeItInItsLane) {
  for (int i = 0; i < 3; ++i) Hold(kAnn);
  held(1).ready = true;
  EXPECT_EQ(Release(kAnn), Numbers());
  held(0).ready = true;
  EXPECT_EQ(Release(kAnn), (Numbers{0, 1}));
  EXPECT_TRUE(lanes_.any());
  EXPECT_TRUE(Has(kAnn));
  held(2).ready = true;
  EXPECT_EQ(Release(kAnn), (Numbers{2}));
  EXPECT_FALSE(lanes_.any());
  EXPECT_FALSE(Has(kAnn));
}

TEST_F(CallerLanesTest, ASealedCallLetsThoseBehindItGo) {
  for (int i = 0; i < 3; ++i) Hold(kAnn);
  held(1).ready = held(2).ready = true;
  held(0).sealed = true;
  EXPECT_EQ(Release(kAnn), (Numbers{0, 1, 2}));
  EXPECT_FALSE(lanes_.any());
}

TEST_F(CallerLanesTest, LanesPassEachOtherBy) {
  Hold(kAnn);
  Hold(kBob);
  held(1).ready = true;
  EXPECT_EQ(Release(kAnn), Numbers());
  EXPECT_EQ(Release(kBob), (Numbers{1}));
  EXPECT_FALSE(Has(kBob));
  EXPECT_TRUE(Has(kAnn));
  EXPECT_TRUE(lanes_.any());
}

TEST_F(CallerLanesTest, ALaneThatWasEmptyIsUsedAgain) {
  Hold(kAnn);
  held(0).ready = true;
  EXPECT_EQ(Release(kAnn), (Numbers{0}));
  Hold(kAnn);
  EXPECT_EQ(Release(kAnn), Numbers()) << "its call is not ready";
  held(1).ready = true;
  EXPECT_EQ(Release(kAnn), (Numbers{1}));
}

TEST_F(CallerLanesTest, FindsACallWhileItIsHeld) {
  Hold(kAnn);
  Hold(kAnn);
  EXPECT_EQ(Find(0), &held(0));
  EXPECT_EQ(Find(1), &held(1));
  held(0).ready = true;
  EXPECT_EQ(Release(kAnn), (Numbers{0}));
  EXPECT_EQ(Find(0), nullptr);
  EXPECT_EQ(Find(1), &held(1));
}

TEST_F(CallerLanesTest, ListsSubmittedCallsOfAllLanesInTheOrderInWhichTheyCame) {
  for (int i = 0; i < 40; ++i) Hold(static_cast<CallerId>(i % 7));
  held(5).submitted = false;
  held(0).ready = true;
  EXPECT_EQ(Release(0), (Numbers{0}));
  Numbers all;
  for (int i = 1; i < 40; ++i) {
    if (i != 5) all.push_back(i);
  }
  EXPECT_EQ(InOrder(), all);
}

TEST_F(CallerLanesTest, TellsTheSubmittedFirstOfALane) {
  for (int i = 0; i < 3; ++i) Hold(kAnn);
  Hold(kBob);
  EXPECT_EQ(FirstBefore(0), -1) << "it is the first";
  EXPECT_EQ(FirstBefore(1), 0);
  EXPECT_EQ(FirstBefore(2), 0);
  EXPECT_EQ(FirstBefore(3), -1) << "the other lane's are not before it";
  held(0).submitted = false;
  EXPECT_EQ(FirstBefore(2), -1) << "nobody may touch that one yet";
  held(0).ready = true;
  EXPECT_EQ(Release(kAnn), (Numbers{0}));
  EXPECT_EQ(FirstBefore(2), 1);
}

}  // namespace
}  // namespace rustyray::actor
