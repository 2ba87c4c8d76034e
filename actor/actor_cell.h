// ActorCell: one actor: its mailbox, its instance, and its life.
//
// Life: kCreating (the factory's arguments are awaited, then it runs) -> kAlive -> kEnding (nothing new begins; what
// runs is awaited) -> kCreating again, or kDead. Dead cells stay as long as somebody refers to them, and fail calls.
// Invariants:
//   - Calls of one caller begin in the order in which they were submitted. A call whose refs are not ready holds back
//     the later ones of its caller, and no others.
//   - At most max_concurrency calls are inside the instance; an instance is destroyed, and the next one made, only
//     when none is.
//   - A call in the mailbox is run once, and once more for each run that a restart made void, as often as
//     max_task_retries allows; or it is failed. It is sealed once.
//   - What is queued when the actor ends is failed at once; so it is when the actor restarts, unless there are retries:
//     then it waits for the next instance, behind what is retried.
//   - A turn (a Runnable on the executor) exists while there is something to do; an idle actor costs no thread.
//   - With a max_concurrency of 1 there is one turn: it is scheduled or under way, or it waits (turn_waits_), or the
//     mailbox is idle. Who ends the wait or the idleness has the turn, and schedules it. (With more, whoever changes
//     something schedules one.)
// Parts: the mailbox (mailbox.h), calls held back from it (caller_lanes.h), restarts left (restart_budget.h), what
// turns lock (turn_lock.h); the cell has the phases, the instance and the turns: its life in actor_cell.cc, calls in
// actor_cell_{calls,turns}.cc, who keeps it in actor_cell_refs.cc. The cell is the executor of its calls: Schedule puts
// a call whose refs are ready into the mailbox. Threads: all methods, any thread. Locks: mutex_, then turn_lock_ for
// what runs and what comes next, which is all that the turn needs between two calls. Both are leaves; nothing of the
// user's runs, and no call is failed, under them.
#ifndef RUSTYRAY_ACTOR_ACTOR_CELL_H_
#define RUSTYRAY_ACTOR_ACTOR_CELL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "actor/actor_options.h"
#include "actor/caller.h"
#include "actor/caller_lanes.h"
#include "actor/cell_host.h"
#include "actor/class_info.h"
#include "actor/mailbox.h"
#include "actor/turn_lock.h"
#include "core/account.h"
#include "core/call.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/id.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "task/typed_call.h"

namespace rustyray::actor {

class ActorCell final : public core::Executor, public core::Runnable {
 public:
  // Made with one handle, which the caller adopts.
  ActorCell(CellHost& host, ActorOptions options, const ClassInfo& info);

  // Storage. All handles together own one of these refs.
  void AddRef() { refs_.fetch_add(1, std::memory_order_relaxed); }
  void DropRef() { DropRefs(1); }
  // The same for who does it often, a call or a turn: a thread keeps refs that it dropped, for the next ones it adds.
  // It gives them back when the cell is dead, when other cells need the room, and when it ends: then at the latest the
  // storage of a dead cell goes.
  void AddRefHere() {
    KeptRefs& kept = kept_refs_[number_ % kCellsWithKeptRefs];
    if (kept.cell == this && kept.count > 0) [[likely]] {
      --kept.count;
    } else {
      AddRefs(kept);
    }
  }
  void DropRefHere() {
    KeptRefs& kept = kept_refs_[number_ % kCellsWithKeptRefs];
    if (kept.cell == this && kept.count < kMostKeptRefs && !dead()) [[likely]] {
      ++kept.count;
    } else {
      DropOrKeepRef(kept);
    }
  }
  // Handles of users. When the last one goes, an actor that is not detached ends once its mailbox is empty.
  // The caller has a handle, or is inside the actor.
  void AddHandle() {
    if (handles_.fetch_add(1, std::memory_order_relaxed) == 0) AddRef();
  }
  void DropHandle() {
    if (handles_.fetch_sub(1, std::memory_order_seq_cst) == 1) LastHandleGone();
  }
  // A handle where there may be none left, for lookups by name: false when the actor is ending for lack of handles.
  bool AddHandleIfAlive();

  // Starts it: `creation` runs the factory and calls Install. `again` makes another such call, for restarts; it may be
  // empty when there are none.
  void Start(task::CallPtr creation, std::function<task::CallPtr()> again);
  // Instead of Start, when there is no creation after all: it ends.
  void Abandon(const std::string& why);
  // Before Start: whom what it makes is charged to.
  void set_account(core::AccountPtr account) { account_ = std::move(account); }
  // From inside `creation`: the instance it made.
  absl::Status Install(void* object);

  // Takes the call for its mailbox. Never fails: what goes wrong is the call's error.
  core::ObjectRef Submit(task::CallPtr call);
  // A ref that is ready when what is in the mailbox now has begun, the calls held back excepted: those go to `held`.
  // Needs no room.
  core::ObjectRef Drain(std::vector<core::RecordHold>& held);

  // Ends the instance, past the queue: fails what runs and what is queued at once. With restarts left and not
  // `no_restart`, the factory runs again.
  void Kill(bool no_restart);
  // Ends it gracefully: what runs goes on to its end, what is queued fails, OnStop runs.
  void Stop(const std::string& why);
  // What runs failed in a way that `restart_on` wants a restart for.
  void Restart(const core::ErrorPtr& error);

  core::RecordOwner& call_owner() const { return owner_; }  // admits the results of its calls
  void* object() const { return object_; }
  const ClassInfo& info() const { return info_; }
  const core::ActorId& id() const { return id_; }
  std::uint64_t number() const { return number_; }  // of the cells of this process, in the order of their making
  const ActorOptions& options() const { return options_; }
  std::string Name() const;  // for people
  bool dead() const { return dead_.load(std::memory_order_acquire); }
  int restarts() const { return restarts_.load(std::memory_order_relaxed); }
  // Calls that wait, those held back among them.
  std::size_t queued();

  // --- core::Executor, for its calls.
  bool Schedule(core::Runnable& work) override;
  bool Unschedule(core::Runnable&) override { return false; }
  bool TryEnter() override { return false; }
  void Leave() override {}
  absl::Status BeginBlocking() override { return absl::OkStatus(); }
  void EndBlocking() override {}
  bool stopping() const override { return killed_.load(std::memory_order_acquire) || executor_.stopping(); }
  InOrder RunInOrder(core::Runnable& work) override;
  void VisitBlockers(const core::Runnable& work, absl::FunctionRef<void(core::Record*, Blocker)> visit) override;
  core::Account* ChargeOf(core::Account*) override { return account_.get(); }
  bool StepWhileBlocked() override { return executor_.StepWhileBlocked(); }

  // --- core::Runnable: a turn.
  void RunScheduled() override;
  void DiscardScheduled() override;
  std::string_view ScheduledName() const override { return info_.raw_name; }

 private:
  enum class Phase : std::uint8_t { kCreating, kAlive, kEnding, kDead };
  struct HeldBack;
  struct Restarts;
  struct CreationWaiter;
  struct GivesHoldBack {
    void operator()(core::Call* call) const { call->DropHold(); }
  };
  using QueueHold = std::unique_ptr<core::Call, GivesHoldBack>;
  // What an end fails: calls in the mailbox, each with its queue's hold, and calls held back.
  struct Doomed {
    std::vector<core::Call*> queued;
    std::vector<core::RecordHold> held;
  };
  // Refs of a cell that a thread has in reserve.
  struct KeptRefs {
    ActorCell* cell;
    std::uint32_t count;
  };
  static constexpr std::size_t kCellsWithKeptRefs = 8;
  static constexpr std::uint32_t kMostKeptRefs = 128;
  static inline thread_local constinit KeptRefs kept_refs_[kCellsWithKeptRefs] = {};
  struct GivesKeptRefsBack;

  ~ActorCell() override;

  void DropRefs(std::uint32_t count) {
    if (refs_.fetch_sub(count, std::memory_order_acq_rel) == count) delete this;
  }
  Phase phase() const { return phase_.load(std::memory_order_relaxed); }
  void set_phase(Phase phase) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_, turn_lock_) {
    phase_.store(phase, std::memory_order_relaxed);
  }
  void AddRefs(KeptRefs& kept);
  void DropOrKeepRef(KeptRefs& kept);
  void LastHandleGone();

  // Puts it into the mailbox; whether a turn must be scheduled for it.
  [[nodiscard]] bool Push(core::Call& call);
  void ScheduleTurn();
  // Whether the caller has the turn now, and must schedule it: it waited, or there was none.
  [[nodiscard]] bool TakeTurnLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // --- By who has the turn.
  // Does what there is to do, up to a turn's share of calls, or until `until` is done.
  void RunTurn(const core::Call* until);
  enum class Next : std::uint8_t { kCall, kLeave, kLeaveToAnother, kAttend };
  // What a turn does next: run `call`; leave; leave the rest to another turn, as it does when it ran `enough`; attend.
  Next NextLocked(bool enough, core::Call*& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_lock_);
  bool MoreMayBeginLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_lock_);
  // Does what is not to run calls. Whether the turn goes on.
  bool Attend();
  void RunCall(core::Call& call);
  // A call that ran is inside no more. Its queue's hold, to be given back after the lock; null when it will run again.
  QueueHold TakeOutLocked(core::Call& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_lock_);
  void RunCreation();
  void RestartCreation();
  void EndCreation(core::ErrorPtr failed);
  void SubmitCreation(task::CallPtr creation);
  void OnCreationSealed(const core::Record& creation);
  void OnBackoffOver();
  void EndInstance();
  void Discard();
  // --- By anyone.
  bool MayRestartLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_, turn_lock_);
  bool HasNoHandle() const { return handles_.load(std::memory_order_seq_cst) == 0 && !options_.detached; }
  // Whether nobody can call it any more, and nothing is left to do.
  bool UnusedLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_lock_);
  bool IsRetriedLocked(const core::Call& call) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(turn_lock_);
  void TakeAllLocked(Doomed& doomed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_, turn_lock_);
  void FailAll(Doomed& doomed, const core::ErrorPtr& why);
  enum class From : std::uint8_t { kAnyPhase, kAlive };
  void BeginEnd(From from, bool graceful, bool may_restart, const std::string& why, const std::string& why_restart);
  core::ErrorPtr MakeDeath(const std::string& why) const;
  core::ErrorPtr Death() const;
  core::ObjectRef Failed(task::CallPtr call, const core::ErrorPtr& why);
  core::ObjectRef SubmitInRoom(task::CallPtr call);
  // Takes room as soon as there is some.
  absl::Status WaitForRoom();
  // The call whose end makes room; none when somebody is about to put one there, or to take one away.
  core::RecordHold MakesRoomLocked() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_, turn_lock_);
  // Gives up room that a call took and did not use; whether a turn must be scheduled.
  [[nodiscard]] bool GiveRoom();
  // Where what would be done is one thing less, and no handle may be left: whether a turn must be scheduled.
  [[nodiscard]] bool WakeIfUnused() { return HasNoHandle() && !dead() && mailbox_.Wake(); }
  void ReleaseLane(CallerId caller);
  void OnHeldSealed(HeldBack& held);

  // These are not touched once the cell is dead: handles may outlive them.
  CellHost& host_;
  core::Executor& executor_;
  task::TaskSystem& tasks_;
  core::RecordOwner& owner_;
  std::function<bool(const core::Error&)> restart_on_;  // of the options; until the actor is dead
  const ActorOptions options_;
  const ClassInfo& info_;
  const core::ActorId id_;
  const std::uint64_t number_;
  std::atomic<std::uint32_t> refs_{1};
  std::atomic<std::uint32_t> handles_{1};
  const bool one_turn_;
  Mailbox mailbox_;
  CallerLanes lanes_;
  std::atomic<bool> dead_{false};
  std::atomic<bool> killed_{false};  // what runs is asked to end
  std::atomic<int> restarts_{0};     // as restart_state_ has it, for who has no lock
  void* object_ = nullptr;           // written while no call is inside
  core::AccountPtr account_;         // likewise, until the actor is dead

  mutable core::Mutex mutex_;
  TurnLock turn_lock_;
  std::atomic<Phase> phase_{Phase::kCreating};            // changed under both locks, read under either
  bool busy_ ABSL_GUARDED_BY(mutex_) = true;              // somebody starts, makes or ends the instance; not kAlive
  bool turn_waits_ ABSL_GUARDED_BY(mutex_) = false;       // for what changes phase_, busy_ or the creation
  bool restart_ ABSL_GUARDED_BY(mutex_) = false;          // kEnding: towards another instance
  bool graceful_ ABSL_GUARDED_BY(mutex_) = false;         // kEnding: OnStop runs
  bool creation_due_ ABSL_GUARDED_BY(mutex_) = false;     // a restart's, to be submitted by a turn
  bool creation_ready_ ABSL_GUARDED_BY(mutex_) = false;   // its refs are, or it failed
  bool creation_queued_ ABSL_GUARDED_BY(mutex_) = false;  // the cell has its queue's hold
  core::ErrorPtr death_ ABSL_GUARDED_BY(mutex_);
  core::RecordHold creation_ ABSL_GUARDED_BY(mutex_);
  absl::InlinedVector<core::Call*, 1> running_ ABSL_GUARDED_BY(turn_lock_);  // each with its queue's hold
  std::unique_ptr<Restarts> restart_state_ ABSL_GUARDED_BY(turn_lock_);      // made when one is asked for
  std::function<task::CallPtr()> again_;  // changed under mutex_; called by who is busy
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_ACTOR_CELL_H_
