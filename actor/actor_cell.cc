#include "actor/actor_cell.h"

#include <algorithm>
#include <deque>
#include <thread>
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

// The call that this thread submits without holding it back, until it is scheduled. A call that fails instead (by a
// ref's error, or with its parent) never is, and its room is given back.
thread_local constinit const core::Call* submitting = nullptr;

// Turns that a stopped executor did not take, while others are discarded on this thread: one may end an actor that held
// the last handle to the next one, and so on.
struct Discards {
  static constexpr int kMostNested = 16;
  int nested = 0;
  std::vector<ActorCell*> later;
};
thread_local Discards discards;

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
  HeldCall(ActorCell& cell, core::Call& call, CallerId caller, std::uint64_t number)
      : Waiter([](core::Waiter& waiter) {
          auto& held = static_cast<HeldCall&>(waiter);
          held.cell.OnHeldSealed(held);
        }),
        cell(cell),
        call(call),
        caller(caller),
        number(number) {
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
  const std::uint64_t number;
  bool submitted = false;  // before that nobody but the submitter may touch the call
  bool ready = false;      // its refs are
  bool sealed = false;     // it will never run
  bool released = false;   // the lane is done with it
};

struct ActorCell::Held {
  std::unordered_map<CallerId, std::deque<HeldCall*>> lanes;
  std::unordered_map<const core::Call*, HeldCall*> by_call;
  std::uint64_t numbers = 0;

  // Oldest first, whatever their addresses: schedules can be replayed.
  std::vector<core::RecordHold> InOrder() const {
    std::vector<HeldCall*> calls;
    for (const auto& [call, held] : by_call) {
      if (held->submitted) calls.push_back(held);
    }
    std::sort(calls.begin(), calls.end(), [](HeldCall* a, HeldCall* b) { return a->number < b->number; });
    std::vector<core::RecordHold> holds;
    for (HeldCall* const held : calls) holds.emplace_back(held->call);
    return holds;
  }
};

struct ActorCell::Restarts {
  struct Backoff final : core::Timer {
    explicit Backoff(ActorCell& cell)
        : Timer([](Timer& timer) {
            ActorCell& cell = static_cast<Backoff&>(timer).cell;
            cell.OnBackoffOver();
            cell.DropRef();
          }),
          cell(cell) {}
    ActorCell& cell;
  };
  explicit Restarts(ActorCell& cell) : backoff(cell) {}
  std::deque<core::Time> recent;
  core::Duration next_backoff = core::Duration::zero();
  Backoff backoff;
  // Calls to be retried by the next instance, in the order in which they began; kEnding only. Some are in running_.
  std::vector<core::Call*> retried;
};

// Tells of a creation that an argument's error ends without a turn. Frees itself.
struct ActorCell::CreationWaiter final : core::Waiter {
  CreationWaiter(ActorCell& cell, core::Record& creation) : Waiter(&Fire), cell(cell), creation(creation) {
    cell.AddRef();
  }
  static void Fire(core::Waiter& waiter) {
    auto& self = static_cast<CreationWaiter&>(waiter);
    ActorCell& cell = self.cell;
    cell.OnCreationSealed(*self.creation);
    delete &self;
    cell.DropRef();
  }
  ActorCell& cell;
  const core::RecordHold creation;  // so that no later one has its address
};

namespace {

std::uint64_t NextCellNumber() {
  static std::atomic<std::uint64_t> next{0};
  return next.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

ActorCell::ActorCell(CellHost& host, ActorOptions options, const ClassInfo& info)
    : host_(host),
      owner_(host.tasks().owner()),
      options_(std::move(options)),
      info_(info),
      id_(core::ActorId::Random()),
      number_(NextCellNumber()) {}

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

core::ErrorPtr ActorCell::Death() const {
  core::MutexLock lock(mutex_);
  return death_;
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
  {
    core::MutexLock lock(mutex_);
    again_ = std::move(again);
  }
  SubmitCreation(std::move(creation));
  bool turn = false;
  {
    core::MutexLock lock(mutex_);
    busy_ = false;
    turn = creation_ready_ || phase_ != Phase::kCreating;
  }
  if (turn) ScheduleTurn();
}

void ActorCell::Abandon(const std::string& why) {
  {
    core::MutexLock lock(mutex_);
    busy_ = false;
  }
  Stop(why);
}

// By who is busy.
void ActorCell::SubmitCreation(task::CallPtr creation) {
  // Holds, not handles: nobody reads its result, and it is nobody's ref.
  core::RecordHold record(*creation);
  {
    core::MutexLock lock(mutex_);
    creation_ = core::RecordHold(*creation);
    creation_ready_ = creation_queued_ = false;
  }
  const bool has_refs = creation->has_refs();
  (void)host_.tasks().SubmitTo(*this, std::move(creation), /*child=*/false);
  if (!has_refs) return;
  auto* const waiter = new CreationWaiter(*this, *record);
  if (!record->AddWaiter(*waiter)) CreationWaiter::Fire(*waiter);
}

void ActorCell::OnCreationSealed(const core::Record& creation) {
  bool turn = false;
  {
    core::MutexLock lock(mutex_);
    if (phase_ != Phase::kCreating || !creation_ || &*creation_ != &creation || creation_ready_) return;
    creation_ready_ = true;
    turn = !busy_;
  }
  if (turn) ScheduleTurn();
}

void ActorCell::OnBackoffOver() {
  bool turn = false;
  {
    core::MutexLock lock(mutex_);
    if (phase_ != Phase::kCreating) return;  // ended during the backoff
    creation_due_ = true;
    turn = !busy_;
  }
  if (turn) ScheduleTurn();
}

void ActorCell::RestartCreation() {
  try {
    SubmitCreation(again_());
  } catch (...) {
    EndCreation(core::ErrorFromCurrentException(info_.Readable()));  // an argument that cannot be copied
    return;
  }
  core::MutexLock lock(mutex_);
  busy_ = false;
}

absl::Status ActorCell::Install(void* object) {
  object_ = object;
  if (info_.on_start == nullptr) return absl::OkStatus();
  ActorContext context(*this);
  return info_.on_start(object_, context);
}

void ActorCell::RunCreation() {
  core::RecordHold creation;
  {
    core::MutexLock lock(mutex_);
    creation = core::RecordHold(*creation_);
  }
  core::Call& call = static_cast<core::Call&>(*creation);
  const Occupation outer = std::exchange(occupation, {this, &call});
  if (!call.claimed()) call.TryRun();
  occupation = outer;
  core::ErrorPtr failed = call.has_error() ? call.error() : nullptr;
  if (failed != nullptr && object_ != nullptr) info_.destroy(std::exchange(object_, nullptr));  // OnStart failed
  EndCreation(std::move(failed));
}

void ActorCell::EndCreation(core::ErrorPtr failed) {
  core::RecordHold creation;
  bool queued = false;
  Doomed doomed;
  bool dies = false;
  {
    core::MutexLock lock(mutex_);
    busy_ = false;
    creation = std::move(creation_);
    creation_ready_ = false;
    queued = std::exchange(creation_queued_, false);
    if (phase_ == Phase::kCreating) {  // else it was killed meanwhile
      dies = failed != nullptr;
      phase_ = dies ? Phase::kEnding : Phase::kAlive;
    }
    if (dies) {
      failed = death_ = MakeDeath(absl::StrCat("never came to life: ", failed->Describe()));
      restart_ = graceful_ = false;
      dead_.store(true, std::memory_order_release);
      TakeAllLocked(doomed);
    }
  }
  if (queued) creation->DropHold();  // the queue's
  if (!dies) return;
  host_.OnEnding(*this);
  FailAll(doomed, failed);
}

void ActorCell::EndInstance() {
  bool graceful = false;
  core::RecordHold never_ran;  // a creation that was awaited when the end came; it refers to this cell
  bool queued = false;
  core::ErrorPtr death;
  core::Timer* backoff_timer = nullptr;
  {
    core::MutexLock lock(mutex_);
    graceful = graceful_;
    never_ran = std::move(creation_);
    queued = std::exchange(creation_queued_, false);
    creation_ready_ = creation_due_ = false;
    death = death_;
    if (restart_state_ != nullptr) backoff_timer = &restart_state_->backoff;
  }
  if (never_ran) {
    static_cast<core::Call&>(*never_ran).FailUnclaimed(death);
    if (queued) never_ran->DropHold();
    never_ran = core::RecordHold();
  }
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
  std::function<task::CallPtr()> again;  // freed after the lock
  Doomed doomed;
  bool restart = false;
  {
    core::MutexLock lock(mutex_);
    restart = restart_;
    if (restart) {
      phase_ = Phase::kCreating;
      RequeueLocked();
      killed_.store(false, std::memory_order_release);
      restarts_.fetch_add(1, std::memory_order_relaxed);
      backoff = restart_state_->next_backoff;
      const core::Duration doubled = std::max(2 * backoff, options_.restart.backoff);
      restart_state_->next_backoff = std::min(doubled, options_.restart.max_backoff);
      backoff_timer = &restart_state_->backoff;
      creation_due_ = backoff <= core::Duration::zero();
    } else {
      phase_ = Phase::kDead;
      again.swap(again_);
      if (restart_state_ != nullptr) doomed.queued.swap(restart_state_->retried);
    }
    busy_ = restart && !creation_due_;
  }
  FailAll(doomed, death);
  if (!restart) {
    account_ = core::AccountPtr();  // its store may go before the last handle
    return host_.OnDead(*this);
  }
  if (backoff <= core::Duration::zero()) return;
  AddRef();
  host_.clock().Arm(*backoff_timer, core::SaturatingAdd(host_.clock().Now(), backoff));
  core::MutexLock lock(mutex_);
  busy_ = false;
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
  BeginEnd(From::kAnyPhase, /*graceful=*/false, !no_restart, "was killed", "was killed, and restarts");
}

void ActorCell::Stop(const std::string& why) {
  BeginEnd(From::kAnyPhase, /*graceful=*/true, /*may_restart=*/false, why, why);
}

void ActorCell::Restart(const core::ErrorPtr& error) {
  BeginEnd(From::kAlive, /*graceful=*/false, /*may_restart=*/true,
           absl::StrCat("ended after an error, with no restart left: ", error->Describe()),
           absl::StrCat("restarts after an error: ", error->Describe()));
}

void ActorCell::BeginEnd(From from, bool graceful, bool may_restart, const std::string& why,
                         const std::string& why_restart) {
  Doomed doomed;
  std::vector<core::RecordHold> running;
  std::vector<core::RunChildren> children;  // of void runs
  core::ErrorPtr death;
  bool restart = false;
  {
    core::MutexLock lock(mutex_);
    if (phase_ == Phase::kDead || (from == From::kAlive && phase_ != Phase::kAlive)) return;
    if (phase_ == Phase::kEnding) {
      // Under way already: this may still make it final and hard.
      restart = may_restart && restart_;
      graceful = graceful && graceful_;
    } else {
      restart = may_restart && MayRestartLocked();
    }
    phase_ = Phase::kEnding;
    restart_ = restart;
    graceful_ = graceful;
    death = MakeDeath(restart ? why_restart : why);
    if (!dead()) death_ = death;
    if (!graceful) {
      killed_.store(true, std::memory_order_release);
      for (core::Call* const call : running_) {
        if (restart && IsRetriedLocked(*call)) continue;
        if (restart && call->VoidRun()) {
          restart_state_->retried.push_back(call);  // MayRestartLocked made it
          children.push_back(call->Children());
        } else {
          running.emplace_back(*call);
        }
      }
      // One that is just being submitted is failed by the turn that ends the instance.
      if (creation_ && (creation_ready_ || !busy_)) running.emplace_back(*creation_);
    }
    if (!restart) dead_.store(true, std::memory_order_release);
    if (!restart || options_.max_task_retries == 0) TakeAllLocked(doomed);
  }
  if (!restart) host_.OnEnding(*this);
  for (core::RunChildren& submitted : children) submitted.Cancel(death);
  for (core::RecordHold& call : running) static_cast<core::Call&>(*call).Cancel(death);
  FailAll(doomed, death);
  ScheduleTurn();
}

bool ActorCell::IsRetriedLocked(const core::Call& call) const {
  if (restart_state_ == nullptr) return false;
  const std::vector<core::Call*>& retried = restart_state_->retried;
  return std::find(retried.begin(), retried.end(), &call) != retried.end();
}

void ActorCell::RequeueLocked() {
  std::vector<core::Call*>& retried = restart_state_->retried;
  while (!retried.empty()) {
    core::Waiter& node = *retried.back();
    retried.pop_back();
    node.next = front_;
    front_ = &node;
    queued_.fetch_add(1, std::memory_order_relaxed);  // needs no room
  }
}

void ActorCell::TakeAllLocked(Doomed& doomed) {
  if (restart_state_ != nullptr) {
    std::erase_if(restart_state_->retried, [&, running = &running_](core::Call* call) {
      if (std::find(running->begin(), running->end(), call) != running->end()) return false;  // its run will end
      doomed.queued.push_back(call);
      return true;
    });
  }
  while (core::Call* const call = PopLocked()) doomed.queued.push_back(call);
  if (held_ != nullptr) doomed.held = held_->InOrder();
}

void ActorCell::FailAll(Doomed& doomed, const core::ErrorPtr& why) {
  for (core::RecordHold& call : doomed.held) static_cast<core::Call&>(*call).FailUnclaimed(why);
  for (core::Call* const call : doomed.queued) {
    call->FailUnclaimed(why);
    call->DropHold();
  }
}

// --- Calls.

absl::Status ActorCell::TakeRoom() {
  while (queued_.fetch_add(1, std::memory_order_relaxed) >= options_.mailbox_capacity) {
    queued_.fetch_sub(1, std::memory_order_relaxed);
    std::vector<core::RecordHold> over;  // cancelled in the queue
    core::RecordHold first;              // room comes when the next call begins: when this one ends
    {
      core::MutexLock lock(mutex_);
      if (front_ == nullptr) TakeInboxLocked();
      while (front_ != nullptr && static_cast<core::Call&>(*front_).ready()) {
        core::Call& call = *PopLocked();
        over.emplace_back(call);
        call.DropHold();
      }
      if (!over.empty()) {
        // There is room.
      } else if (options_.max_concurrency == 1 && !running_.empty() && !running_.front()->ready()) {
        first = core::RecordHold(*running_.front());
      } else if (front_ != nullptr) {
        first = core::RecordHold(static_cast<core::Call&>(*front_));
      } else if (held_ != nullptr) {
        std::vector<core::RecordHold> calls = held_->InOrder();
        if (!calls.empty()) first = std::move(calls.front());
      }
    }
    if (!over.empty()) continue;
    if (options_.mailbox_full == MailboxFull::kReject) {
      return core::MakeStatus(absl::StatusCode::kResourceExhausted, core::ErrorKind::kGeneric,
                              std::string(absl::StrCat("the mailbox of actor ", Name(), " is full: it holds ",
                                                       options_.mailbox_capacity, " calls")));
    }
    if (!first || first->ready()) {  // somebody is about to put a call there, or to take one away
      core::DrainDeferred();
      std::this_thread::yield();
      continue;
    }
    absl::Status waited = host_.tasks().owner().waiting().WaitForRecord(*first, core::kNever);
    if (!waited.ok()) return waited;
  }
  return absl::OkStatus();
}

bool ActorCell::GiveRoomOnly() {
  queued_.fetch_sub(1, std::memory_order_seq_cst);
  if (handles_.load(std::memory_order_seq_cst) > 0 || options_.detached || dead()) return false;
  core::Waiter* idle = Idle();
  return inbox_.compare_exchange_strong(idle, nullptr, std::memory_order_seq_cst);
}

void ActorCell::GiveRoom() {
  if (GiveRoomOnly()) ScheduleTurn();
}

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
  if (absl::Status room = TakeRoom(); !room.ok()) {
    const core::ErrorPtr error = core::ErrorFromStatus(room, call->name());
    return Failed(std::move(call), error);
  }
  return SubmitInRoom(std::move(call));
}

core::ObjectRef ActorCell::Drain(std::vector<core::RecordHold>& held) {
  static constexpr core::FunctionInfo kBarrier{"the end of the mailbox"};
  {
    core::MutexLock lock(mutex_);
    if (held_ != nullptr) {
      for (core::RecordHold& call : held_->InOrder()) held.push_back(std::move(call));
    }
  }
  queued_.fetch_add(1, std::memory_order_relaxed);
  return SubmitInRoom(task::MakeCall(owner_, kBarrier, [] {}));
}

core::ObjectRef ActorCell::SubmitInRoom(task::CallPtr submitted) {
  core::Call& call = *submitted;
  bool held = false;
  bool unready = false;
  if (call.has_refs()) call.VisitRefs([&](const core::ObjectRef& ref) { unready |= !ref.ready(); });
  if (dead() || unready || held_calls_.load(std::memory_order_acquire) > 0) {
    const CallerId caller = CurrentCaller();
    core::ErrorPtr death;
    {
      core::MutexLock lock(mutex_);
      if (dead()) {
        death = death_;
      } else if (unready || (held_ != nullptr && held_->lanes.contains(caller))) {
        HoldBack(call, caller);
        held = true;
      }
    }
    if (death != nullptr) {
      GiveRoom();
      return Failed(std::move(submitted), death);
    }
  }
  if (held) {
    core::ObjectRef ref = host_.tasks().SubmitTo(*this, std::move(submitted));
    core::ErrorPtr death;
    {
      core::MutexLock lock(mutex_);
      if (const auto at = held_->by_call.find(&call); at != held_->by_call.end()) at->second->submitted = true;
      if (dead()) death = death_;  // the end came meanwhile, and passed the call by
    }
    if (death != nullptr) call.FailUnclaimed(death);
    return ref;
  }
  const core::Call* const outer = std::exchange(submitting, &call);
  core::ObjectRef ref = host_.tasks().SubmitTo(*this, std::move(submitted));
  if (std::exchange(submitting, outer) == ref.record()) GiveRoom();
  return ref;
}

void ActorCell::HoldBack(core::Call& call, CallerId caller) {
  if (held_ == nullptr) held_ = std::make_unique<Held>();
  auto* const held = new HeldCall(*this, call, caller, held_->numbers++);
  held_->lanes[caller].push_back(held);
  held_->by_call[&call] = held;
  held_calls_.fetch_add(1, std::memory_order_release);
  call.AddWaiter(*held);  // it is not submitted yet, so not sealed
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
      turn = !busy_;
    } else if (held_ != nullptr) {
      if (const auto at = held_->by_call.find(&call); at != held_->by_call.end()) {
        is_held = at->second->ready = true;
        caller = at->second->caller;
      }
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
  std::vector<HeldCall*> done;
  {
    core::MutexLock lock(mutex_);
    const auto lane = held_->lanes.find(caller);
    if (lane == held_->lanes.end()) return;
    std::deque<HeldCall*>& calls = lane->second;
    std::uint32_t released = 0;
    while (!calls.empty() && (calls.front()->ready || calls.front()->sealed)) {
      HeldCall* const held = calls.front();
      calls.pop_front();
      held_->by_call.erase(&held->call);
      ++released;
      if (held->ready) {
        turn |= Push(held->call);  // under the lock: two who release one lane must not overtake each other
      } else {
        turn |= GiveRoomOnly();
      }
      if (held->sealed || held->call.RemoveWaiter(*held)) {
        done.push_back(held);
      } else {
        held->released = true;
      }
    }
    if (calls.empty()) held_->lanes.erase(lane);
    held_calls_.fetch_sub(released, std::memory_order_release);  // last: then their caller's next call may go ahead
  }
  for (HeldCall* const held : done) delete held;
  if (turn) ScheduleTurn();
}

void ActorCell::OnHeldSealed(HeldCall& held) {
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

bool ActorCell::Push(core::Call& call) {
  core::Waiter& node = call;
  core::Waiter* newest = inbox_.load(std::memory_order_relaxed);
  do {
    node.next = newest == Idle() ? nullptr : newest;
  } while (!inbox_.compare_exchange_weak(newest, &node, std::memory_order_seq_cst));
  return newest == Idle() || options_.max_concurrency > 1;
}

// When front_ is empty.
void ActorCell::TakeInboxLocked() {
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

bool ActorCell::UnusedLocked() const {
  return handles_.load(std::memory_order_seq_cst) == 0 && !options_.detached && running_.empty() &&
         queued_.load(std::memory_order_seq_cst) == 0;
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
    } while (!GoIdleLocked());
    if (phase_ == Phase::kEnding && running_.empty() && !busy_) end = busy_ = true;
  }
  FailAll(doomed, why);
  if (end) EndInstance();
}

void ActorCell::RunTurn(const core::Call* until) {
  int ran = 0;
  bool enough = false;  // what is left is for another turn
  for (;;) {
    enum class Do { kCall, kFail, kSubmit, kCreate, kEnd } what = Do::kCall;
    core::Call* call = nullptr;
    core::ErrorPtr death;
    bool another_turn = false;
    {
      core::MutexLock lock(mutex_);
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
          if (enough) {
            if (front_ == nullptr) TakeInboxLocked();
            another_turn = front_ != nullptr;
          }
          if (another_turn) break;
          call = PopLocked();
          if (call == nullptr) {
            if (!GoIdleLocked()) continue;
            // Somebody may have dropped the last handle before it could see that no turn is there.
            if (UnusedLocked()) {
              core::Waiter* idle = Idle();
              if (inbox_.compare_exchange_strong(idle, nullptr, std::memory_order_seq_cst)) continue;
            }
            return;
          }
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
        break;
    }
    enough = (until != nullptr && until->ready()) || ++ran >= kTurn;
  }
}

void ActorCell::RunCall(core::Call& call) {
  const Occupation outer = std::exchange(occupation, {this, &call});
  if (call.TryRun() && call.is_void()) call.TakeBack(options_.max_task_retries);
  occupation = outer;
  if (options_.restart.restart_on != nullptr && call.has_error()) {
    // While it is still inside: no other call enters before the restart.
    const core::ErrorPtr error = call.error();
    if (error->kind() == core::ErrorKind::kTask && options_.restart.restart_on(*error)) Restart(error);
  }
  {
    core::MutexLock lock(mutex_);
    running_.erase(std::find(running_.begin(), running_.end(), &call));
    if (IsRetriedLocked(call)) return;  // with its hold
  }
  call.DropHold();
}

core::Executor::InOrder ActorCell::RunInOrder(core::Runnable& work) {
  const auto& call = static_cast<core::Call&>(work);
  if (options_.max_concurrency > 1) return InOrder::kRefused;
  if (held_calls_.load(std::memory_order_acquire) > 0) {
    core::MutexLock lock(mutex_);
    if (held_ != nullptr && held_->by_call.contains(&call)) return InOrder::kRefused;  // it needs nothing of the queue
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
  if (held_ == nullptr) return;
  if (const auto held = held_->by_call.find(&call); held != held_->by_call.end()) {
    HeldCall* const first = held_->lanes[held->second->caller].front();
    if (first != held->second && first->submitted) visit(&first->call, Blocker::kMustEnd);
  }
}

}  // namespace rustyray::actor
