#include "object_store/shm/gate.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <climits>
#include <ctime>
#include <functional>
#include <optional>
#include <thread>

#include "core/id.h"

namespace rustyray::object_store::shm {
namespace {

// How long to sleep before looking whether who is waited for still lives.
constexpr auto kLook = std::chrono::milliseconds(10);
// Spins before sleeping: a holder that runs is done within far less.
constexpr int kSpins = 200;
// How long a damaged count of active operations is taken for true.
constexpr auto kDoubt = std::chrono::milliseconds(100);

core::Time Now() { return std::chrono::steady_clock::now(); }

// The half of the gate that changes with each closing: futexes have 32 bits.
std::atomic<std::uint32_t>& ClosingOf(std::atomic<std::uint64_t>& gate) {
  static_assert(std::endian::native == std::endian::little);
  return *reinterpret_cast<std::atomic<std::uint32_t>*>(&gate);
}

void Pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void FutexWait(std::atomic<std::uint32_t>& word, std::uint32_t expected, core::Time until) {
  timespec at = {};
  if (until != core::kNever) {
    const auto since = std::max(until.time_since_epoch(), core::Duration::zero());
    const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
    at.tv_sec = seconds.count();
    at.tv_nsec = std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count();
  }
  // Absolute, by the monotonic clock, which std::chrono::steady_clock is here.
  syscall(SYS_futex, &word, FUTEX_WAIT_BITSET, expected, until == core::kNever ? nullptr : &at, nullptr,
          FUTEX_BITSET_MATCH_ANY);
}

void FutexWake(std::atomic<std::uint32_t>& word, int most) {
  syscall(SYS_futex, &word, FUTEX_WAKE, most, nullptr, nullptr, 0);
}

void TellEvent(EventWord& event) {
  std::uint32_t now = event.word.load(std::memory_order_seq_cst);
  while ((now & 1) != 0) {
    if (event.word.compare_exchange_weak(now, (now & ~1u) + 2, std::memory_order_seq_cst)) {
      FutexWake(event.word, INT_MAX);
      return;
    }
  }
}

std::uint32_t PrepareEventWait(EventWord& event) { return event.word.fetch_or(1, std::memory_order_seq_cst) | 1; }

Step Gate::EnterLater() {
  for (;;) {
    Leave();
    if (const Step step = WaitUntilOpen(); step != Step::kDone) return step;
    slot_.active.fetch_add(CountWord::kOne, std::memory_order_seq_cst);
    if (header_.gate.load(std::memory_order_seq_cst) == 0) return Step::kDone;
  }
}

Step Gate::WaitUntilOpen() {
  const core::Time patience = Now() + file_.patience();
  for (std::uint64_t word; (word = header_.gate.load(std::memory_order_acquire)) != 0;) {
    const std::optional<GateWord> holder = GateWord::Unpack(word);
    if (!holder.has_value() || !Lives(holder->slot)) return Step::kRecover;
    if (Now() >= patience) {
      stuck_on_.store(holder->slot, std::memory_order_relaxed);
      return Step::kStuck;
    }
    FutexWait(ClosingOf(header_.gate), holder->closing, Now() + kLook);
  }
  return Step::kDone;
}

Step Gate::Lock(LockWord& lock) {
  std::uint32_t free = 0;
  if (lock.word.compare_exchange_strong(free, HolderWord{file_.slot(), false}.Pack(), std::memory_order_acquire))
      [[likely]] {
    return Step::kDone;
  }
  return LockLater(lock);
}

Step Gate::LockLater(LockWord& lock) {
  for (int spin = 0; spin < kSpins; ++spin) {
    std::uint32_t free = 0;
    if (lock.word.load(std::memory_order_relaxed) == 0 &&
        lock.word.compare_exchange_strong(free, HolderWord{file_.slot(), false}.Pack(), std::memory_order_acquire)) {
      return Step::kDone;
    }
    Pause();
  }
  const core::Time patience = Now() + file_.patience();
  for (;;) {
    // Who has slept takes it with the mark of waiters: others may still sleep.
    std::uint32_t word = 0;
    if (lock.word.compare_exchange_strong(word, HolderWord{file_.slot(), true}.Pack(), std::memory_order_acquire)) {
      return Step::kDone;
    }
    if (header_.gate.load(std::memory_order_acquire) != 0) return Step::kAgain;
    const std::optional<HolderWord> holder = HolderWord::Unpack(word);
    if (!holder.has_value()) return Step::kRecover;
    const std::uint32_t marked = HolderWord{holder->slot, true}.Pack();
    if (!holder->waiters && !lock.word.compare_exchange_strong(word, marked, std::memory_order_relaxed)) continue;
    const core::Time before = Now();
    if (before >= patience) {
      stuck_on_.store(holder->slot, std::memory_order_relaxed);
      return Step::kStuck;
    }
    FutexWait(lock.word, marked, before + kLook);
    if (Now() - before >= kLook && !Lives(holder->slot)) return Step::kRecover;
  }
}

void Gate::Unlock(LockWord& lock) {
  const std::optional<HolderWord> was = HolderWord::Unpack(lock.word.exchange(0, std::memory_order_release));
  if (!was.has_value() || was->waiters) FutexWake(lock.word, 1);
}

Step Gate::Close(bool inherited, bool& taken_over) {
  const auto closing = static_cast<std::uint32_t>(std::hash<core::ObjectId>{}(core::ObjectId::Random())) | 1;
  const std::uint64_t mine = GateWord{file_.slot(), closing}.Pack();
  taken_over = false;
  for (std::uint64_t word = 0; !header_.gate.compare_exchange_strong(word, mine, std::memory_order_seq_cst);) {
    taken_over = false;
    if (word == 0) continue;  // opened meanwhile
    const std::optional<GateWord> holder = GateWord::Unpack(word);
    taken_over = !holder.has_value() || (inherited && holder->slot == file_.slot()) || !Lives(holder->slot);
    if (taken_over) continue;  // from that closing and no other: `word` is what was seen
    const Step step = WaitUntilOpen();
    if (step == Step::kDone) return Step::kAgain;
    if (step == Step::kStuck) return step;
    word = 0;  // whoever has closed it by now is looked at first
  }
  const core::Time begun = Now();
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    for (int looks = 0;; ++looks) {
      const std::uint32_t active = header_.slots[slot].active.load(std::memory_order_seq_cst);
      if (active == 0) break;
      const core::Duration waited = Now() - begun;
      if (!CountWord::Valid(active) && waited >= kDoubt) break;
      // An operation takes a microsecond: whoever has not left it after some looks may be dead.
      if (looks >= 100) {
        if (!Lives(slot)) break;
        if (waited >= file_.patience() / 2) {
          stuck_on_.store(slot, std::memory_order_relaxed);
          Open();
          return Step::kStuck;
        }
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      } else {
        Pause();
      }
    }
  }
  return Step::kDone;
}

void Gate::Open() {
  header_.gate.store(0, std::memory_order_seq_cst);
  FutexWake(ClosingOf(header_.gate), INT_MAX);
}

}  // namespace rustyray::object_store::shm
