// Call: one invocation of a function, and the record of its result. Function, arguments and result lie in this one
// allocation; engines run it (embedded) or encode it (others).
//
// Life: made with one handle (the caller's ref) and one hold (the queue's). Submitted, it waits for its refs, then lies
// in an executor's queue. Who wins Claim runs it, or drops its arguments. Arguments are destroyed before the result is
// published. Cancel seals an error at once, whatever the state; a late result is dropped.
// Runs in vain: an executor that loses what a call works on (an actor that restarts) may make a run void. It ends
// without a trace, the arguments survive it, and the call is unclaimed again, for another run. It is sealed once.
// Threads: any, unless said otherwise.
#ifndef RUSTYRAY_CORE_CALL_H_
#define RUSTYRAY_CORE_CALL_H_

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "core/account.h"
#include "core/clock.h"
#include "core/codec.h"
#include "core/executor.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/thread_context.h"

namespace rustyray::core {

class CallScope;

// The calls that one run submitted, to be cancelled once no lock is held.
class RunChildren {
 public:
  RunChildren() = default;
  explicit RunChildren(CallScope* counted) : scope_(counted) {}
  RunChildren(RunChildren&& other) noexcept : scope_(std::exchange(other.scope_, nullptr)) {}
  RunChildren& operator=(RunChildren&&) = delete;
  ~RunChildren();
  void Cancel(const ErrorPtr& error);

 private:
  CallScope* scope_ = nullptr;
};

// What a call runs, as far as people and engines need to know. One per function, immortal.
struct FunctionInfo {
  std::string_view name;
};

// What few calls have. Made on demand, before submission.
struct CallAnnex {
  struct Deadline final : Timer {
    Deadline(Call& call, Clock& clock);
    Call& call;
    Clock& clock;
  };
  std::string name;                 // given by the user; else the function's
  Time deadline = kNever;           // by the clock of the system it is submitted to
  std::optional<Deadline> overdue;  // armed from submission to Finish; holds the call
};

class Call : public Record, public Runnable, public Waiter {
 public:
  // Whether this caller ran it, in vain if is_void(). False when it was claimed by someone. All its refs are ready.
  bool TryRun();
  // From an executor's queue: runs it unless claimed, and gives the queue's hold back.
  void RunScheduled() final;
  // From a queue that was stopped: fails it with kShutdown, and gives the queue's hold back.
  void DiscardScheduled() final;
  std::string_view ScheduledName() const final { return function_->name; }
  // Seals `error` now unless it is sealed; what never ran never will; children (calls submitted while it runs) are
  // cancelled likewise. False, and no effect, when it was done already.
  bool Cancel(const ErrorPtr& error);
  // Fails an unclaimed call, such as one with a failed argument. Unlike Cancel it leaves one that runs alone.
  void FailUnclaimed(const ErrorPtr& error);

  // Visits the refs among the arguments that the call waits for. Only by who submits it or claimed it, or through
  // SnapshotUnready.
  virtual void VisitRefs(absl::FunctionRef<void(const ObjectRef&)> visit) const = 0;
  // Tells the observer of each of these refs that it is held by a call in flight; their slots tell when they give it
  // up. By the submitter, before others can run the call.
  virtual void TellSubmitted(HandleObserver& observer) = 0;
  // Encodes the arguments, for engines that send calls away. An error names the argument and type without a codec.
  virtual absl::Status Encode(EncodeSink& sink) const = 0;
  // Adds the records it still waits for, at most `most`. Empty when it is claimed or has none.
  void SnapshotUnready(std::vector<RecordHold>& records, std::size_t most);
  // The record of the first ref at or after `resolved` that is not ready, with `resolved` moved to it; null when all
  // are, or it is claimed. `failed` gets the error of an argument that has one. For one resolver at a time.
  RecordHold NextUnready(ErrorPtr& failed);

  // --- Runs in vain. By its executor.
  // Why it cannot run again, such as an argument that cannot be kept; null: it can.
  virtual ErrorPtr WhyNotAgain() const;
  // Whether another run may follow the next one. Then that one works on copies of the arguments that it may change or
  // move out. While nobody can run it.
  void set_may_run_again(bool may) { SetMayRunAgain(may); }
  // The run that is under way, or about to begin, is void. False when it is sealed, or may not run again.
  bool VoidRun() { return MakeVoid(); }
  // What the run under way submitted: for the caller of VoidRun, before the run's end can be seen.
  RunChildren Children() { return RunChildren(HoldChildren()); }
  // After a TryRun whose run was void: unclaims it. The next run is its last when `most` were void, -1: never.
  void TakeBack(int most);

  const FunctionInfo& function() const { return *function_; }
  // The user's name for it, else its function's.
  std::string_view name() const;
  bool has_refs() const { return has_refs_; }
  Executor* executor() const { return executor_; }
  void set_executor(Executor& executor) { executor_ = &executor; }
  // The number of the thread that runs it; 0 before.
  std::uint32_t runner() const { return runner_.load(std::memory_order_acquire); }
  CallAnnex* annex() const { return annex_; }
  CallAnnex& EnsureAnnex();  // before submission

  // How far resolving has come; the resolver's.
  std::uint32_t resolved = 0;

  // Makes it a child of `parent`, which runs on this thread; before submission. It is cancelled with it. False when the
  // parent was cancelled already: then the caller cancels the child.
  bool BecomeChildOf(Call& parent);
  // Makes ready for ArmDeadline; before BecomeChildOf, after which others may end the call.
  void PrepareDeadline(Clock& clock);
  // From now on `annex()->deadline` counts.
  void ArmDeadline();

 protected:
  Call(const FunctionInfo& function, bool has_refs, Waiter::Fire resume)
      : Record(1, true), Waiter(resume), function_(&function), has_refs_(has_refs) {}
  ~Call() override;

  // Claimed: runs the function, destroys the arguments, seals.
  virtual void Execute() = 0;
  // Claimed by a canceller: destroys the arguments unrun.
  virtual void DropArguments() = 0;
  // The call is over, run or not: leaves its parent's scope, disarms its deadline.
  void Finish();

 private:
  friend class CallScope;
  friend struct CallAnnex;
  // After it nobody looks at the arguments but who claimed the call: SnapshotUnready looks under the spin bit.
  void ClaimedBarrier();
  bool CancelThisOne(const ErrorPtr& error);
  // With a ref; null: none.
  CallScope* HoldChildren();
  static void CancelScope(CallScope* counted, const ErrorPtr& error);
  friend class RunChildren;

  std::atomic<std::uint32_t> runner_{0};
  const FunctionInfo* const function_;
  Executor* executor_ = nullptr;
  CallAnnex* annex_ = nullptr;
  CallScope* parent_scope_ = nullptr;  // counted
  Call* previous_sibling_ = nullptr;   // under the scope's lock
  Call* next_sibling_ = nullptr;
  std::atomic<CallScope*> children_{nullptr};  // made by the running thread at its first child
  std::uint16_t void_runs_ = 0;                // its executor's; as many as it can count
  const bool has_refs_;                        // among the arguments; last: the derived class fills the room after it
};

// Whom what the calling thread makes in `store` is charged to (account.h); null: nobody. Not counted: it lives while
// the call runs.
inline Account* CurrentAccount(const RecordOwner& store) {
  if (current_frame == nullptr || current_frame->call->executor() == nullptr) return nullptr;
  Account* const account = current_frame->call->executor()->ChargeOf(current_frame->call->charge());
  return account != nullptr && account->store() == &store ? account : nullptr;
}

// Whether the calling function was told to stop: its call was cancelled, its deadline passed, or its runtime shuts
// down. Cheap: two loads.
class CancelToken {
 public:
  // The token of the call this thread runs; outside of calls one that is never cancelled.
  static CancelToken Current() { return CancelToken(current_frame != nullptr ? current_frame->call : nullptr); }
  CancelToken(const CancelToken& other) : call_(other.call_) {
    if (call_ != nullptr) call_->AddHold();
  }
  CancelToken& operator=(const CancelToken&) = delete;
  ~CancelToken() {
    if (call_ != nullptr) call_->DropHold();
  }
  // While the function runs nobody but a canceller seals its record.
  bool cancelled() const { return call_ != nullptr && (call_->has_error() || stopping()); }
  // Whether because of a shutdown.
  bool stopping() const { return call_ != nullptr && call_->executor() != nullptr && call_->executor()->stopping(); }

 private:
  explicit CancelToken(Call* call) : call_(call) {
    if (call_ != nullptr) call_->AddHold();
  }
  Call* call_;
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_CALL_H_
