// RuntimeUse: a call of the API that is under way. While it lives, the runtime that it found is not freed, also when
// another thread calls Shutdown meanwhile.
//
// Invariant: a thread says which runtime it uses in a word of its own and then looks again whether that is still the
// current one; Shutdown takes the current one away, makes all threads' stores visible (HeavyFence) and then looks at
// the words. So entering costs two plain stores and no shared write. A runtime that is in use is freed later, or never.
// Threads: any; a RuntimeUse stays on its thread and nests.
#ifndef RAY_API_RUNTIME_USE_H_
#define RAY_API_RUNTIME_USE_H_

#include <atomic>

#include "absl/status/status.h"
#include "core/biased_lock.h"
#include "runtime/runtime.h"

namespace ray::internal {

using rustyray::runtime::Runtime;

struct ThreadUse {
  std::atomic<Runtime*> runtime{nullptr};
};

inline std::atomic<Runtime*> current_runtime{nullptr};
inline thread_local constinit ThreadUse* this_thread_use = nullptr;

// A hint: it may be shut down meanwhile.
inline bool HasRuntime() { return current_runtime.load(std::memory_order_acquire) != nullptr; }

// Slow paths.
ThreadUse& RegisterThreadUse();
void KeepForEver(Runtime& runtime);
absl::Status NoRuntime();

class RuntimeUse {
 public:
  RuntimeUse() : use_(this_thread_use != nullptr ? *this_thread_use : RegisterThreadUse()) {
    outer_ = use_.runtime.load(std::memory_order_relaxed);
    runtime_ = current_runtime.load(std::memory_order_acquire);
    if (runtime_ == outer_) return;
    // A call inside a call, with a Shutdown and an Init in between: rare, and not worth a second word.
    if (outer_ != nullptr && runtime_ != nullptr) KeepForEver(*outer_);
    while (runtime_ != nullptr) {
      use_.runtime.store(runtime_, std::memory_order_release);
      rustyray::core::LightFence();
      Runtime* const still = current_runtime.load(std::memory_order_acquire);
      if (still == runtime_) return;
      runtime_ = still;
    }
    use_.runtime.store(outer_, std::memory_order_release);
  }
  ~RuntimeUse() {
    if (use_.runtime.load(std::memory_order_relaxed) != outer_) {
      use_.runtime.store(outer_, std::memory_order_release);
    }
  }
  RuntimeUse(const RuntimeUse&) = delete;
  RuntimeUse& operator=(const RuntimeUse&) = delete;

  explicit operator bool() const { return runtime_ != nullptr; }
  Runtime* operator->() const { return runtime_; }
  // Why there is none: before Init, after Shutdown, in the child of a fork.
  absl::Status status() const { return runtime_ != nullptr ? absl::OkStatus() : NoRuntime(); }

 private:
  ThreadUse& use_;
  Runtime* outer_;
  Runtime* runtime_;
};

}  // namespace ray::internal

#endif  // RAY_API_RUNTIME_USE_H_
