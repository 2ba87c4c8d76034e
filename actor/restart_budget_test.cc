#include "actor/restart_budget.h"

#include <chrono>
#include <vector>

#include "core/clock.h"
#include "gtest/gtest.h"

namespace rustyray::actor {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr core::Time kStart = core::Time() + seconds(1000);

std::vector<core::Duration> Backoffs(const RestartPolicy& policy, int count) {
  RestartBudget budget(policy);
  std::vector<core::Duration> backoffs;
  for (int i = 0; i < count; ++i) {
    EXPECT_TRUE(budget.Grant(kStart));
    backoffs.push_back(budget.Begin());
  }
  return backoffs;
}

TEST(RestartBudget, GrantsAsManyAsMayBegin) {
  const RestartPolicy policy{.max_restarts = 2};
  RestartBudget budget(policy);
  EXPECT_TRUE(budget.Grant(kStart));
  budget.Begin();
  EXPECT_TRUE(budget.Grant(kStart));
  budget.Begin();
  EXPECT_FALSE(budget.Grant(kStart));
  EXPECT_FALSE(budget.Grant(core::kNever));
  EXPECT_EQ(budget.begun(), 2);
}

TEST(RestartBudget, GrantsNoneByDefault) {
  const RestartPolicy policy;
  RestartBudget budget(policy);
  EXPECT_FALSE(budget.Grant(kStart));
  EXPECT_EQ(budget.begun(), 0);
}

TEST(RestartBudget, GrantsAnyNumberWithoutLimit) {
  const RestartPolicy policy{.max_restarts = -1};
  RestartBudget budget(policy);
  for (int i = 0; i < 10'000; ++i) {
    ASSERT_TRUE(budget.Grant(kStart));
    EXPECT_EQ(budget.Begin(), core::Duration::zero());
  }
  EXPECT_EQ(budget.begun(), 10'000);
}

TEST(RestartBudget, OneThatWasGivenUpDoesNotCountAgainstTheMost) {
  const RestartPolicy policy{.max_restarts = 1};
  RestartBudget budget(policy);
  EXPECT_TRUE(budget.Grant(kStart));  // given up: a kill for good came
  EXPECT_TRUE(budget.Grant(kStart));
  budget.Begin();
  EXPECT_FALSE(budget.Grant(kStart));
}

TEST(RestartBudget, TheWindowSlides) {
  const RestartPolicy policy{.max_restarts = -1, .max_in_window = 2, .window = seconds(10)};
  RestartBudget budget(policy);
  EXPECT_TRUE(budget.Grant(kStart));
  EXPECT_TRUE(budget.Grant(kStart + seconds(4)));
  EXPECT_FALSE(budget.Grant(kStart + seconds(10))) << "the first is in the window up to its very end";
  EXPECT_TRUE(budget.Grant(kStart + seconds(10) + core::Duration(1)));
  EXPECT_FALSE(budget.Grant(kStart + seconds(14)));
  EXPECT_TRUE(budget.Grant(kStart + seconds(15)));
}

TEST(RestartBudget, WhatTheWindowRefusesDoesNotFillIt) {
  const RestartPolicy policy{.max_restarts = -1, .max_in_window = 1, .window = seconds(10)};
  RestartBudget budget(policy);
  EXPECT_TRUE(budget.Grant(kStart));
  for (int second = 1; second <= 10; ++second) EXPECT_FALSE(budget.Grant(kStart + seconds(second)));
  EXPECT_TRUE(budget.Grant(kStart + seconds(11)));
}

TEST(RestartBudget, TheBackoffDoublesUpToItsMost) {
  EXPECT_EQ(Backoffs({.max_restarts = -1, .backoff = milliseconds(1), .max_backoff = milliseconds(6)}, 5),
            (std::vector<core::Duration>{milliseconds(1), milliseconds(2), milliseconds(4), milliseconds(6),
                                         milliseconds(6)}));
  EXPECT_EQ(Backoffs({.max_restarts = -1, .backoff = milliseconds(1), .max_backoff = milliseconds(4)}, 4),
            (std::vector<core::Duration>{milliseconds(1), milliseconds(2), milliseconds(4), milliseconds(4)}));
}

TEST(RestartBudget, OnlyTheFirstBackoffMayBeMoreThanTheMost) {
  EXPECT_EQ(Backoffs({.max_restarts = -1, .backoff = seconds(5), .max_backoff = seconds(1)}, 3),
            (std::vector<core::Duration>{seconds(5), seconds(1), seconds(1)}));
}

TEST(RestartBudget, ABackoffThatCannotBeDoubledIsTheMost) {
  const core::Duration most = core::Duration::max();
  EXPECT_EQ(
      Backoffs({.max_restarts = -1, .backoff = most / 2 - core::Duration(1), .max_backoff = most}, 4),
      (std::vector<core::Duration>{most / 2 - core::Duration(1), 2 * (most / 2 - core::Duration(1)), most, most}));
}

}  // namespace
}  // namespace rustyray::actor
