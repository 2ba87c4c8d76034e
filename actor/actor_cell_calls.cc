// How calls come: room in the mailbox, who is held back, who is let go on.
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "actor/actor_cell.h"
#include "core/waiting.h"
#include "task/task_system.h"

namespace rustyray::actor {
namespace {

// The call that this thread submits without holding it back, until it is scheduled. A call that fails instead (by a
// ref's error, or with its parent) never is, and its room is given back.
thread_local constinit const core::Call* submitting = nullptr;

}  // namespace

// A call that is held back. Sealed before it is ready, it lets those behind it go on. Freed by whoever comes last: the
// lane, or its waiter.
struct ActorCell::HeldBack final : HeldCall {
  HeldBack(ActorCell& cell, core::Call& call, CallerId caller)
      : HeldCall(call, caller,
                 [](core::Waiter& waiter) {
                   auto& held = static_cast<HeldBack&>(waiter);
                   held.cell.OnHeldSealed(held);
                 }),
        cell(cell) {
    cell.AddRef();
    call.AddHold();
  }
  ~HeldBack() {
    call.DropHold();
    cell.DropRef();
  }
  ActorCell& cell;
};

absl::Status ActorCell::WaitForRoom() {
  do {
    std::vector<core::RecordHold> over;  // cancelled in the queue: now there is room
    core::RecordHold first;
    {
      core::MutexLock lock(mutex_);
      const TurnLock::WithMutex others(turn_lock_, TurnLock::Who::kOther);
      over = mailbox_.PopSealed(turn_lock_);
      if (over.empty()) first = MakesRoomLocked();
    }
    if (!over.empty()) continue;
    if (options_.mailbox_full == MailboxFull::kReject) {
      return core::MakeStatus(absl::StatusCode::kResourceExhausted, core::ErrorKind::kGeneric,
                              std::string(absl::StrCat("the mailbox of actor ", Name(), " is full: it holds ",
                                                       options_.mailbox_capacity, " calls")));
    }
    if (!first || first->ready()) {
      core::DrainDeferred();
      std::this_thread::yield();
      continue;
    }
    absl::Status waited = tasks_.owner().waiting().WaitForRecord(*first, core::kNever);
    if (!waited.ok()) return waited;
  } while (!mailbox_.TryTakeRoom());
  return absl::OkStatus();
}

// Room comes when the next call begins: when the one before it ends.
core::RecordHold ActorCell::MakesRoomLocked() {
  if (options_.max_concurrency == 1 && !running_.empty() && !running_.front()->ready()) {
    return core::RecordHold(*running_.front());
  }
  if (core::Call* const next = mailbox_.Front(turn_lock_)) return core::RecordHold(*next);
  std::vector<core::RecordHold> held = lanes_.InOrder(mutex_);
  return held.empty() ? core::RecordHold() : std::move(held.front());
}

bool ActorCell::GiveRoom() {
  mailbox_.GiveRoom();
  return WakeIfUnused();
}

std::size_t ActorCell::queued() {
  if (mailbox_.bounded()) return mailbox_.taken();
  if (mailbox_.idle()) return lanes_.count();
  core::MutexLock lock(mutex_);
  const TurnLock::WithMutex others(turn_lock_, TurnLock::Who::kOther);
  return mailbox_.Count(turn_lock_) + lanes_.count();
}

bool ActorCell::Push(core::Call& call) { return mailbox_.Push(call) || !one_turn_; }

core::ObjectRef ActorCell::Failed(task::CallPtr call, const core::ErrorPtr& why) {
  core::Call& failed = *call.release();
  core::ObjectRef ref = core::ObjectRef::Adopt(&failed);
  failed.FailUnclaimed(why);
  failed.DropHold();
  return ref;
}

core::ObjectRef ActorCell::Submit(task::CallPtr call) {
  if (dead()) return Failed(std::move(call), Death());
  if (options_.max_task_retries != 0) {
    if (const core::ErrorPtr not_again = call->WhyNotAgain()) return Failed(std::move(call), not_again);
    call->set_may_run_again(true);
  }
  if (!mailbox_.TryTakeRoom()) {
    if (absl::Status room = WaitForRoom(); !room.ok()) {
      const core::ErrorPtr error = core::ErrorFromStatus(room, call->name());
      return Failed(std::move(call), error);
    }
  }
  return SubmitInRoom(std::move(call));
}

core::ObjectRef ActorCell::Drain(std::vector<core::RecordHold>& held) {
  static constexpr core::FunctionInfo kBarrier{"the end of the mailbox"};
  {
    core::MutexLock lock(mutex_);
    for (core::RecordHold& call : lanes_.InOrder(mutex_)) held.push_back(std::move(call));
  }
  mailbox_.TakeRoom();
  return SubmitInRoom(task::MakeCall(owner_, kBarrier, [] {}));
}

core::ObjectRef ActorCell::SubmitInRoom(task::CallPtr submitted) {
  core::Call& call = *submitted;
  bool held = false;
  bool unready = false;
  if (call.has_refs()) call.VisitRefs([&](const core::ObjectRef& ref) { unready |= !ref.ready(); });
  if (dead() || unready || lanes_.any()) {
    const CallerId caller = CurrentCaller();
    core::ErrorPtr death;
    {
      core::MutexLock lock(mutex_);
      if (dead()) {
        death = death_;
      } else if (unready || lanes_.Has(caller, mutex_)) {
        auto* const behind = new HeldBack(*this, call, caller);
        lanes_.Add(*behind, mutex_);
        call.AddWaiter(*behind);  // it is not submitted yet, so not sealed
        held = true;
      }
    }
    if (death != nullptr) {
      if (GiveRoom()) ScheduleTurn();
      return Failed(std::move(submitted), death);
    }
  }
  if (held) {
    core::ObjectRef ref = tasks_.SubmitTo(*this, std::move(submitted));
    core::ErrorPtr death;
    {
      core::MutexLock lock(mutex_);
      if (HeldCall* const behind = lanes_.Find(call, mutex_)) behind->submitted = true;
      if (dead()) death = death_;  // the end came meanwhile, and passed the call by
    }
    if (death != nullptr) call.FailUnclaimed(death);
    return ref;
  }
  const core::Call* const outer = std::exchange(submitting, &call);
  core::ObjectRef ref = tasks_.SubmitTo(*this, std::move(submitted));
  if (std::exchange(submitting, outer) == ref.record() && GiveRoom()) ScheduleTurn();
  return ref;
}

bool ActorCell::Schedule(core::Runnable& work) {
  auto& call = static_cast<core::Call&>(work);
  if (submitting == &call) {
    submitting = nullptr;
    if (Push(call)) ScheduleTurn();
    return true;
  }
  AddRef();  // the call's own may go before this returns
  bool turn = false;
  bool is_creation = false;
  bool is_held = false;
  CallerId caller = 0;
  {
    core::MutexLock lock(mutex_);
    if (creation_ && &*creation_ == &call) {
      is_creation = creation_ready_ = creation_queued_ = true;
      turn = !busy_ && TakeTurnLocked();
    } else if (HeldCall* const held = lanes_.Find(call, mutex_)) {
      is_held = held->ready = true;
      caller = held->caller;
    }
  }
  if (is_held) {
    ReleaseLane(caller);
  } else if (!is_creation) {
    call.DropHold();  // it ended while its last ref became ready, and gave its room back
  } else if (turn) {
    ScheduleTurn();
  }
  DropRef();
  return true;
}

// The caller has a ref to the cell.
void ActorCell::ReleaseLane(CallerId caller) {
  bool turn = false;
  std::vector<HeldBack*> done;
  {
    core::MutexLock lock(mutex_);
    const auto take = [&](HeldCall& held) {
      if (held.ready) {
        turn |= Push(held.call);
      } else {
        mailbox_.GiveRoom();
      }
      if (held.sealed || held.call.RemoveWaiter(held)) {
        done.push_back(&static_cast<HeldBack&>(held));
      } else {
        held.released = true;
      }
    };
    lanes_.Release(caller, take, mutex_);
  }
  // Also after a push: a turn may have run what was pushed, and gone idle while the lane still said that it has a call.
  turn |= WakeIfUnused();
  for (HeldBack* const held : done) delete held;
  if (turn) ScheduleTurn();
}

void ActorCell::OnHeldSealed(HeldBack& held) {
  AddRef();
  bool released = false;
  const CallerId caller = held.caller;
  {
    core::MutexLock lock(mutex_);
    released = held.released;
    held.sealed = true;  // from now on the lane may free it
  }
  if (released) {
    delete &held;
  } else {
    ReleaseLane(caller);
  }
  DropRef();
}

}  // namespace rustyray::actor
