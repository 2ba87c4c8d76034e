// Exposure: under the address sanitizer, lets this process touch only those blocks of the arena that it has a writer or
// a pin of; else it is nothing. The sanitizer cannot see inside a mapping by itself. Internal to //object_store/shm.
//
// Threads: all methods, any thread.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_EXPOSURE_H_
#define RUSTYRAY_OBJECT_STORE_SHM_EXPOSURE_H_

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>

#include <algorithm>
#include <map>

#include "core/mutex.h"

namespace rustyray::object_store::shm {

inline constexpr bool kAddressSanitized = true;

class Exposure {
 public:
  explicit Exposure(const char* arena) : arena_(arena) {}
  ~Exposure() { __asan_unpoison_memory_region(arena_, hidden_to_); }
  // Memory that nobody has yet.
  void Hide(const char* at, std::size_t size) {
    core::MutexLock lock(mutex_);
    hidden_to_ = std::max(hidden_to_, static_cast<std::size_t>(at - arena_) + size);
    __asan_poison_memory_region(at, size);
  }
  // Whole blocks. Each counts; the last Conceal of a block ends it.
  void Expose(const char* at, std::size_t size) {
    core::MutexLock lock(mutex_);
    hidden_to_ = std::max(hidden_to_, static_cast<std::size_t>(at - arena_) + size);
    ++counts_[at];
    __asan_unpoison_memory_region(at, size);
  }
  void Conceal(const char* at, std::size_t size) {
    core::MutexLock lock(mutex_);
    if (--counts_[at] > 0) return;
    counts_.erase(at);
    __asan_poison_memory_region(at, size);
  }

 private:
  const char* const arena_;
  core::Mutex mutex_;
  std::size_t hidden_to_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<const char*, int> counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rustyray::object_store::shm

#else

namespace rustyray::object_store::shm {

inline constexpr bool kAddressSanitized = false;

class Exposure {
 public:
  explicit Exposure(const char*) {}
  void Hide(const char*, std::size_t) {}
  void Expose(const char*, std::size_t) {}
  void Conceal(const char*, std::size_t) {}
};

}  // namespace rustyray::object_store::shm

#endif

#endif  // RUSTYRAY_OBJECT_STORE_SHM_EXPOSURE_H_
