#include "core/parker.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <ctime>

namespace rustyray::core {
namespace {

// FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time, which is what steady_clock counts in libstdc++.
void FutexWait(std::atomic<std::uint32_t>& word, std::uint32_t expected, const timespec* deadline) {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAIT_BITSET_PRIVATE, expected, deadline, nullptr,
          FUTEX_BITSET_MATCH_ANY);
}

void FutexWakeOne(std::atomic<std::uint32_t>& word) {
  syscall(SYS_futex, reinterpret_cast<std::uint32_t*>(&word), FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
}

}  // namespace

void Parker::Park() {
  std::uint32_t seen = kEmpty;
  if (!word_.compare_exchange_strong(seen, kParked, std::memory_order_acquire)) {
    word_.exchange(kEmpty, std::memory_order_acquire);
    return;
  }
  while (word_.load(std::memory_order_acquire) == kParked) FutexWait(word_, kParked, nullptr);
  word_.exchange(kEmpty, std::memory_order_acquire);
}

bool Parker::ParkUntil(std::chrono::steady_clock::time_point deadline) {
  std::uint32_t seen = kEmpty;
  if (!word_.compare_exchange_strong(seen, kParked, std::memory_order_acquire)) {
    word_.exchange(kEmpty, std::memory_order_acquire);
    return true;
  }
  const auto since_boot = std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.time_since_epoch()).count();
  const timespec until{static_cast<time_t>(since_boot / 1'000'000'000), static_cast<long>(since_boot % 1'000'000'000)};
  while (word_.load(std::memory_order_acquire) == kParked && std::chrono::steady_clock::now() < deadline) {
    FutexWait(word_, kParked, &until);
  }
  return word_.exchange(kEmpty, std::memory_order_acquire) == kToken;
}

void Parker::Unpark() {
  if (word_.exchange(kToken, std::memory_order_release) == kParked) FutexWakeOne(word_);
}

}  // namespace rustyray::core
