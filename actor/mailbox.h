// Mailbox: the calls of one actor that wait for a turn, oldest first; how many there are; whether a turn exists.
//
// It is an inbox, a stack that anybody pushes to without a lock, and a front, the list that the inbox is turned over to
// when there is none. The inbox is also where callers and turns find each other: it is idle while no turn exists.
// Invariants:
//   - Calls leave in the order in which they were pushed, those that were put back first.
//   - Of a mailbox with a capacity the calls in it, and the room that was taken for others, are counted: a call's room
//     goes when it is popped. In one without there is room, and nothing is counted.
//   - Between two GoIdle that said true exactly one Push or Wake says true: who made that one schedules the turn.
// It owns nothing: calls come with their queue's hold and leave with it. Empty when it is destroyed.
// Threads: any. What takes a `guard` is called under that lock, always the same one: its owner's.
#ifndef RUSTYRAY_ACTOR_MAILBOX_H_
#define RUSTYRAY_ACTOR_MAILBOX_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "actor/turn_lock.h"
#include "core/call.h"
#include "core/record.h"

namespace rustyray::actor {

inline constexpr std::size_t kUnboundedMailbox = std::numeric_limits<std::size_t>::max();

class Mailbox {
 public:
  // Not idle: a turn exists, or its owner schedules one. `capacity` in calls.
  explicit Mailbox(std::size_t capacity) : capacity_(capacity) {}
  Mailbox(const Mailbox&) = delete;
  Mailbox& operator=(const Mailbox&) = delete;

  // --- Room, in calls.
  // Room for one call, unless the capacity is taken.
  [[nodiscard]] bool TryTakeRoom() {
    if (!bounded()) return true;
    if (taken_.fetch_add(1, std::memory_order_relaxed) < capacity_) return true;
    taken_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  // Room for one call beyond any capacity.
  void TakeRoom() {
    if (bounded()) taken_.fetch_add(1, std::memory_order_relaxed);
  }
  // Gives up room that a call took and did not use.
  void GiveRoom() {
    if (bounded()) taken_.fetch_sub(1, std::memory_order_relaxed);
  }
  bool bounded() const { return capacity_ != kUnboundedMailbox; }
  // The room that is taken, of a bounded one.
  std::size_t taken() const { return taken_.load(std::memory_order_relaxed); }
  // The calls in it, which are walked over.
  std::size_t Count(const TurnLock& guard) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard);
  // Whether no turn exists. Then there is no call in it either.
  bool idle() const { return inbox_.load(std::memory_order_acquire) == Idle(); }

  // --- Callers.
  // Puts a call that has room behind all others. True: it was idle.
  [[nodiscard]] bool Push(core::Call& call) {
    core::Waiter& node = call;
    core::Waiter* newest = inbox_.load(std::memory_order_relaxed);
    do {
      node.next = newest == Idle() ? nullptr : newest;
    } while (!inbox_.compare_exchange_weak(newest, &node, std::memory_order_seq_cst));
    return newest == Idle();
  }
  // Ends the idleness without a call. True: it was idle.
  [[nodiscard]] bool Wake() {
    core::Waiter* idle = Idle();
    return inbox_.compare_exchange_strong(idle, nullptr, std::memory_order_seq_cst);
  }

  // --- Turns.
  // The oldest call; null: none.
  core::Call* Front(const TurnLock& guard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard) {
    (void)guard;
    if (front_ == nullptr) TurnOver();
    return static_cast<core::Call*>(front_);
  }
  // Takes the oldest call, and its room, away; null: none.
  core::Call* Pop(const TurnLock& guard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard) {
    core::Call* const call = Front(guard);
    if (call == nullptr) return nullptr;
    front_ = front_->next;
    GiveRoom();
    return call;
  }
  // Puts a call before all others; takes room for it.
  void PutBack(core::Call& call, const TurnLock& guard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard);
  // Takes the oldest calls away as long as they are sealed (cancelled while they waited), to be freed after the lock.
  std::vector<core::RecordHold> PopSealed(const TurnLock& guard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard);
  // After Pop said null. False: something was pushed meanwhile, and nobody was told to schedule a turn for it.
  [[nodiscard]] bool GoIdle(const TurnLock& guard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard) {
    (void)guard;
    core::Waiter* none = nullptr;
    return inbox_.compare_exchange_strong(none, Idle(), std::memory_order_seq_cst) || none == Idle();
  }

 private:
  static core::Waiter* Idle() { return reinterpret_cast<core::Waiter*>(std::uintptr_t{1}); }
  // The inbox becomes the front, which is empty.
  void TurnOver();

  const std::size_t capacity_;
  std::atomic<std::size_t> taken_{0};
  // Calls pushed, newest first; null: none, and a turn exists; Idle(): none, and no turn exists.
  std::atomic<core::Waiter*> inbox_{nullptr};
  core::Waiter* front_ = nullptr;  // oldest first; under the guard
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_MAILBOX_H_
