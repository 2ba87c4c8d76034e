// Exposure: under the address sanitizer, lets this process touch only those blocks of the arena that it has a writer or
// a pin of; else it is nothing. The sanitizer cannot see inside a mapping by itself. Internal to //object_store/shm.
//
// Threads: all methods, any thread.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_EXPOSURE_H_
#define RUSTYRAY_OBJECT_STORE_SHM_EXPOSURE_H_

#include <cstddef>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>

#include <map>

#include "core/mutex.h"

namespace rustyray::object_store::shm {

inline constexpr bool kAddressSanitized = true;

class Exposure {
 public:
  Exposure(const char* arena, std::size_t size) : arena_(arena), size_(size) {
    __asan_poison_memory_region(arena_, size_);
  }
  ~Exposure() { __asan_unpoison_memory_region(arena_, size_); }
  // Each counts; the last Conceal of a place ends it. What lies behind an object, its long name, is touched for a
  // moment only, within what may be exposed already.
  void Expose(const char* at, std::size_t size) {
    core::MutexLock lock(mutex_);
    if (counts_[at]++ == 0) __asan_unpoison_memory_region(at, size);
  }
  void Conceal(const char* at, std::size_t size) {
    core::MutexLock lock(mutex_);
    if (--counts_[at] > 0) return;
    counts_.erase(at);
    __asan_poison_memory_region(at, size);
  }

 private:
  const char* const arena_;
  const std::size_t size_;
  core::Mutex mutex_;
  std::map<const char*, int> counts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rustyray::object_store::shm

#else

namespace rustyray::object_store::shm {

inline constexpr bool kAddressSanitized = false;

class Exposure {
 public:
  Exposure(const char*, std::size_t) {}
  void Expose(const char*, std::size_t) {}
  void Conceal(const char*, std::size_t) {}
};

}  // namespace rustyray::object_store::shm

#endif

#endif  // RUSTYRAY_OBJECT_STORE_SHM_EXPOSURE_H_
