#include "actor/turn_lock.h"

#include <atomic>
#include <thread>
#include <vector>

#include "core/mutex.h"
#include "core/parker.h"
#include "gtest/gtest.h"

namespace rustyray::actor {
namespace {

class TurnLockTest : public testing::TestWithParam<bool> {
 protected:
  core::Mutex mutex_;
  TurnLock lock_{mutex_, /*biased=*/GetParam()};
  void Change() ABSL_EXCLUSIVE_LOCKS_REQUIRED(lock_) {
    state_ = state_ + 1;
    for (int i = 0; i < 20; ++i) core::SpinPause();
    state_ = state_ - 1;
  }
  // Zero. Not atomic: the thread sanitizer is to see any overlap.
  volatile int state_ ABSL_GUARDED_BY(lock_) = 0;
};

// One thread has the turn all the time, or two threads hand it to each other; others look now and then.
TEST_P(TurnLockTest, OnlyOneThreadHasIt) {
  constexpr int kTurns = 2, kOthers = 2, kLooks = 300;
  std::atomic<int> turn{0};     // whose it is
  std::atomic<int> looking{2};  // others that are not done
  std::vector<std::thread> threads;
  std::atomic<int> rounds{0};
  for (int me = 0; me < kTurns; ++me) {
    threads.emplace_back([&, me] {
      while (looking.load() > 0) {
        if (lock_.biased() && turn.load(std::memory_order_acquire) != me) {
          std::this_thread::yield();
          continue;
        }
        for (int i = 0; i < 50; ++i) {
          const TurnLock::Section section(lock_);
          Change();
          ++rounds;
        }
        {
          core::MutexLock lock(mutex_);
          const TurnLock::WithMutex with_mutex(lock_, TurnLock::Who::kHasTurn);
          Change();
        }
        turn.store(1 - me, std::memory_order_release);
      }
    });
  }
  for (int other = 0; other < kOthers; ++other) {
    threads.emplace_back([&] {
      for (int i = 0; i < kLooks || rounds.load() < 1000; ++i) {
        core::MutexLock lock(mutex_);
        const TurnLock::WithMutex with_mutex(lock_, TurnLock::Who::kOther);
        EXPECT_EQ(state_, 0);
        Change();
      }
      --looking;
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(TurnLockTest, ABiasedSectionTakesNoLock) {
  { const TurnLock::Section first(lock_); }
  const std::uint64_t before = core::locks_taken_by_this_thread;
  { const TurnLock::Section section(lock_); }
  EXPECT_EQ(core::locks_taken_by_this_thread - before, GetParam() ? 0u : 1u);
}

INSTANTIATE_TEST_SUITE_P(BiasedOrNot, TurnLockTest, testing::Bool());

}  // namespace
}  // namespace rustyray::actor
