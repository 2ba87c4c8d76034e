// Parker: puts one thread to sleep until another thread calls Unpark, by one futex word.
//
// Invariant: an Unpark before a Park is not lost: the next Park returns at once (one token, not a count).
// Threads: Park* only by the parker's own thread; the others by any. The parker must outlive each Unpark: whoever may
// still call it must be waited for before the parker goes.
#ifndef RUSTYRAY_CORE_PARKER_H_
#define RUSTYRAY_CORE_PARKER_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>

namespace rustyray::core {

// A moment's rest within a loop that waits without sleeping.
inline void SpinPause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

class Parker {
 public:
  Parker() = default;
  Parker(const Parker&) = delete;
  Parker& operator=(const Parker&) = delete;

  // Sleeps until there is a token, and takes it.
  void Park();
  // The same, up to `deadline`. Returns whether it took the token.
  bool ParkUntil(std::chrono::steady_clock::time_point deadline);
  // Leaves a token and wakes the thread if it sleeps. What the caller wrote before is seen by the woken thread.
  void Unpark();
  // Takes the token if there is one, without sleeping.
  bool TryPark() { return word_.exchange(kEmpty, std::memory_order_acquire) == kToken; }

  // Whether a Park would return at once.
  bool has_token() const { return word_.load(std::memory_order_acquire) == kToken; }

 private:
  static constexpr std::uint32_t kEmpty = 0, kToken = 1, kParked = 2;
  std::atomic<std::uint32_t> word_{kEmpty};
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_PARKER_H_
