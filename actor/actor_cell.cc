#include "actor/actor_cell.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <unordered_map>

#include "absl/strings/str_cat.h"
#include "actor/actor_context.h"
#include "core/thread_context.h"
#include "core/waiting.h"

namespace rustyray::actor {
namespace {

// The actor whose call this thread runs, and that call: a task run inside it is not the actor.
struct Occupation {
  ActorCell* cell;
  const core::Call* call;
};
thread_local constinit Occupation occupation{nullptr, nullptr};

}  // namespace

ActorCell* CurrentCell() {
  const core::CallFrame* const frame = core::current_frame;
  return frame != nullptr && frame->call == occupation.call ? occupation.cell : nullptr;
}

CallerId CurrentCaller() {
  if (const ActorCell* const cell = CurrentCell()) return reinterpret_cast<CallerId>(cell);
  if (core::current_frame != nullptr) return reinterpret_cast<CallerId>(core::current_frame->call);
  return (static_cast<CallerId>(core::ThisThreadNumber()) << 1) | 1;  // odd: no pointer
}

// A call that waits for its refs, or behind one of the same caller that does. Sealed before that (cancelled, or a
// failed argument), it lets those behind it go on. Freed by whoever comes last: the lane, or its waiter.
struct ActorCell::HeldCall final : core::Waiter {
  HeldCall(ActorCell& cell, core::Call& call, CallerId caller)
      : Waiter([](core::Waiter& waiter) {
          auto& held = static_cast<HeldCall&>(waiter);
          held.cell.OnHeldSealed(held);
        }),
        cell(cell),
        call(call),
        caller(caller) {
    cell.AddRef();
    call.AddHold();
  }
  ~HeldCall() {
    call.DropHold();
    cell.DropRef();
  }
  ActorCell& cell;
  core::Call& call;
  const CallerId caller;
  bool ready = false;     // its refs are
  bool sealed = false;    // it will never run
  bool released = false;  // the lane is done with it
};

struct ActorCell::Held {
  std::unordered_map<CallerId, std::deque<HeldCall*>> lanes;
  std::unordered_map<const core::Call*, HeldCall*> by_call;
};

struct ActorCell::Restarts {
  struct Backoff final : core::Timer {
    explicit Backoff(ActorCell& cell)
        : Timer([](Timer& timer) {
            ActorCell& cell = static_cast<Backoff&>(timer).cell;
            cell.BeginCreation();
            cell.DropRef();
          }),
          cell(cell) {}
    ActorCell& cell;
  };
  explicit Restarts(ActorCell& cell) : backoff(cell) {}
  std::deque<core::Time> recent;
  core::Duration next_backoff = core::Duration::zero();
  Backoff backoff;
};

ActorCell::CreationWaiter::CreationWaiter(ActorCell& cell)
    : Waiter([](core::Waiter& waiter) { static_cast<CreationWaiter&>(waiter).cell.OnCreationSealed(); }), cell(cell) {}

ActorCell::ActorCell(CellHost& host, ActorOptions options, const ClassInfo& info)
    : host_(host),
      owner_(host.tasks().owner()),
      options_(std::move(options)),
      info_(info),
      id_(core::ActorId::Random()),
      creation_waiter_(*this) {}

ActorCell::~ActorCell() {
  if (object_ != nullptr) info_.destroy(object_);
}

std::string ActorCell::Name() const {
  if (!options_.name.empty()) return absl::StrCat("'", options_.name, "' (", info_.Readable(), ")");
  return absl::StrCat(info_.Readable(), " ", id_.Hex().substr(0, 8));
}

core::ErrorPtr ActorCell::MakeDeath(const std::string& why) const {
  return core::MakeError({.code = absl::StatusCode::kUnavailable,
                          .kind = core::ErrorKind::kActor,
                          .message = absl::StrCat("actor ", Name(), " ", why),
                          .function = info_.Readable()});
}

// --- Handles.

void ActorCell::DropHandle() {
  if (handles_.fetch_sub(1, std::memory_order_seq_cst) == 1 && !options_.detached && !dead()) {
    core::Waiter* idle = Idle();
    if (inbox_.compare_exchange_strong(idle, nullptr, std::memory_order_seq_cst)) ScheduleTurn();
  }
  DropRef();
}

bool ActorCell::AddHandleIfAlive() {
  std::uint32_t handles = handles_.load(std::memory_order_relaxed);
  do {
    if (handles == 0 && !options_.detached) return false;
  } while (!handles_.compare_exchange_weak(handles, handles + 1, std::memory_order_seq_cst));
  AddRef();
  return true;
}

// --- Life.

void ActorCell::Start(task::CallPtr creation, std::function<task::CallPtr()> again) {
  again_ = std::move(again);
  SubmitCreation(std::move(creation));
}

void ActorCell::SubmitCreation(task::CallPtr creation) {
  // Holds, not handles: nobody reads its result, and it is nobody's ref.
  core::RecordHold record(*creation);
  {
    core::MutexLock lock(mutex_);
    creation_ = core::RecordHold(*creation);
    creation_queued_ = false;
  }
  creation_call_.store(&*creation, std::memory_order_release);
  (void)host_.tasks().SubmitTo(*this, std::move(creation), /*child=*/false);
  // An argument's error seals it without a turn.
  AddRef();
  if (!record->AddWaiter(creation_waiter_)) OnCreationSealed();
}

void ActorCell::OnCreationSealed() {
  bool turn = false;
  {
    core::MutexLock lock(mutex_);
    turn = phase_ == Phase::kCreating && !busy_ && !creation_ready_ && creation_ && creation_->ready();
    if (turn) creation_ready_ = true;
  }
  if (turn) ScheduleTurn();
  DropRef();
}

void ActorCell::BeginCreation() {
  {
    core::MutexLock lock(mutex_);
    if (phase_ != Phase::kCreating) return;  // ended during the backoff
  }
  SubmitCreation(again_());
}

absl::Status ActorCell::Install(void* object) {
  object_ = object;
  if (info_.on_start == nullptr) return absl::OkStatus();
  ActorContext context(*this);
  return info_.on_start(object_, context);
}

void ActorCell::RunCreation() {
  core::RecordHold creation;
  bool queued = false;
  {
    core::MutexLock lock(mutex_);
    creation = core::RecordHold(*creation_);
    queued = creation_queued_;
  }
  core::Call& call = static_cast<core::Call&>(*creation);
  const Occupation outer = std::exchange(occupation, {this, &call});
  if (!call.claimed()) call.TryRun();
  occupation = outer;
  if (queued) call.DropHold();  // the queue's
  creation_call_.store(nullptr, std::memory_order_release);
  core::ErrorPtr failed = call.has_error() ? call.error() : nullptr;
  if (failed != nullptr && object_ != nullptr) info_.destroy(std::exchange(object_, nullptr));  // OnStart failed
  std::vector<core::Call*> calls;
  {
    core::MutexLock lock(mutex_);
    busy_ = false;
    creation_ = core::RecordHold();
    creation_queued_ = false;
    if (phase_ != Phase::kCreating) return;  // killed meanwhile
    if (failed == nullptr) {
      phase_ = Phase::kAlive;
      return;
    }
    death_ = MakeDeath(absl::StrCat("never came to life: ", failed->Describe()));
    failed = death_;
    dead_.store(true, std::memory_order_release);
    phase_ = Phase::kEnding;
    restart_ = false;
    calls = TakeAllLocked();
  }
  FailCalls(calls, failed);
  host_.OnEnding(*this);
}

void ActorCell::EndInstance() {
  bool graceful = false;
  core::RecordHold never_ran;  // a creation that was awaited when the end came; it refers to this cell
  bool queued = false;
  core::Timer* backoff_timer = nullptr;
  {
    core::MutexLock lock(mutex_);
    graceful = graceful_;
    never_ran = std::move(creation_);
    queued = std::exchange(creation_queued_, false);
    if (restart_state_ != nullptr) backoff_timer = &restart_state_->backoff;
  }
  creation_call_.store(nullptr, std::memory_order_release);
  if (never_ran && queued) never_ran->DropHold();
  if (backoff_timer != nullptr && host_.clock().Cancel(*backoff_timer)) DropRef();
  if (object_ != nullptr) {
    if (graceful && info_.on_stop != nullptr) {
      ActorContext context(*this);
      try {
        info_.on_stop(object_, context);
      } catch (...) {
        // The actor ends all the same, and nobody waits for this.
      }
    }
    info_.destroy(std::exchange(object_, nullptr));
  }
  core::Duration backoff = core::Duration::zero();
  {
    core::MutexLock lock(mutex_);
    busy_ = false;
    if (restart_) {
      phase_ = Phase::kCreating;
      creation_ready_ = false;
      killed_.store(false, std::memory_order_release);
      restarts_.fetch_add(1, std::memory_order_relaxed);
      backoff = restart_state_->next_backoff;
      const core::Duration doubled = std::max(2 * backoff, options_.restart.backoff);
      restart_state_->next_backoff = std::min(doubled, options_.restart.max_backoff);
    } else {
      phase_ = Phase::kDead;
    }
  }
  if (dead()) {
    host_.OnDead(*this);
  } else if (backoff == core::Duration::zero()) {
    BeginCreation();
  } else {
    AddRef();
    core::Timer* timer = nullptr;
    {
      core::MutexLock lock(mutex_);
      timer = &restart_state_->backoff;
    }
    host_.clock().Arm(*timer, core::SaturatingAdd(host_.clock().Now(), backoff));
  }
}

bool ActorCell::MayRestartLocked() {
  const RestartPolicy& policy = options_.restart;
  if (again_ == nullptr || policy.max_restarts == 0) return false;
  if (policy.max_restarts > 0 && restarts_.load(std::memory_order_relaxed) >= policy.max_restarts) return false;
  if (restart_state_ == nullptr) {
    restart_state_ = std::make_unique<Restarts>(*this);
    restart_state_->next_backoff = policy.backoff;
  }
  if (policy.max_in_window == 0) return true;
  const core::Time now = host_.clock().Now();
  std::deque<core::Time>& recent = restart_state_->recent;
  while (!recent.empty() && now - recent.front() > policy.window) recent.pop_front();
  if (static_cast<int>(recent.size()) >= policy.max_in_window) return false;
  recent.push_back(now);
  return true;
}

void ActorCell::Kill(bool no_restart) {
  bool restart = false;
  {
    core::MutexLock lock(mutex_);
    if (phase_ == Phase::kDead) return;
    restart = !no_restart && phase_ != Phase::kEnding && MayRestartLocked();
  }
  BeginEnd(/*graceful=*/false, restart, MakeDeath(restart ? "was killed, and restarts" : "was killed"));
}

void ActorCell::Stop(const std::string& why) { BeginEnd(/*graceful=*/true, /*restart=*/false, MakeDeath(why)); }

void ActorCell::Restart(const core::ErrorPtr& error) {
  bool restart = false;
  {
    core::MutexLock lock(mutex_);
    if (phase_ != Phase::kAlive) return;
    restart = MayRestartLocked();
  }
  BeginEnd(
      /*graceful=*/false, restart,
      MakeDeath(absl::StrCat(restart ? "restarts after an error: " : "ended after an error, with no restart left: ",
                             error->Describe())));
}

void ActorCell::BeginEnd(bool graceful, bool restart, const core::ErrorPtr& why) {
  std::vector<core::Call*> queued;
  std::vector<core::RecordHold> running;
  std::vector<core::RecordHold> held;
  {
    core::MutexLock lock(mutex_);
    if (phase_ == Phase::kDead) return;
    if (phase_ == Phase::kEnding) {
      // Under way already: a kill may still make it final and hard.
      restart = restart && restart_;
      graceful = graceful && graceful_;
    }
    phase_ = Phase::kEnding;
    restart_ = restart;
    graceful_ = graceful;
    death_ = why;
    if (!graceful) {
      killed_.store(true, std::memory_order_release);
      for (core::Call* const call : running_) running.emplace_back(*call);
      if (creation_) running.emplace_back(*creation_);
    }
    if (!restart) dead_.store(true, std::memory_order_release);
    queued = TakeAllLocked();
    if (held_ != nullptr) {
      for (const auto& [call, one] : held_->by_call) held.emplace_back(one->call);
    }
  }
  if (!restart) host_.OnEnding(*this);
  for (core::RecordHold& call : held) static_cast<core::Call&>(*call).FailUnclaimed(why);
  for (core::RecordHold& call : running) static_cast<core::Call&>(*call).Cancel(why);
  FailCalls(queued, why);
  ScheduleTurn();
}

// --- Calls.

absl::Status ActorCell::TakeRoom() {
  while (queued_.fetch_add(1, std::memory_order_relaxed) >= options_.mailbox_capacity) {
    queued_.fetch_sub(1, std::memory_order_relaxed);
    if (options_.mailbox_full == MailboxFull::kReject) {
      return core::MakeStatus(absl::StatusCode::kResourceExhausted, core::ErrorKind::kGeneric,
                              std::string(absl::StrCat("the mailbox of actor ", Name(), " is full: it holds ",
                                                       options_.mailbox_capacity, " calls")));
    }
    // Room comes when the next call begins, which is when this one ends.
    core::RecordHold first;
    {
      core::MutexLock lock(mutex_);
      if (front_ == nullptr) TakeInboxLocked();
      if (!running_.empty()) {
        first = core::RecordHold(*running_.front());
      } else if (front_ != nullptr) {
        first = core::RecordHold(static_cast<core::Call&>(*front_));
      } else if (creation_) {
        first = core::RecordHold(*creation_);
      } else if (held_ != nullptr && !held_->lanes.empty()) {
        first = core::RecordHold(held_->lanes.begin()->second.front()->call);
      }
    }
    if (!first) continue;
    absl::Status waited = host_.tasks().owner().waiting().WaitForRecord(*first, core::kNever);
    if (!waited.ok()) return waited;
  }
  return absl::OkStatus();
}

core::ObjectRef ActorCell::Failed(task::CallPtr call, const core::ErrorPtr& why) {
  core::Call& failed = *call.release();
  core::ObjectRef ref = core::ObjectRef::Adopt(&failed);
  failed.FailUnclaimed(why);
  failed.DropHold();
  return ref;
}

core::ObjectRef ActorCell::Submit(task::CallPtr submitted) {
  core::Call& call = *submitted;
  if (!dead()) {
    if (absl::Status room = TakeRoom(); !room.ok()) {
      return Failed(std::move(submitted), core::ErrorFromStatus(room, call.name()));
    }
  }
  if (dead()) {
    core::ErrorPtr death;
    {
      core::MutexLock lock(mutex_);
      death = death_;
    }
    return Failed(std::move(submitted), death);
  }
  bool unready = false;
  if (call.has_refs()) call.VisitRefs([&](const core::ObjectRef& ref) { unready |= !ref.ready(); });
  if (unready || held_calls_.load(std::memory_order_acquire) > 0) {
    const CallerId caller = CurrentCaller();
    core::MutexLock lock(mutex_);
    if (unready || (held_ != nullptr && held_->lanes.contains(caller))) HoldBack(call, caller);
  }
  return host_.tasks().SubmitTo(*this, std::move(submitted));
}

void ActorCell::HoldBack(core::Call& call, CallerId caller) {
  if (held_ == nullptr) held_ = std::make_unique<Held>();
  auto* const held = new HeldCall(*this, call, caller);
  held_->lanes[caller].push_back(held);
  held_->by_call[&call] = held;
  held_calls_.fetch_add(1, std::memory_order_release);
  call.AddWaiter(*held);  // it is not submitted yet, so not sealed
}

bool ActorCell::Schedule(core::Runnable& work) {
  auto& call = static_cast<core::Call&>(work);
  bool creation = false;
  HeldCall* held = nullptr;
  CallerId caller = 0;
  if (creation_call_.load(std::memory_order_acquire) == &call || held_calls_.load(std::memory_order_acquire) > 0) {
    core::MutexLock lock(mutex_);
    if (creation_ && &*creation_ == &call) {
      creation = creation_ready_ = creation_queued_ = true;
    } else if (held_ != nullptr) {
      if (const auto at = held_->by_call.find(&call); at != held_->by_call.end()) {
        held = at->second;
        held->ready = true;
        caller = held->caller;
      }
    }
  }
  if (creation) {
    ScheduleTurn();
  } else if (held != nullptr) {
    ReleaseLane(caller);
  } else if (Push(call)) {
    ScheduleTurn();
  }
  return true;
}

void ActorCell::ReleaseLane(CallerId caller) {
  bool turn = false;
  std::vector<HeldCall*> done;
  {
    core::MutexLock lock(mutex_);
    const auto lane = held_->lanes.find(caller);
    if (lane == held_->lanes.end()) return;
    std::deque<HeldCall*>& calls = lane->second;
    while (!calls.empty() && (calls.front()->ready || calls.front()->sealed)) {
      HeldCall* const held = calls.front();
      calls.pop_front();
      held_->by_call.erase(&held->call);
      held_calls_.fetch_sub(1, std::memory_order_release);
      if (held->ready) {
        turn |= Push(held->call);  // under the lock: two who release one lane must not overtake each other
      } else {
        queued_.fetch_sub(1, std::memory_order_relaxed);
      }
      if (held->sealed || held->call.RemoveWaiter(*held)) {
        done.push_back(held);
      } else {
        held->released = true;
      }
    }
    if (calls.empty()) held_->lanes.erase(lane);
  }
  for (HeldCall* const held : done) delete held;
  if (turn) ScheduleTurn();
}

void ActorCell::OnHeldSealed(HeldCall& held) {
  bool released = false;
  {
    core::MutexLock lock(mutex_);
    released = held.released;
    held.sealed = true;
  }
  if (released) {
    delete &held;
  } else {
    ReleaseLane(held.caller);
  }
}

bool ActorCell::Push(core::Call& call) {
  core::Waiter& node = call;
  core::Waiter* newest = inbox_.load(std::memory_order_relaxed);
  do {
    node.next = newest == Idle() ? nullptr : newest;
  } while (!inbox_.compare_exchange_weak(newest, &node, std::memory_order_seq_cst));
  return newest == Idle() || options_.max_concurrency > 1;
}

void ActorCell::TakeInboxLocked() {
  core::Waiter* newest = inbox_.load(std::memory_order_acquire);
  if (newest == nullptr || newest == Idle()) return;
  newest = inbox_.exchange(nullptr, std::memory_order_acq_rel);
  core::Waiter* oldest = nullptr;
  while (newest != nullptr) {
    core::Waiter* const next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  if (front_ == nullptr) {
    front_ = oldest;
    return;
  }
  core::Waiter* last = front_;
  while (last->next != nullptr) last = last->next;
  last->next = oldest;
}

core::Call* ActorCell::PopLocked() {
  if (front_ == nullptr) TakeInboxLocked();
  if (front_ == nullptr) return nullptr;
  core::Call& call = static_cast<core::Call&>(*std::exchange(front_, front_->next));
  queued_.fetch_sub(1, std::memory_order_relaxed);
  return &call;
}

bool ActorCell::GoIdleLocked() {
  core::Waiter* none = nullptr;
  return inbox_.compare_exchange_strong(none, Idle(), std::memory_order_seq_cst) || none == Idle();
}

std::vector<core::Call*> ActorCell::TakeAllLocked() {
  std::vector<core::Call*> calls;
  TakeInboxLocked();
  while (core::Call* const call = PopLocked()) calls.push_back(call);
  return calls;
}

void ActorCell::FailCalls(const std::vector<core::Call*>& calls, const core::ErrorPtr& why) {
  for (core::Call* const call : calls) {
    call->FailUnclaimed(why);
    call->DropHold();
  }
}

// --- Turns.

void ActorCell::ScheduleTurn() {
  AddRef();
  if (!host_.executor().Schedule(*this)) DiscardScheduled();
}

void ActorCell::RunScheduled() {
  RunTurn(nullptr);
  DropRef();
}

void ActorCell::DiscardScheduled() {
  // The executor has stopped: what is queued will never run. The instance goes now, or with the last one inside.
  std::vector<core::Call*> calls;
  bool end = false;
  core::ErrorPtr why = MakeDeath("ended: its runtime was shut down");
  {
    core::MutexLock lock(mutex_);
    if (phase_ != Phase::kDead) {
      phase_ = Phase::kEnding;
      restart_ = false;
      if (death_ == nullptr || !dead()) death_ = why;
      dead_.store(true, std::memory_order_release);
    }
    why = death_;
    calls = TakeAllLocked();
    GoIdleLocked();
    if (phase_ == Phase::kEnding && running_.empty() && !busy_) end = busy_ = true;
  }
  FailCalls(calls, why);
  if (end) EndInstance();
  DropRef();
}

void ActorCell::RunTurn(const core::Call* until) {
  int ran = 0;
  bool enough = false;  // what is left is for another turn
  for (;;) {
    enum class Do { kCall, kFail, kCreate, kEnd } what = Do::kCall;
    core::Call* call = nullptr;
    core::ErrorPtr death;
    bool another_turn = false;
    {
      core::MutexLock lock(mutex_);
      if (busy_) return;  // that turn goes on when it is done
      if (phase_ == Phase::kAlive && handles_.load(std::memory_order_seq_cst) == 0 && !options_.detached &&
          running_.empty() && queued_.load(std::memory_order_relaxed) == 0) {
        phase_ = Phase::kEnding;
        graceful_ = true;
        restart_ = false;
        death_ = MakeDeath("ended: nobody had a handle to it any more");
        dead_.store(true, std::memory_order_release);
      }
      switch (phase_) {
        case Phase::kCreating:
          if (!creation_ready_) return;  // the inbox stays taken; readiness schedules a turn
          creation_ready_ = false;
          busy_ = true;
          what = Do::kCreate;
          break;
        case Phase::kEnding:
          if (!running_.empty()) return;  // the last one out ends it
          busy_ = true;
          what = Do::kEnd;
          break;
        case Phase::kAlive:
          if (static_cast<int>(running_.size()) >= options_.max_concurrency) return;
          if (enough) {
            TakeInboxLocked();
            another_turn = front_ != nullptr;
          }
          if (another_turn) break;
          call = PopLocked();
          if (call == nullptr) {
            if (!GoIdleLocked()) continue;
            // Somebody may have dropped the last handle before it could see that no turn is there.
            if (handles_.load(std::memory_order_seq_cst) == 0 && !options_.detached && running_.empty()) {
              core::Waiter* idle = Idle();
              if (inbox_.compare_exchange_strong(idle, nullptr, std::memory_order_seq_cst)) continue;
            }
            return;
          }
          call->AddHold();
          running_.push_back(call);
          another_turn = options_.max_concurrency > 1 && queued_.load(std::memory_order_relaxed) > 0 &&
                         static_cast<int>(running_.size()) < options_.max_concurrency;
          break;
        case Phase::kDead:
          call = PopLocked();
          if (call == nullptr) {
            if (GoIdleLocked()) return;
            continue;
          }
          what = Do::kFail;
          death = death_;
          break;
      }
    }
    if (another_turn) ScheduleTurn();
    if (another_turn && enough) return;
    switch (what) {
      case Do::kCreate:
        RunCreation();
        continue;
      case Do::kEnd:
        EndInstance();
        continue;
      case Do::kFail:
        FailCalls({call}, death);
        continue;
      case Do::kCall:
        RunCall(*call);
        break;
    }
    enough = (until != nullptr && until->ready()) || ++ran >= kTurn;
  }
}

void ActorCell::RunCall(core::Call& call) {
  const Occupation outer = std::exchange(occupation, {this, &call});
  call.RunScheduled();
  occupation = outer;
  {
    core::MutexLock lock(mutex_);
    running_.erase(std::find(running_.begin(), running_.end(), &call));
  }
  if (options_.restart.restart_on != nullptr && call.has_error()) {
    const core::ErrorPtr error = call.error();
    if (error->kind() == core::ErrorKind::kTask && options_.restart.restart_on(*error)) Restart(error);
  }
  call.DropHold();
}

core::Executor::InOrder ActorCell::RunInOrder(core::Runnable& work) {
  const auto& call = static_cast<core::Call&>(work);
  if (options_.max_concurrency > 1) return InOrder::kRefused;
  const core::RunningPlace place(host_.executor());
  if (!place.entered() || !host_.executor().Unschedule(*this)) return InOrder::kRefused;
  RunTurn(&call);
  DropRef();
  return call.ready() ? InOrder::kRan : InOrder::kRefused;
}

void ActorCell::VisitBlockers(const core::Runnable& work, absl::FunctionRef<void(core::Record*)> visit) {
  const auto& call = static_cast<const core::Call&>(work);
  core::MutexLock lock(mutex_);
  if (static_cast<int>(running_.size()) >= options_.max_concurrency) {
    for (core::Call* const running : running_) visit(running);
  }
  if (creation_ && &*creation_ != &call) visit(&*creation_);
  if (held_ == nullptr) return;
  if (const auto held = held_->by_call.find(&call); held != held_->by_call.end()) {
    HeldCall* const first = held_->lanes[held->second->caller].front();
    if (first != held->second) visit(&first->call);
  }
}

}  // namespace rustyray::actor
