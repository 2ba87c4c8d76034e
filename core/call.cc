#include "core/call.h"

#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "core/block_cache.h"
#include "core/spin_lock.h"

namespace rustyray::core {

// The children of one call that runs or ran: what a cancel reaches. Counted by the parent's record and by each child,
// so that a child keeps the scope alive and never its parent: a chain of continuations does not pile up.
class CallScope {
 public:
  void AddRef() {
    const SpinLockHolder lock(lock_);
    ++refs_;
  }
  void DropRef() {
    lock_.Lock();
    UnlockAndDropRef();
  }

  // With a ref, which Unlink drops. False when the parent was cancelled: then there is none.
  bool Link(Call& child) {
    const SpinLockHolder lock(lock_);
    if (cancelled_) return false;
    ++refs_;
    child.parent_scope_ = this;  // from now on a canceller may end the child
    child.next_sibling_ = first_;
    if (first_ != nullptr) first_->previous_sibling_ = &child;
    first_ = &child;
    return true;
  }

  void Unlink(Call& child) {
    lock_.Lock();
    if (!cancelled_) {  // else the canceller took the list
      (child.previous_sibling_ != nullptr ? child.previous_sibling_->next_sibling_ : first_) = child.next_sibling_;
      if (child.next_sibling_ != nullptr) child.next_sibling_->previous_sibling_ = child.previous_sibling_;
    }
    UnlockAndDropRef();
  }

  // Ends the scope. The children come as a list, through NextOf, with a hold each.
  Call* Cancel() {
    const SpinLockHolder lock(lock_);
    cancelled_ = true;  // from now on the list stays as it is
    for (Call* child = first_; child != nullptr; child = child->next_sibling_) child->AddHold();
    return std::exchange(first_, nullptr);
  }
  static Call* NextOf(const Call& child) { return child.next_sibling_; }

  static void* operator new(std::size_t size) { return BlockCache::Take(size); }
  static void operator delete(void* block, std::size_t size) { BlockCache::Give(block, size); }

 private:
  void UnlockAndDropRef() ABSL_UNLOCK_FUNCTION(lock_) {
    const bool last = --refs_ == 0;
    lock_.Unlock();
    if (last) delete this;
  }

  SpinLock lock_;
  bool cancelled_ ABSL_GUARDED_BY(lock_) = false;
  std::uint32_t refs_ ABSL_GUARDED_BY(lock_) = 1;
  Call* first_ ABSL_GUARDED_BY(lock_) = nullptr;
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
  if (is_sealed_or_void()) {
    if (is_void()) return true;
    DropArguments();  // cancelled at the end of a void run
    Finish();
    return true;
  }
  runner_.store(ThisThreadNumber(), std::memory_order_release);
  CallFrame frame{this, current_frame};
  current_frame = &frame;
  Execute();
  current_frame = frame.outer;
  if (!is_void()) Finish();
  return true;
}

void Call::TakeBack(int most) {
  LockBit();  // a canceller may be about to hold the scope
  CallScope* const children = children_.exchange(nullptr, std::memory_order_acq_rel);
  UnlockBit();
  if (children != nullptr) children->DropRef();
  if (void_runs_ < std::numeric_limits<std::uint16_t>::max()) ++void_runs_;
  if (most >= 0 && void_runs_ >= most) SetMayRunAgain(false);
  runner_.store(0, std::memory_order_release);
  Unclaim();
}

ErrorPtr Call::WhyNotAgain() const {
  return MakeError({.code = absl::StatusCode::kInvalidArgument,
                    .kind = ErrorKind::kInvalid,
                    .message = "calls of this kind cannot run again",
                    .function = std::string(name())});
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
    std::exchange(parent_scope_, nullptr)->Unlink(*this);
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
  if (parent.has_error() || parent.is_void()) return false;
  return scope->Link(*this);
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
  CallScope* const scope = cancelled ? HoldChildren() : nullptr;
  DropHold();
  if (scope != nullptr) CancelScope(scope, error);
  return cancelled;
}

CallScope* Call::HoldChildren() {
  LockBit();
  CallScope* scope = nullptr;
  children_.compare_exchange_strong(scope, nullptr, std::memory_order_acq_rel);
  if (scope != nullptr) scope->AddRef();
  UnlockBit();
  return scope;
}

void Call::CancelScope(CallScope* counted, const ErrorPtr& error) {
  // Iterative: calls that submit calls may nest ten thousand deep.
  std::vector<CallScope*> reached{counted};
  while (!reached.empty()) {
    CallScope* const scope = reached.back();
    reached.pop_back();
    Call* next = scope->Cancel();
    scope->DropRef();
    while (next != nullptr) {
      Call* const child = std::exchange(next, CallScope::NextOf(*next));
      CallScope* const below = child->CancelThisOne(error) ? child->HoldChildren() : nullptr;
      if (below != nullptr) reached.push_back(below);
      child->DropHold();
    }
  }
}

RunChildren::~RunChildren() {
  if (scope_ != nullptr) scope_->DropRef();
}

void RunChildren::Cancel(const ErrorPtr& error) {
  if (scope_ != nullptr) Call::CancelScope(std::exchange(scope_, nullptr), error);
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
