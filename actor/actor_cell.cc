#include "actor/actor_cell.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "actor/actor_context.h"
#include "actor/restart_budget.h"
#include "core/clock.h"

namespace rustyray::actor {

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
  explicit Restarts(ActorCell& cell) : budget(cell.options_.restart), backoff(cell) {}
  RestartBudget budget;
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
      executor_(host.executor()),
      tasks_(host.tasks()),
      owner_(tasks_.owner()),
      restart_on_(std::exchange(options.restart.restart_on, nullptr)),
      options_(std::move(options)),
      info_(info),
      id_(core::ActorId::Random()),
      number_(NextCellNumber()),
      one_turn_(options_.max_concurrency == 1),
      mailbox_(options_.mailbox_capacity),
      // Callers that a full mailbox blocks look into it all the time, all of them.
      turn_lock_(mutex_, /*biased=*/one_turn_ && !mailbox_.bounded()) {}

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

// --- Life.

void ActorCell::Start(task::CallPtr creation, std::function<task::CallPtr()> again) {
  {
    core::MutexLock lock(mutex_);
    again_ = std::move(again);
  }
  SubmitCreation(std::move(creation));
  // Until here this thread has the turn.
  bool turn = false;
  {
    core::MutexLock lock(mutex_);
    busy_ = false;
    turn = creation_ready_ || phase() != Phase::kCreating;
    turn_waits_ = !turn;
  }
  if (turn) ScheduleTurn();
}

void ActorCell::Abandon(const std::string& why) {
  {
    core::MutexLock lock(mutex_);
    busy_ = false;
    turn_waits_ = true;
  }
  Stop(why);
}

// By who is busy.
void ActorCell::SubmitCreation(task::CallPtr creation) {
  // Holds, not handles: nobody reads its result, and it is nobody's ref.
  core::RecordHold record(*creation);
  creation->set_executor(*this);  // before who looks for cycles can find it
  {
    core::MutexLock lock(mutex_);
    creation_ = core::RecordHold(*creation);
    creation_ready_ = creation_queued_ = false;
  }
  const bool has_refs = creation->has_refs();
  (void)tasks_.SubmitTo(*this, std::move(creation), /*child=*/false);
  if (!has_refs) return;
  auto* const waiter = new CreationWaiter(*this, *record);
  if (!record->AddWaiter(*waiter)) CreationWaiter::Fire(*waiter);
}

void ActorCell::OnCreationSealed(const core::Record& creation) {
  bool turn = false;
  {
    core::MutexLock lock(mutex_);
    if (phase() != Phase::kCreating || !creation_ || &*creation_ != &creation || creation_ready_) return;
    creation_ready_ = true;
    turn = !busy_ && TakeTurnLocked();
  }
  if (turn) ScheduleTurn();
}

void ActorCell::OnBackoffOver() {
  bool turn = false;
  {
    core::MutexLock lock(mutex_);
    if (phase() != Phase::kCreating) return;  // ended during the backoff
    creation_due_ = true;
    turn = !busy_ && TakeTurnLocked();
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
  {
    const Occupation inside(*this, call);
    if (!call.claimed()) call.TryRun();
  }
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
    const TurnLock::WithMutex turn(turn_lock_, TurnLock::Who::kHasTurn);
    busy_ = false;
    creation = std::move(creation_);
    creation_ready_ = false;
    queued = std::exchange(creation_queued_, false);
    if (phase() == Phase::kCreating) {  // else it was killed meanwhile
      dies = failed != nullptr;
      set_phase(dies ? Phase::kEnding : Phase::kAlive);
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
    const TurnLock::WithMutex turn(turn_lock_, TurnLock::Who::kHasTurn);
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
  std::function<task::CallPtr()> again;  // these are freed after the lock
  std::function<bool(const core::Error&)> restart_on;
  Doomed doomed;
  bool restart = false;
  {
    core::MutexLock lock(mutex_);
    const TurnLock::WithMutex turn(turn_lock_, TurnLock::Who::kHasTurn);
    restart = restart_;
    if (restart) {
      set_phase(Phase::kCreating);
      std::vector<core::Call*>& retried = restart_state_->retried;
      for (; !retried.empty(); retried.pop_back()) mailbox_.PutBack(*retried.back(), turn_lock_);
      killed_.store(false, std::memory_order_release);
      backoff = restart_state_->budget.Begin();
      restarts_.store(restart_state_->budget.begun(), std::memory_order_relaxed);
      backoff_timer = &restart_state_->backoff;
      creation_due_ = backoff <= core::Duration::zero();
    } else {
      set_phase(Phase::kDead);
      again.swap(again_);
      restart_on.swap(restart_on_);
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
  if (again_ == nullptr || options_.restart.max_restarts == 0) return false;
  if (restart_state_ == nullptr) restart_state_ = std::make_unique<Restarts>(*this);
  return restart_state_->budget.Grant(host_.clock().Now());
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
  bool has_turn = false;
  {
    core::MutexLock lock(mutex_);
    if (phase() == Phase::kDead || (from == From::kAlive && phase() != Phase::kAlive)) return;
    has_turn = TakeTurnLocked();
    const TurnLock::WithMutex others(turn_lock_, has_turn ? TurnLock::Who::kHasTurn : TurnLock::Who::kOther);
    // Who had the turn may have gone idle in the section that this one waited for, and will not see what comes.
    has_turn = has_turn || TakeTurnLocked();
    if (phase() == Phase::kEnding) {
      // Under way already: this may still make it final and hard.
      restart = may_restart && restart_;
      graceful = graceful && graceful_;
    } else {
      restart = may_restart && MayRestartLocked();
    }
    set_phase(Phase::kEnding);
    restart_ = restart;
    graceful_ = graceful;
    death = MakeDeath(restart ? why_restart : why);
    if (!dead()) death_ = death;
    if (!graceful) {
      if (restart) killed_.store(true, std::memory_order_release);  // the next instance takes it back
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
  // Before anything of the user's: what his destructors wait for may need the turn. Nothing runs then that could be
  // faster than what follows.
  if (has_turn && one_turn_) ScheduleTurn();
  for (core::RunChildren& submitted : children) submitted.Cancel(death);
  for (core::RecordHold& call : running) static_cast<core::Call&>(*call).Cancel(death);
  // Not before they failed: a method that sees it and returns is not to be faster with its result.
  if (!graceful && !restart) killed_.store(true, std::memory_order_release);
  FailAll(doomed, death);
  if (!one_turn_) ScheduleTurn();
}

bool ActorCell::IsRetriedLocked(const core::Call& call) const {
  if (restart_state_ == nullptr) return false;
  const std::vector<core::Call*>& retried = restart_state_->retried;
  return std::find(retried.begin(), retried.end(), &call) != retried.end();
}

void ActorCell::TakeAllLocked(Doomed& doomed) {
  if (restart_state_ != nullptr) {
    std::erase_if(restart_state_->retried, [&, running = &running_](core::Call* call) {
      if (std::find(running->begin(), running->end(), call) != running->end()) return false;  // its run will end
      doomed.queued.push_back(call);
      return true;
    });
  }
  while (core::Call* const call = mailbox_.Pop(turn_lock_)) doomed.queued.push_back(call);
  doomed.held = lanes_.InOrder(mutex_);
}

void ActorCell::FailAll(Doomed& doomed, const core::ErrorPtr& why) {
  for (core::RecordHold& call : doomed.held) static_cast<core::Call&>(*call).FailUnclaimed(why);
  for (core::Call* const call : doomed.queued) {
    call->FailUnclaimed(why);
    call->DropHold();
  }
}

}  // namespace rustyray::actor
