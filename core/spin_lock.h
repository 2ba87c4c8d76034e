// SpinLock: a lock of one word that is given back by a plain store: half of what a Mutex costs.
//
// For what is guarded for a few instructions, or now and then for a walk over a list: nobody who has it calls out,
// blocks or allocates. Who waits for it spins, and lets others run now and then. In the child of a fork one that
// another thread had is taken for ever, as a mutex is. Counted with the mutexes (mutex.h). Threads: any.
#ifndef RUSTYRAY_CORE_SPIN_LOCK_H_
#define RUSTYRAY_CORE_SPIN_LOCK_H_

#include <sched.h>

#include <atomic>

#include "absl/base/thread_annotations.h"
#include "core/mutex.h"

namespace rustyray::core {

class ABSL_LOCKABLE SpinLock {
 public:
  SpinLock() = default;
  SpinLock(const SpinLock&) = delete;
  SpinLock& operator=(const SpinLock&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    ++locks_taken_by_this_thread;
    for (int spins = 0; locked_.exchange(true, std::memory_order_acquire);) {
      while (locked_.load(std::memory_order_relaxed)) {
        if (++spins % 64 == 0) sched_yield();
      }
    }
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() { locked_.store(false, std::memory_order_release); }

 private:
  std::atomic<bool> locked_{false};
};

class ABSL_SCOPED_LOCKABLE SpinLockHolder {
 public:
  explicit SpinLockHolder(SpinLock& lock) ABSL_EXCLUSIVE_LOCK_FUNCTION(lock) : lock_(lock) { lock_.Lock(); }
  ~SpinLockHolder() ABSL_UNLOCK_FUNCTION() { lock_.Unlock(); }
  SpinLockHolder(const SpinLockHolder&) = delete;
  SpinLockHolder& operator=(const SpinLockHolder&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_SPIN_LOCK_H_
