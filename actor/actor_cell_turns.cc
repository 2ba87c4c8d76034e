// Turns: how calls run, and what waits for them.
#include <algorithm>
#include <utility>
#include <vector>

#include "actor/actor_cell.h"

namespace rustyray::actor {
namespace {

// Turns that a stopped executor did not take, while others are discarded on this thread: one may end an actor that held
// the last handle to the next one, and so on.
struct Discards {
  static constexpr int kMostNested = 16;
  int nested = 0;
  std::vector<ActorCell*> later;
};
thread_local Discards discards;

}  // namespace

bool ActorCell::UnusedLocked() const {
  return handles_.load(std::memory_order_seq_cst) == 0 && !options_.detached && running_.empty() && mailbox_.empty();
}

void ActorCell::ScheduleTurn() {
  AddRef();
  if (!host_.executor().Schedule(*this)) DiscardScheduled();
}

void ActorCell::RunScheduled() {
  RunTurn(nullptr);
  DropRef();
}

void ActorCell::DiscardScheduled() {
  if (discards.nested >= Discards::kMostNested) {
    discards.later.push_back(this);
    return;
  }
  ++discards.nested;
  Discard();
  DropRef();
  if (discards.nested == 1) {
    while (!discards.later.empty()) {
      ActorCell* const cell = discards.later.back();
      discards.later.pop_back();
      cell->Discard();
      cell->DropRef();
    }
  }
  --discards.nested;
}

void ActorCell::Discard() {
  // The executor has stopped: what is queued will never run. The instance goes now, or with the last one inside.
  Doomed doomed;
  bool end = false;
  core::ErrorPtr why = MakeDeath("ended: its runtime was shut down");
  {
    core::MutexLock lock(mutex_);
    if (phase_ != Phase::kDead) {
      phase_ = Phase::kEnding;
      restart_ = false;
      if (!dead()) death_ = why;
      dead_.store(true, std::memory_order_release);
    }
    why = death_;
    do {
      TakeAllLocked(doomed);
    } while (!mailbox_.GoIdle(mutex_));
    if (phase_ == Phase::kEnding && running_.empty() && !busy_) end = busy_ = true;
  }
  FailAll(doomed, why);
  if (end) EndInstance();
}

void ActorCell::RunTurn(const core::Call* until) {
  static constexpr int kShare = 64;  // calls that one turn runs before it lets others have the thread
  int ran = 0;
  bool enough = false;             // what is left is for another turn
  core::Call* ran_last = nullptr;  // still in running_: one lock for its end and the next one's beginning
  for (;;) {
    enum class Do { kCall, kFail, kSubmit, kCreate, kEnd } what = Do::kCall;
    core::Call* call = nullptr;
    core::ErrorPtr death;
    bool another_turn = false;
    QueueHold ended;
    {
      core::MutexLock lock(mutex_);
      if (ran_last != nullptr) ended = TakeOutLocked(*std::exchange(ran_last, nullptr));
      if (busy_) return;  // that turn goes on when it is done
      if (phase_ == Phase::kAlive && UnusedLocked()) {
        phase_ = Phase::kEnding;
        graceful_ = true;
        restart_ = false;
        death_ = MakeDeath("ended: nobody had a handle to it any more");
        dead_.store(true, std::memory_order_release);
      }
      switch (phase_) {
        case Phase::kCreating:
          if (!creation_due_ && !creation_ready_) return;  // the inbox stays taken; either schedules a turn
          busy_ = true;
          what = std::exchange(creation_due_, false) ? Do::kSubmit : Do::kCreate;
          break;
        case Phase::kEnding:
          if (!running_.empty()) return;  // the last one out ends it
          busy_ = true;
          what = Do::kEnd;
          break;
        case Phase::kAlive:
          if (static_cast<int>(running_.size()) >= options_.max_concurrency) return;
          another_turn = enough && mailbox_.Front(mutex_) != nullptr;
          if (another_turn) break;
          call = mailbox_.Pop(mutex_);
          if (call == nullptr) {
            if (!mailbox_.GoIdle(mutex_)) continue;
            // Somebody may have dropped the last handle before it could see that no turn is there.
            if (UnusedLocked() && mailbox_.Wake()) continue;
            return;
          }
          running_.push_back(call);
          another_turn = options_.max_concurrency > 1 && mailbox_.size() > 0 &&
                         static_cast<int>(running_.size()) < options_.max_concurrency;
          break;
        case Phase::kDead:
          call = mailbox_.Pop(mutex_);
          if (call == nullptr) {
            if (mailbox_.GoIdle(mutex_)) return;
            continue;
          }
          what = Do::kFail;
          death = death_;
          break;
      }
    }
    ended.reset();
    if (another_turn) ScheduleTurn();
    if (another_turn && enough) return;
    switch (what) {
      case Do::kSubmit:
        RestartCreation();
        continue;
      case Do::kCreate:
        RunCreation();
        continue;
      case Do::kEnd:
        EndInstance();
        continue;
      case Do::kFail:
        call->FailUnclaimed(death);
        call->DropHold();
        continue;
      case Do::kCall:
        RunCall(*call);
        ran_last = call;
        break;
    }
    enough = (until != nullptr && until->ready()) || ++ran >= kShare;
  }
}

void ActorCell::RunCall(core::Call& call) {
  {
    const Occupation inside(*this, call);
    if (call.TryRun() && call.is_void()) call.TakeBack(options_.max_task_retries);
  }
  if (options_.restart.restart_on != nullptr && call.has_error()) {
    // While it is still inside: no other call enters before the restart.
    const core::ErrorPtr error = call.error();
    if (error->kind() == core::ErrorKind::kTask && options_.restart.restart_on(*error)) Restart(error);
  }
}

ActorCell::QueueHold ActorCell::TakeOutLocked(core::Call& call) {
  running_.erase(std::find(running_.begin(), running_.end(), &call));
  if (restart_state_ != nullptr && IsRetriedLocked(call)) return nullptr;  // with its hold
  return QueueHold(&call);
}

core::Executor::InOrder ActorCell::RunInOrder(core::Runnable& work) {
  const auto& call = static_cast<core::Call&>(work);
  if (options_.max_concurrency > 1) return InOrder::kRefused;
  if (lanes_.any()) {
    core::MutexLock lock(mutex_);
    if (lanes_.Find(call, mutex_) != nullptr) return InOrder::kRefused;  // it needs nothing of the queue
  }
  const core::RunningPlace place(host_.executor());
  if (!place.entered() || !host_.executor().Unschedule(*this)) return InOrder::kRefused;
  RunTurn(&call);
  DropRef();
  return call.ready() ? InOrder::kRan : InOrder::kRefused;
}

void ActorCell::VisitBlockers(const core::Runnable& work, absl::FunctionRef<void(core::Record*, Blocker)> visit) {
  const auto& call = static_cast<const core::Call&>(work);
  core::MutexLock lock(mutex_);
  if (std::find(running_.begin(), running_.end(), &call) != running_.end()) return;  // it is about to begin
  if (phase_ == Phase::kEnding) {
    for (core::Call* const running : running_) visit(running, Blocker::kMustEnd);
  } else if (static_cast<int>(running_.size()) >= options_.max_concurrency) {
    for (core::Call* const running : running_) visit(running, Blocker::kOneMustEnd);
  }
  if (creation_ && &*creation_ != &call) visit(&*creation_, Blocker::kMustEnd);
  if (core::Call* const first = lanes_.FirstBefore(call, mutex_)) visit(first, Blocker::kMustEnd);
}

}  // namespace rustyray::actor
