// WatchedClock: a clock that stands still, and knows how many threads sleep by it, so that a test can wait until others
// wait, without sleeping.
//
// Threads: all methods, any thread.
#ifndef RUSTYRAY_OBJECT_STORE_TESTING_WATCHED_CLOCK_H_
#define RUSTYRAY_OBJECT_STORE_TESTING_WATCHED_CLOCK_H_

#include <cstddef>

#include "core/clock.h"
#include "core/mutex.h"

namespace rustyray::object_store {

class WatchedClock final : public core::Clock {
 public:
  core::Time Now() override { return clock_.Now(); }
  void Arm(core::Timer& timer, core::Time at) override { clock_.Arm(timer, at); }
  bool Cancel(core::Timer& timer) override { return clock_.Cancel(timer); }
  bool ParkUntil(core::Parker& parker, core::Time deadline) override {
    CountSleeper(1);
    const bool token = clock_.ParkUntil(parker, deadline);
    CountSleeper(-1);
    return token;
  }
  void Advance(core::Duration by) { clock_.Advance(by); }
  // Returns once `count` threads sleep, or are about to.
  void AwaitSleepers(int count) {
    core::MutexLock lock(mutex_);
    while (sleepers_ < count) changed_.Wait(mutex_);
  }

 private:
  void CountSleeper(int change) {
    core::MutexLock lock(mutex_);
    sleepers_ += change;
    changed_.NotifyAll();
  }

  core::ManualClock clock_;
  core::Mutex mutex_;
  core::CondVar changed_;
  int sleepers_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_TESTING_WATCHED_CLOCK_H_
