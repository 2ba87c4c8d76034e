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

void Mailbox::PutBack(core::Call& call, const core::Mutex&) {
  core::Waiter& node = call;
  node.next = front_;
  front_ = &node;
  TakeRoom();
}

std::vector<core::RecordHold> Mailbox::PopSealed(const core::Mutex& guard) {
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
