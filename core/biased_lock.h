// BiasedLock: for state of which each thread changes a part of its own all the time, and which somebody looks at as a
// whole, or takes from, now and then.
//
// A thread changes its part within a Section: a few instructions of its own cache lines, no atomic read-modify-write
// and no fence. Who wants the parts of others begins an Intrusion: it takes the lock's mutex, says so, makes what all
// threads stored visible (membarrier(2), under a microsecond, and about half of one for each thread that runs
// meanwhile), and waits for those inside. Sections that begin meanwhile wait for its end on the mutex. Invariant: no
// thread is within a Section of a lock while an Intrusion of that lock is under way, save one that has the lock's
// mutex; so Sections exclude Intrusions, and not each other: what two of them touch must not be the same. Rules: a
// Section is short, allocates nothing, takes no lock, calls nothing foreign and does not nest, not even with one of
// another lock. An Intrusion is not begun within a Section. What is changed is still std::atomic, accessed with relaxed
// order, where others look at it outside of Intrusions. AwaitReaders is less than a Section, for one who only takes
// away what is its own. Also here: LightFence and HeavyFence, for "store here, then look there" of a thread on a hot
// path against the same, the other way round, of one that is not. Of the two at least one sees the other's store.
// Threads: all of it, any thread. Locks must outlive those that use them.
#ifndef RUSTYRAY_CORE_BIASED_LOCK_H_
#define RUSTYRAY_CORE_BIASED_LOCK_H_

#include <atomic>
#include <cassert>
#include <cstdint>

#include "absl/base/thread_annotations.h"
#include "core/mutex.h"

namespace rustyray::core {

namespace internal {

// Whether the kernel makes other threads' stores visible for us; false before the program's statics are made.
extern std::atomic<bool> heavy_fences_work;
void FullFence();

// One thread's "I am inside", of all locks. Recycled, never freed.
struct alignas(64) ThreadInside {
  std::atomic<std::uint32_t> inside{0};
};
inline thread_local constinit ThreadInside* this_thread_inside = nullptr;
// Null for a thread that is ending, and gave its word back.
ThreadInside* RegisterThreadInside();

// Of this process: what a thread that a fork left behind was doing does not count in the child.
extern std::atomic<std::uint32_t> forks;

}  // namespace internal

// On the hot path: the stores before it come before the loads after it, as a thread sees it that calls HeavyFence.
inline void LightFence() {
  if (internal::heavy_fences_work.load(std::memory_order_relaxed)) [[likely]] {
    std::atomic_signal_fence(std::memory_order_seq_cst);
  } else {
    internal::FullFence();
  }
}
// A fence of this thread, and of each other thread where it is.
void HeavyFence();

class ABSL_LOCKABLE BiasedLock {
 public:
  BiasedLock() = default;
  BiasedLock(const BiasedLock&) = delete;
  BiasedLock& operator=(const BiasedLock&) = delete;

  class ABSL_SCOPED_LOCKABLE Section {
   public:
    explicit Section(BiasedLock& lock) ABSL_SHARED_LOCK_FUNCTION(lock) : me_(internal::this_thread_inside) {
      if (me_ == nullptr) [[unlikely]] {
        me_ = internal::RegisterThreadInside();
        if (me_ == nullptr) {
          WaitFor(lock);
          return;
        }
      }
      assert(me_->inside.load(std::memory_order_relaxed) == 0 && "sections do not nest");
      me_->inside.store(1, std::memory_order_relaxed);
      LightFence();
      if (lock.intruded_.load(std::memory_order_acquire) != 0 && lock.IsIntruded()) [[unlikely]] {
        me_->inside.store(0, std::memory_order_release);
        WaitFor(lock);
      }
    }
    ~Section() ABSL_UNLOCK_FUNCTION() {
      if (waited_for_ == nullptr) [[likely]] {
        me_->inside.store(0, std::memory_order_release);
      } else {
        waited_for_->mutex_.Unlock();
      }
    }
    Section(const Section&) = delete;
    Section& operator=(const Section&) = delete;

   private:
    void WaitFor(BiasedLock& lock) ABSL_NO_THREAD_SAFETY_ANALYSIS {
      lock.mutex_.Lock();
      waited_for_ = &lock;
    }
    internal::ThreadInside* me_;
    BiasedLock* waited_for_ = nullptr;  // then it has the mutex
  };

  class ABSL_SCOPED_LOCKABLE Intrusion {
   public:
    explicit Intrusion(BiasedLock& lock) ABSL_EXCLUSIVE_LOCK_FUNCTION(lock) : lock_(lock) { lock.Intrude(); }
    ~Intrusion() ABSL_UNLOCK_FUNCTION() { lock_.Leave(); }
    Intrusion(const Intrusion&) = delete;
    Intrusion& operator=(const Intrusion&) = delete;

   private:
    BiasedLock& lock_;
  };

  // What an Intrusion does at its two ends: for who cannot scope one.
  void Intrude() ABSL_EXCLUSIVE_LOCK_FUNCTION();
  void Leave() ABSL_UNLOCK_FUNCTION();

  // For who took something of its own out of what others read in intrusions, by one relaxed store, and needs no
  // Section: from here on nobody reads it. An intrusion that began before it saw the store is waited for.
  void AwaitReaders() {
    LightFence();
    if (intruded_.load(std::memory_order_acquire) != 0 && IsIntruded()) [[unlikely]] {
      mutex_.Lock();
      mutex_.Unlock();
    }
  }

 private:
  bool IsIntruded() const {
    return intruded_.load(std::memory_order_acquire) == internal::forks.load(std::memory_order_relaxed);
  }

  Mutex mutex_;
  std::atomic<std::uint32_t> intruded_{0};  // forks, of who intrudes; 0: nobody; written under the mutex
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_BIASED_LOCK_H_
