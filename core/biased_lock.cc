#include "core/biased_lock.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace rustyray::core {
namespace internal {

constinit std::atomic<bool> heavy_fences_work{false};
constinit std::atomic<std::uint32_t> forks{1};

// A read-modify-write, which every tool knows; the thread sanitizer does not know fences.
void FullFence() {
  static thread_local constinit std::atomic<int> word{0};
  word.exchange(0, std::memory_order_seq_cst);
}

namespace {

bool RegisterWithKernel() { return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0; }

// All threads' words, and those that wait for a new thread.
struct Registry {
  Mutex mutex;
  std::vector<std::unique_ptr<ThreadInside>> all ABSL_GUARDED_BY(mutex);
  std::vector<ThreadInside*> free ABSL_GUARDED_BY(mutex);

  static Registry& Get() {
    static Registry* const registry = [] {
      // In the child of a fork there are no other threads that could still leave.
      pthread_atfork(BeforeFork, InParent, InChild);
      return new Registry;
    }();
    return *registry;
  }
  static void BeforeFork() ABSL_NO_THREAD_SAFETY_ANALYSIS { Get().mutex.Lock(); }
  static void InParent() ABSL_NO_THREAD_SAFETY_ANALYSIS { Get().mutex.Unlock(); }
  static void InChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    for (const std::unique_ptr<ThreadInside>& thread : Get().all) thread->inside.store(0, std::memory_order_relaxed);
    forks.fetch_add(1, std::memory_order_relaxed);
    Get().mutex.Unlock();
  }
};

const bool at_start = [] {
  heavy_fences_work.store(RegisterWithKernel(), std::memory_order_relaxed);
  return true;
}();

thread_local constinit bool ending = false;

// Gives the thread's word back when it ends. Who comes even later, from a destructor or an exit handler, has none.
struct GiveBack {
  ~GiveBack() {
    ending = true;
    Registry& registry = Registry::Get();
    MutexLock lock(registry.mutex);
    registry.free.push_back(std::exchange(this_thread_inside, nullptr));
  }
};

}  // namespace

ThreadInside* RegisterThreadInside() {
  (void)at_start;
  if (ending) return nullptr;
  Registry& registry = Registry::Get();
  {
    MutexLock lock(registry.mutex);
    if (registry.free.empty()) {
      registry.all.push_back(std::make_unique<ThreadInside>());
      this_thread_inside = registry.all.back().get();
    } else {
      this_thread_inside = registry.free.back();
      registry.free.pop_back();
    }
  }
  static thread_local GiveBack at_end;
  (void)at_end;
  return this_thread_inside;
}

}  // namespace internal

void HeavyFence() {
  if (!internal::heavy_fences_work.load(std::memory_order_relaxed)) {
    internal::FullFence();  // light ones are full ones, too
    return;
  }
  while (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0) {
    if (errno == EPERM && internal::RegisterWithKernel()) continue;
    std::perror("rustyray: membarrier worked before and does not any more");
    std::abort();  // nothing that threads did meanwhile can be trusted
  }
}

void BiasedLock::Intrude() {
  mutex_.Lock();
  intruded_.store(internal::forks.load(std::memory_order_relaxed), std::memory_order_relaxed);
  HeavyFence();
  internal::Registry& registry = internal::Registry::Get();
  // Who registers after this look sees that the lock is intruded: the registry's mutex orders the two.
  MutexLock lock(registry.mutex);
  for (const std::unique_ptr<internal::ThreadInside>& thread : registry.all) {
    for (int spins = 0; thread->inside.load(std::memory_order_acquire) != 0;) {
      if (++spins % 64 == 0) sched_yield();
    }
  }
}

void BiasedLock::Leave() {
  intruded_.store(0, std::memory_order_release);
  mutex_.Unlock();
}

}  // namespace rustyray::core
