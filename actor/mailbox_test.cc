#include "actor/mailbox.h"

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "actor/turn_lock.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/mutex.h"
#include "core/record.h"
#include "core/testing/seeds.h"
#include "core/testing/test_owner.h"
#include "core/waiting.h"
#include "gtest/gtest.h"
#include "task/typed_call.h"

namespace rustyray::actor {
namespace {

constexpr core::FunctionInfo kNothing{"nothing"};

class MailboxTest : public ::testing::Test {
 protected:
  // A call that is never submitted; it has its queue's hold.
  core::Call& Make() {
    calls_.push_back(task::MakeCall(owner_, kNothing, [] {}));
    return *calls_.back();
  }
  void Make(int count) {
    for (int i = 0; i < count; ++i) Make();
  }
  core::Call& call(std::size_t number) { return *calls_[number]; }
  // Puts it in, as a caller does who finds room.
  bool Add(core::Call& call) {
    mailbox_.TakeRoom();
    return mailbox_.Push(call);
  }
  core::Call* Pop() {
    const TurnLock::Section lock(turn_lock_);
    return mailbox_.Pop(turn_lock_);
  }
  core::Call* Front() {
    const TurnLock::Section lock(turn_lock_);
    return mailbox_.Front(turn_lock_);
  }
  bool GoIdle() {
    const TurnLock::Section lock(turn_lock_);
    return mailbox_.GoIdle(turn_lock_);
  }
  void PutBack(core::Call& call) {
    const TurnLock::Section lock(turn_lock_);
    mailbox_.PutBack(call, turn_lock_);
  }
  std::vector<core::RecordHold> PopSealed() {
    const TurnLock::Section lock(turn_lock_);
    return mailbox_.PopSealed(turn_lock_);
  }
  static void Seal(core::Call& call) {
    ASSERT_TRUE(call.Cancel(core::MakeError({.code = absl::StatusCode::kCancelled, .message = "by the test"})));
  }

  core::ManualClock clock_;
  core::Waiting waiting_{clock_};
  core::TestOwner owner_{waiting_};
  core::Mutex mutex_;
  TurnLock turn_lock_{mutex_, /*biased=*/true};
  Mailbox mailbox_{4};
  std::vector<task::CallPtr> calls_;  // gone before their owner
};

TEST_F(MailboxTest, CallsLeaveInTheOrderInWhichTheyCame) {
  Make(5);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(Add(call(i)));
  EXPECT_EQ(Pop(), &call(0));
  for (int i = 3; i < 5; ++i) EXPECT_FALSE(Add(call(i)));  // onto the inbox, while the front has two
  for (int i = 1; i < 5; ++i) {
    EXPECT_EQ(Front(), &call(i));
    EXPECT_EQ(Pop(), &call(i));
  }
  EXPECT_EQ(Front(), nullptr);
  EXPECT_EQ(Pop(), nullptr);
}

TEST_F(MailboxTest, WhatIsPutBackLeavesFirstAndNeedsNoRoom) {
  Make(4);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(mailbox_.TryTakeRoom());
    (void)mailbox_.Push(call(i));
  }
  EXPECT_EQ(Pop(), &call(0));
  EXPECT_EQ(Pop(), &call(1));
  ASSERT_TRUE(mailbox_.TryTakeRoom());
  ASSERT_TRUE(mailbox_.TryTakeRoom());
  PutBack(call(1));
  PutBack(call(0));
  EXPECT_EQ(mailbox_.taken(), 6u);
  for (int i = 0; i < 4; ++i) EXPECT_EQ(Pop(), &call(i));
  EXPECT_EQ(mailbox_.taken(), 2u) << "the room that two took";
}

TEST_F(MailboxTest, RoomIsTakenUpToTheCapacityAndGivenBack) {
  EXPECT_EQ(mailbox_.taken(), 0u);
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(mailbox_.TryTakeRoom());
  EXPECT_FALSE(mailbox_.TryTakeRoom());
  EXPECT_EQ(mailbox_.taken(), 4u) << "who found no room took some";
  mailbox_.GiveRoom();
  EXPECT_TRUE(mailbox_.TryTakeRoom());
  (void)mailbox_.Push(Make());
  EXPECT_EQ(mailbox_.taken(), 4u) << "a call took room twice";
  EXPECT_NE(Pop(), nullptr);
  EXPECT_EQ(mailbox_.taken(), 3u);
  for (int i = 0; i < 3; ++i) mailbox_.GiveRoom();
  EXPECT_EQ(mailbox_.taken(), 0u);
}

TEST_F(MailboxTest, WithoutACapacityThereIsRoomAndTheCallsAreCounted) {
  Mailbox unbounded(kUnboundedMailbox);
  const auto count = [&] {
    const TurnLock::Section lock(turn_lock_);
    return unbounded.Count(turn_lock_);
  };
  const auto pop = [&] {
    const TurnLock::Section lock(turn_lock_);
    return unbounded.Pop(turn_lock_);
  };
  Make(10);
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(unbounded.TryTakeRoom());
    EXPECT_EQ(count(), static_cast<std::size_t>(i)) << "room counts as no call";
    (void)unbounded.Push(call(i));
  }
  EXPECT_EQ(pop(), &call(0));
  EXPECT_EQ(count(), 9u);
  {
    const TurnLock::Section lock(turn_lock_);
    unbounded.PutBack(call(0), turn_lock_);
  }
  EXPECT_EQ(count(), 10u);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(pop(), &call(i));
  EXPECT_EQ(count(), 0u);
  EXPECT_FALSE(unbounded.idle());
}

TEST_F(MailboxTest, WhoEndsTheIdlenessIsTold) {
  Make(3);
  EXPECT_FALSE(mailbox_.Wake()) << "it begins with a turn";
  EXPECT_FALSE(Add(call(0)));
  EXPECT_EQ(Pop(), &call(0));
  EXPECT_TRUE(GoIdle());
  EXPECT_TRUE(GoIdle()) << "idle already";
  EXPECT_EQ(Pop(), nullptr) << "idle is no call";
  EXPECT_TRUE(Add(call(1)));
  EXPECT_FALSE(Add(call(2)));
  EXPECT_FALSE(mailbox_.Wake());
  EXPECT_FALSE(GoIdle()) << "calls were pushed";
  EXPECT_EQ(Pop(), &call(1));
  EXPECT_EQ(Pop(), &call(2));
  EXPECT_TRUE(GoIdle());
  EXPECT_TRUE(mailbox_.Wake());
  EXPECT_FALSE(mailbox_.Wake());
  EXPECT_EQ(Pop(), nullptr);
}

TEST_F(MailboxTest, SealedCallsAtTheFrontMakeRoomAndOthersStay) {
  Make(5);
  for (int i = 0; i < 5; ++i) (void)Add(call(i));
  Seal(call(0));
  Seal(call(1));
  Seal(call(3));
  const std::vector<core::RecordHold> sealed = PopSealed();
  ASSERT_EQ(sealed.size(), 2u);
  EXPECT_EQ(&*sealed[0], &call(0));
  EXPECT_EQ(&*sealed[1], &call(1));
  EXPECT_EQ(mailbox_.taken(), 3u);
  EXPECT_TRUE(PopSealed().empty());
  EXPECT_EQ(Pop(), &call(2));
  EXPECT_EQ(Pop(), &call(3));
  EXPECT_EQ(PopSealed().size(), 0u);
  EXPECT_EQ(Pop(), &call(4));
  for (std::size_t i = 0; i < 2; ++i) call(i).AddHold();  // the queue's went with them; calls_ gives it back again
}

// Callers push without a lock, one consumer takes turns that whoever ended the idleness hands to it.
TEST_F(MailboxTest, NoCallIsLostOrOvertakenAndNoTurnIsDoubled) {
  constexpr int kCallers = 3;
  const int each = core::kSanitized ? 2'000 : 20'000;
  Make(kCallers * each);
  ASSERT_TRUE(GoIdle());
  std::atomic<int> turns{0};  // scheduled, and not begun
  std::atomic<int> callers{kCallers};
  std::vector<std::thread> threads;
  for (int caller = 0; caller < kCallers; ++caller) {
    threads.emplace_back([&, caller] {
      for (int i = 0; i < each; ++i) {
        if (Add(call(static_cast<std::size_t>(caller * each + i)))) {
          EXPECT_EQ(turns.fetch_add(1), 0) << "two turns at once";
        }
      }
      --callers;
    });
  }
  std::vector<const core::Call*> taken;
  int ran = 0;
  for (;;) {
    const bool last = callers.load() == 0;
    if (turns.load() == 0) {
      if (last) break;
      std::this_thread::yield();
      continue;
    }
    --turns;
    ++ran;
    do {
      while (const core::Call* const next = Pop()) taken.push_back(next);
    } while (!GoIdle());
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_EQ(taken.size(), calls_.size());
  EXPECT_EQ(mailbox_.taken(), 0u);
  EXPECT_GE(ran, 1);
  std::vector<int> next(kCallers, 0);
  for (const core::Call* const one : taken) {
    int caller = 0;
    while (caller < kCallers && (next[caller] == each || one != &call(caller * each + next[caller]))) ++caller;
    ASSERT_LT(caller, kCallers) << "a call overtook another of its caller";
    ++next[caller];
  }
}

}  // namespace
}  // namespace rustyray::actor
