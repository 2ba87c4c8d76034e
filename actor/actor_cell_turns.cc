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

// In this order: without handles nothing new comes but from the lanes, and a lane is not left for the mailbox before
// the call is there. Who drops the last handle, or takes a call out of a lane, looks for an idle mailbox afterwards.
bool ActorCell::UnusedLocked() {
  return HasNoHandle() && running_.empty() && !lanes_.any() && mailbox_.Front(turn_lock_) == nullptr;
}

bool ActorCell::TakeTurnLocked() { return !one_turn_ || std::exchange(turn_waits_, false) || mailbox_.Wake(); }

void ActorCell::ScheduleTurn() {
  AddRefHere();
  if (!executor_.Schedule(*this)) DiscardScheduled();
}

void ActorCell::RunScheduled() {
  RunTurn(nullptr);
  DropRefHere();
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
    const TurnLock::WithMutex turn(turn_lock_, TurnLock::Who::kHasTurn);
    if (phase() != Phase::kDead) {
      set_phase(Phase::kEnding);
      restart_ = false;
      if (!dead()) death_ = why;
      dead_.store(true, std::memory_order_release);
    }
    why = death_;
    do {
      TakeAllLocked(doomed);
    } while (!mailbox_.GoIdle(turn_lock_));
    if (phase() == Phase::kEnding && running_.empty() && !busy_) end = busy_ = true;
  }
  FailAll(doomed, why);
  if (!end) return;
  EndInstance();
  // It did not have the turn. One that began just before the executor stopped found it busy.
  bool turn = false;
  {
    core::MutexLock lock(mutex_);
    turn = std::exchange(turn_waits_, false);
  }
  if (turn) ScheduleTurn();
}

void ActorCell::RunTurn(const core::Call* until) {
  static constexpr int kShare = 64;  // calls that one turn runs before it lets others have the thread
  int ran = 0;
  bool enough = false;             // what is left is for another turn
  core::Call* ran_last = nullptr;  // still in running_: one section for its end and the next one's beginning
  for (;;) {
    core::Call* call = nullptr;
    bool another_turn = false;
    QueueHold ended;
    Next next = Next::kLeave;
    {
      const TurnLock::Section section(turn_lock_);
      if (ran_last != nullptr) ended = TakeOutLocked(*std::exchange(ran_last, nullptr));
      next = NextLocked(enough, call);
      another_turn = next == Next::kLeaveToAnother || (next == Next::kCall && MoreMayBeginLocked());
    }
    ended.reset();
    if (another_turn) ScheduleTurn();
    switch (next) {
      case Next::kCall:
        RunCall(*call);
        ran_last = call;
        enough = (until != nullptr && until->ready()) || ++ran >= kShare;
        break;
      case Next::kAttend:
        if (!Attend()) return;
        break;
      case Next::kLeave:
      case Next::kLeaveToAnother:
        return;
    }
  }
}

ActorCell::Next ActorCell::NextLocked(bool enough, core::Call*& call) {
  for (;;) {
    if (phase() != Phase::kAlive) return Next::kAttend;
    if (static_cast<int>(running_.size()) >= options_.max_concurrency) return Next::kLeave;
    if (mailbox_.Front(turn_lock_) != nullptr) {
      if (enough) return Next::kLeaveToAnother;
      call = mailbox_.Pop(turn_lock_);
      running_.push_back(call);
      return Next::kCall;
    }
    if (HasNoHandle() && UnusedLocked()) return Next::kAttend;
    const bool last_one_out = running_.empty();
    if (!mailbox_.GoIdle(turn_lock_)) continue;
    // From here on another thread may have the turn. Who dropped the last handle, or took the last call out of a
    // lane, may have looked before it could see that there is none.
    if (!last_one_out || !HasNoHandle() || lanes_.any() || !mailbox_.Wake()) return Next::kLeave;
  }
}

bool ActorCell::MoreMayBeginLocked() {
  return !one_turn_ && static_cast<int>(running_.size()) < options_.max_concurrency &&
         mailbox_.Front(turn_lock_) != nullptr;
}

bool ActorCell::Attend() {
  enum class Do { kFail, kSubmit, kCreate, kEnd } what = Do::kFail;
  core::Call* call = nullptr;
  core::ErrorPtr death;
  {
    core::MutexLock lock(mutex_);
    const TurnLock::WithMutex turn(turn_lock_, TurnLock::Who::kHasTurn);
    if (busy_) {  // another of several turns goes on when it is done; or the executor has stopped (Discard)
      turn_waits_ = one_turn_;
      return false;
    }
    switch (phase()) {
      case Phase::kAlive:
        if (!UnusedLocked()) return true;
        set_phase(Phase::kEnding);
        graceful_ = busy_ = true;
        restart_ = false;
        death_ = MakeDeath("ended: nobody had a handle to it any more");
        dead_.store(true, std::memory_order_release);
        what = Do::kEnd;
        break;
      case Phase::kCreating:
        if (!creation_due_ && !creation_ready_) {
          turn_waits_ = true;
          return false;
        }
        busy_ = true;
        what = std::exchange(creation_due_, false) ? Do::kSubmit : Do::kCreate;
        break;
      case Phase::kEnding:
        if (!running_.empty()) return false;  // the last one out ends it
        busy_ = true;
        what = Do::kEnd;
        break;
      case Phase::kDead:
        call = mailbox_.Pop(turn_lock_);
        if (call == nullptr) return !mailbox_.GoIdle(turn_lock_);
        death = death_;
        break;
    }
  }
  switch (what) {
    case Do::kSubmit:
      RestartCreation();
      break;
    case Do::kCreate:
      RunCreation();
      break;
    case Do::kEnd:
      EndInstance();
      break;
    case Do::kFail:
      call->FailUnclaimed(death);
      call->DropHold();
      break;
  }
  return true;
}

void ActorCell::RunCall(core::Call& call) {
  {
    const Occupation inside(*this, call);
    if (call.TryRun() && call.is_void()) call.TakeBack(options_.max_task_retries);
  }
  if (restart_on_ != nullptr && call.has_error()) {
    // While it is still inside: no other call enters before the restart.
    const core::ErrorPtr error = call.error();
    if (error->kind() == core::ErrorKind::kTask && restart_on_(*error)) Restart(error);
  }
}

ActorCell::QueueHold ActorCell::TakeOutLocked(core::Call& call) {
  if (running_.size() == 1) [[likely]] {
    running_.pop_back();
  } else {
    running_.erase(std::find(running_.begin(), running_.end(), &call));
  }
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
  const core::RunningPlace place(executor_);
  if (!place.entered() || !executor_.Unschedule(*this)) return InOrder::kRefused;
  RunTurn(&call);
  DropRefHere();
  return call.ready() ? InOrder::kRan : InOrder::kRefused;
}

void ActorCell::VisitBlockers(const core::Runnable& work, absl::FunctionRef<void(core::Record*, Blocker)> visit) {
  const auto& call = static_cast<const core::Call&>(work);
  core::MutexLock lock(mutex_);
  const TurnLock::WithMutex others(turn_lock_, TurnLock::Who::kOther);
  if (std::find(running_.begin(), running_.end(), &call) != running_.end()) return;  // it is about to begin
  if (phase() == Phase::kEnding) {
    for (core::Call* const running : running_) visit(running, Blocker::kMustEnd);
  } else if (static_cast<int>(running_.size()) >= options_.max_concurrency) {
    for (core::Call* const running : running_) visit(running, Blocker::kOneMustEnd);
  }
  if (creation_ && &*creation_ != &call) visit(&*creation_, Blocker::kMustEnd);
  if (core::Call* const first = lanes_.FirstBefore(call, mutex_)) visit(first, Blocker::kMustEnd);
}

}  // namespace rustyray::actor
