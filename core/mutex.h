// The one lock of the layers: std::mutex with clang's thread-safety annotations (checked by `clang -Wthread-safety`)
// and a count of acquisitions, so that a test can hold a hot path to "no lock".
//
// Threads: any. Mutex is not recursive and must outlive its holders.
// Why not absl::Mutex: the system's Abseil is not instrumented, so the thread sanitizer misjudges it.
#ifndef RUSTYRAY_CORE_MUTEX_H_
#define RUSTYRAY_CORE_MUTEX_H_

#include <condition_variable>
#include <cstdint>
#include <mutex>

#include "absl/base/thread_annotations.h"

namespace rustyray::core {

// How many locks (Mutex, SpinLock and the spin bits of records) this thread has taken since it started.
inline thread_local constinit std::uint64_t locks_taken_by_this_thread = 0;

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() {
    ++locks_taken_by_this_thread;
    mutex_.lock();
  }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex& mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) { mutex_.Lock(); }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mutex_;
};

// For the few threads that serve (the clock's timer, the pool's monitor). Waits of user threads use Parker.
class CondVar {
 public:
  void Wait(Mutex& mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  template <class TimePoint>
  void WaitUntil(Mutex& mutex, TimePoint deadline) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock<std::mutex> lock(mutex.mutex_, std::adopt_lock);
    condition_.wait_until(lock, deadline);
    lock.release();
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_MUTEX_H_
