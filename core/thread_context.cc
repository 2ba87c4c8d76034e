#include "core/thread_context.h"

#include <pthread.h>

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "core/mutex.h"

namespace rustyray::core {
namespace {

std::uintptr_t StackEnd() {
  pthread_attr_t attributes;
  void* low = nullptr;
  std::size_t size = 0;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return 0;
  pthread_attr_getstack(&attributes, &low, &size);
  pthread_attr_destroy(&attributes);
  return reinterpret_cast<std::uintptr_t>(low);
}

}  // namespace

std::uint32_t AssignThreadNumber() {
  static std::atomic<std::uint32_t> next{1};
  this_thread_number = next.fetch_add(1, std::memory_order_relaxed);
  return this_thread_number;
}

namespace {

// Parkers are recycled, never freed: a thread may end between another thread's "ready" and its Unpark. A late token
// costs the next owner one look at its condition.
struct ParkerPool {
  Mutex mutex;
  std::vector<std::unique_ptr<Parker>> all ABSL_GUARDED_BY(mutex);
  std::vector<Parker*> free ABSL_GUARDED_BY(mutex);

  static ParkerPool& Get() {
    static ParkerPool* const pool = new ParkerPool;
    return *pool;
  }
};

Parker* TakeParker() {
  ParkerPool& pool = ParkerPool::Get();
  MutexLock lock(pool.mutex);
  if (pool.free.empty()) {
    pool.all.push_back(std::make_unique<Parker>());
    return pool.all.back().get();
  }
  Parker* const parker = pool.free.back();
  pool.free.pop_back();
  return parker;
}

thread_local constinit Parker* this_thread_parker = nullptr;
thread_local constinit bool thread_is_ending = false;

// Gives the parker back when the thread ends. Who parks even later, in a destructor or an exit handler, takes another,
// which is not given back: two threads on one parker would lose wake-ups.
struct GiveParkerBack {
  ~GiveParkerBack() {
    thread_is_ending = true;
    ParkerPool& pool = ParkerPool::Get();
    MutexLock lock(pool.mutex);
    pool.free.push_back(std::exchange(this_thread_parker, nullptr));
  }
};

}  // namespace

Parker& ThisThreadParker() {
  if (this_thread_parker != nullptr) [[likely]]
    return *this_thread_parker;
  this_thread_parker = TakeParker();
  if (!thread_is_ending) {
    static thread_local GiveParkerBack at_end;
    (void)at_end;
  }
  return *this_thread_parker;
}

std::size_t StackLeft() {
  thread_local const std::uintptr_t end = StackEnd();
  const auto here = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
  return here > end ? here - end : 0;
}

}  // namespace rustyray::core
