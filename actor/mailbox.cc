#include "actor/mailbox.h"

namespace rustyray::actor {

void Mailbox::TurnOver() {
  core::Waiter* newest = inbox_.load(std::memory_order_acquire);
  if (newest == nullptr || newest == Idle()) return;
  newest = inbox_.exchange(nullptr, std::memory_order_acq_rel);
  while (newest != nullptr) {
    core::Waiter* const next = newest->next;
    newest->next = front_;
    front_ = newest;
    newest = next;
  }
}

std::size_t Mailbox::Count(const TurnLock&) const {
  std::size_t calls = 0;
  const core::Waiter* const newest = inbox_.load(std::memory_order_acquire);
  for (const core::Waiter* at = newest == Idle() ? nullptr : newest; at != nullptr; at = at->next) ++calls;
  for (const core::Waiter* at = front_; at != nullptr; at = at->next) ++calls;
  return calls;
}

void Mailbox::PutBack(core::Call& call, const TurnLock&) {
  core::Waiter& node = call;
  node.next = front_;
  front_ = &node;
  TakeRoom();
}

std::vector<core::RecordHold> Mailbox::PopSealed(const TurnLock& guard) {
  std::vector<core::RecordHold> sealed;
  while (const core::Call* const first = Front(guard)) {
    if (!first->ready()) break;
    core::Call& call = *Pop(guard);
    sealed.emplace_back(call);
    call.DropHold();
  }
  return sealed;
}

}  // namespace rustyray::actor
