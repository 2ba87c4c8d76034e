#include "core/call.h"

#include <memory>
#include <utility>
#include <vector>

#include "core/mutex.h"

namespace rustyray::core {

// The children of one call that runs or ran: what a cancel reaches. Counted by the parent's record and by each child,
// so that a child keeps the scope alive and never its parent: a chain of continuations does not pile up.
class CallScope {
 public:
  void AddRef() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void DropRef() {
    if (refs_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  bool Link(Call& child) {
    MutexLock lock(mutex_);
    if (cancelled_) return false;
    child.next_sibling_ = first_;
    if (first_ != nullptr) first_->previous_sibling_ = &child;
    first_ = &child;
    return true;
  }

  void Unlink(Call& child) {
    MutexLock lock(mutex_);
    if (cancelled_) return;  // the canceller took the list
    (child.previous_sibling_ != nullptr ? child.previous_sibling_->next_sibling_ : first_) = child.next_sibling_;
    if (child.next_sibling_ != nullptr) child.next_sibling_->previous_sibling_ = child.previous_sibling_;
  }

  // Ends the scope; the children come with a hold each.
  void Cancel(std::vector<Call*>& children) {
    MutexLock lock(mutex_);
    cancelled_ = true;
    for (Call* child = std::exchange(first_, nullptr); child != nullptr; child = child->next_sibling_) {
      child->AddHold();
      children.push_back(child);
    }
  }

 private:
  std::atomic<std::uint32_t> refs_{1};
  Mutex mutex_;
  bool cancelled_ ABSL_GUARDED_BY(mutex_) = false;
  Call* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
};

CallAnnex::Deadline::Deadline(Call& call, Clock& clock)
    : Timer([](Timer& timer) {
        Call& late = static_cast<Deadline&>(timer).call;
        late.Cancel(MakeError({.code = absl::StatusCode::kDeadlineExceeded,
                               .kind = ErrorKind::kDeadline,
                               .message = "its deadline passed before it was done",
                               .function = std::string(late.name())}));
        late.DropHold();
      }),
      call(call),
      clock(clock) {}

Call::~Call() {
  delete annex_;
  if (CallScope* const children = children_.load(std::memory_order_acquire)) children->DropRef();
}

std::string_view Call::name() const {
  return annex_ != nullptr && !annex_->name.empty() ? std::string_view(annex_->name) : function_->name;
}

CallAnnex& Call::EnsureAnnex() {
  if (annex_ == nullptr) annex_ = new CallAnnex;
  return *annex_;
}

void Call::PrepareDeadline(Clock& clock) {
  if (annex_ != nullptr && annex_->deadline != kNever) annex_->overdue.emplace(*this, clock);
}

void Call::ArmDeadline() {
  if (annex_ == nullptr || !annex_->overdue.has_value()) return;
  CallAnnex::Deadline& overdue = *annex_->overdue;
  AddHold();
  overdue.clock.Arm(overdue, annex_->deadline);
  // A parent's canceller may have been here before: its Finish found nothing to disarm.
  if (ready() && overdue.clock.Cancel(overdue)) DropHold();
}

void Call::ClaimedBarrier() {
  if (!has_refs_) return;
  LockBit();
  UnlockBit();
}

bool Call::TryRun() {
  if (claimed() || !Claim()) return false;
  ClaimedBarrier();
  runner_.store(ThisThreadNumber(), std::memory_order_release);
  CallFrame frame{this, current_frame};
  current_frame = &frame;
  Execute();
  current_frame = frame.outer;
  Finish();
  return true;
}

void Call::RunScheduled() {
  TryRun();
  DropHold();
}

void Call::DiscardScheduled() {
  FailUnclaimed(MakeError({.code = absl::StatusCode::kCancelled,
                           .kind = ErrorKind::kShutdown,
                           .message = "the runtime was shut down before it began",
                           .function = std::string(name())}));
  DropHold();
}

void Call::Finish() {
  if (annex_ != nullptr && annex_->overdue.has_value() && annex_->overdue->clock.Cancel(*annex_->overdue)) DropHold();
  if (parent_scope_ != nullptr) {
    parent_scope_->Unlink(*this);
    std::exchange(parent_scope_, nullptr)->DropRef();
  }
}

bool Call::BecomeChildOf(Call& parent) {
  CallScope* scope = parent.children_.load(std::memory_order_acquire);
  if (scope == nullptr) {
    scope = new CallScope;
    // An exchange on both sides orders this against the canceller: it sees the scope, or we see its error.
    parent.children_.exchange(scope, std::memory_order_acq_rel);
  }
  // Each child asks: a canceller that came before the scope was made never closes it.
  if (parent.has_error()) return false;
  // Before the link: from then on a canceller may end this call.
  scope->AddRef();
  parent_scope_ = scope;
  if (scope->Link(*this)) return true;
  std::exchange(parent_scope_, nullptr)->DropRef();
  return false;
}

bool Call::CancelThisOne(const ErrorPtr& error) {
  if (ready()) return false;
  const bool never_ran = Claim();
  if (never_ran) {
    ClaimedBarrier();
    DropArguments();
  }
  const bool sealed = SealError(error);
  if (never_ran) Finish();
  return sealed;
}

void Call::FailUnclaimed(const ErrorPtr& error) {
  if (!Claim()) return;
  ClaimedBarrier();
  DropArguments();
  SealError(error);
  Finish();
}

bool Call::Cancel(const ErrorPtr& error) {
  AddHold();
  const bool cancelled = CancelThisOne(error);
  if (!cancelled) {
    DropHold();
    return false;
  }
  // Iterative: calls that submit calls may nest ten thousand deep.
  std::vector<Call*> reached{this};
  while (!reached.empty()) {
    Call* const call = reached.back();
    reached.pop_back();
    CallScope* scope = nullptr;
    call->children_.compare_exchange_strong(scope, nullptr, std::memory_order_acq_rel);
    if (scope != nullptr) {
      std::vector<Call*> children;
      scope->Cancel(children);
      for (Call* const child : children) {
        if (child->CancelThisOne(error)) {
          reached.push_back(child);
        } else {
          child->DropHold();
        }
      }
    }
    call->DropHold();
  }
  return true;
}

void Call::SnapshotUnready(std::vector<RecordHold>& records, std::size_t most) {
  if (!has_refs_) return;
  LockBit();
  if (!claimed()) {
    VisitRefs([&](const ObjectRef& ref) {
      if (records.size() < most && !ref.ready()) records.emplace_back(*ref.record());
    });
  }
  UnlockBit();
}

RecordHold Call::NextUnready(ErrorPtr& failed) {
  RecordHold unready;
  if (!has_refs_) return unready;
  LockBit();
  if (!claimed()) {
    std::uint32_t position = 0;
    bool stop = false;
    VisitRefs([&](const ObjectRef& ref) {
      if (position++ < resolved || stop) return;
      if (!ref.ready()) {
        unready = RecordHold(*ref.record());
        stop = true;
      } else {
        if (ref.record()->has_error() && failed == nullptr) failed = ref.record()->error();
        ++resolved;
      }
    });
  }
  UnlockBit();
  return unready;
}

}  // namespace rustyray::core
