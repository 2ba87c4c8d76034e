#include "core/waiting.h"

#include <atomic>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/call.h"
#include "core/executor.h"

namespace rustyray::core {
namespace {

// The waiter of a thread that sleeps for one record; lives on its stack until it fired or was removed.
struct Wake final : Waiter {
  explicit Wake(Parker& parker)
      : Waiter([](Waiter& waiter) {
          Parker& parker = static_cast<Wake&>(waiter).parker;
          static_cast<Wake&>(waiter).fired.store(true, std::memory_order_release);
          parker.Unpark();  // parkers outlive threads; `waiter` may be gone by now
        }),
        parker(parker) {}
  bool rang() const { return fired.load(std::memory_order_acquire); }
  // Takes it off `record`, or waits for the ring that is on its way.
  void Retire(Record& record, Clock& clock) {
    if (rang() || record.RemoveWaiter(*this)) return;
    while (!rang()) clock.ParkUntil(parker, kNever);
  }

  Parker& parker;
  std::atomic<bool> fired{false};
};

bool RunInline(Call& call) {
  Executor* const executor = call.executor();
  if (executor == nullptr || StackLeft() < Waiting::kStackReserve) return false;
  const Executor::InOrder in_order = executor->RunInOrder(call);
  if (in_order != Executor::InOrder::kNotOrdered) return in_order == Executor::InOrder::kRan;
  const RunningPlace place(*executor);
  if (!place.entered()) return false;
  if (!executor->Unschedule(call)) return call.TryRun();
  const bool ran = call.TryRun();
  call.DropHold();  // the queue's
  return ran;
}

// Whether nobody has begun it and all its refs are ready.
bool MayBegin(Call& call) {
  if (call.claimed()) return false;
  if (!call.has_refs()) return true;
  std::vector<RecordHold> unready;
  call.SnapshotUnready(unready, 1);
  return unready.empty();
}

std::string Named(const Record& record) {
  if (!record.is_call()) return "an object that is not there yet";
  const auto& call = static_cast<const Call&>(record);
  return absl::StrCat("task ", absl::string_view(call.name().data(), call.name().size()));
}

absl::Status TimedOut() {
  return MakeStatus(absl::StatusCode::kDeadlineExceeded, ErrorKind::kTimeout, "timed out before the object was ready");
}

}  // namespace

absl::Status CheckRefs(std::size_t count, absl::FunctionRef<const ObjectRef&(std::size_t)> at) {
  for (std::size_t i = 0; i < count; ++i) {
    if (at(i)) continue;
    return MakeStatus(absl::StatusCode::kInvalidArgument, ErrorKind::kInvalid,
                      absl::StrCat("ref ", i, " of ", count, " is empty: it was default-constructed or moved from"));
  }
  return absl::OkStatus();
}

absl::Status Waiting::WaitFor(const ObjectRef& ref, Time deadline) {
  if (!ref) return EmptyRef();
  return WaitForRecord(*ref.record(), deadline);
}

absl::Status Waiting::WaitForRecord(Record& record, Time deadline) {
  if (record.ready()) return absl::OkStatus();
  return deadline == kNever ? HelpOrPark(record) : Park(record, record, deadline);
}

absl::Status Waiting::HelpOrPark(Record& target) {
  std::vector<RecordHold> path;  // from the target to what it needs first; each unready when it was added
  std::vector<RecordHold> unready;
  while (!target.ready()) {
    if (!path.empty() && path.back()->ready()) {
      path.pop_back();
      continue;
    }
    Record& inner = path.empty() ? target : *path.back();
    if (inner.is_call()) {
      Call& call = static_cast<Call&>(inner);
      if (!call.claimed()) {
        call.SnapshotUnready(unready, 1);
        if (!unready.empty()) {
          path.push_back(std::move(unready.back()));
          unready.clear();
          continue;
        }
        if (RunInline(call)) continue;
        if (inner.ready()) continue;
      }
    }
    if (absl::Status status = Park(target, inner, kNever); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Waiting::Park(Record& target, Record& inner, Time deadline) {
  DrainDeferred();
  if (target.ready() || inner.ready()) return absl::OkStatus();
  if (inner.is_call()) {
    if (Executor* const executor = static_cast<Call&>(inner).executor()) {
      while (executor->StepWhileBlocked()) {
        if (target.ready() || inner.ready()) return absl::OkStatus();
      }
    }
  }
  if (deadline != kNever && clock_.Now() >= deadline) return TimedOut();
  if (absl::Status status = EnterGraph(&target, deadline); !status.ok()) return status;
  struct Leave {
    Waiting& waiting;
    ~Leave() { waiting.LeaveGraph(); }
  } leave{*this};
  const BlockingScope scope;
  if (!scope.status().ok()) return scope.status();

  Wake target_wake(ThisThreadParker()), inner_wake(ThisThreadParker());
  if (!target.AddWaiter(target_wake)) return absl::OkStatus();
  const bool two = &inner != &target;
  bool timed_out = false;
  if (!two || inner.AddWaiter(inner_wake)) {
    while (!target_wake.rang() && !inner_wake.rang() && !timed_out) {
      clock_.ParkUntil(target_wake.parker, deadline);
      timed_out = deadline != kNever && clock_.Now() >= deadline;
    }
    if (two) inner_wake.Retire(inner, clock_);
  }
  target_wake.Retire(target, clock_);
  return timed_out && !target.ready() ? TimedOut() : absl::OkStatus();
}

absl::Status Waiting::WaitForAll(std::size_t count, absl::FunctionRef<const ObjectRef&(std::size_t)> at,
                                 Time deadline) {
  if (absl::Status status = CheckRefs(count, at); !status.ok()) return status;
  if (deadline == kNever) {
    for (std::size_t i = count; i-- > 0;) {
      const ObjectRef& ref = at(i);
      if (ref.ready() || !ref.record()->is_call()) continue;
      Call& call = static_cast<Call&>(*ref.record());
      if (MayBegin(call) && !RunInline(call) && !call.claimed()) break;  // no place, or no stack
    }
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (absl::Status status = WaitForRecord(*at(i).record(), deadline); !status.ok()) return status;
  }
  return absl::OkStatus();
}

namespace {

// What a wait for k of n shares with the records: freed by whoever comes last, so that a ring on its way never finds
// it gone.
struct Gathering {
  struct Node final : Waiter {
    Node()
        : Waiter([](Waiter& waiter) {
            Gathering& gathering = *static_cast<Node&>(waiter).gathering;
            if (gathering.missing.fetch_sub(1, std::memory_order_acq_rel) == 1) gathering.parker->Unpark();
            gathering.DropRef();
          }) {}
    Gathering* gathering = nullptr;
    bool added = false;
  };

  void DropRef() {
    if (refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  std::atomic<std::int64_t> missing{0};
  std::atomic<std::int64_t> refs{1};
  Parker* parker = nullptr;
  std::unique_ptr<Node[]> nodes;
};

}  // namespace

absl::StatusOr<std::size_t> Waiting::WaitForSome(std::size_t count, absl::FunctionRef<const ObjectRef&(std::size_t)> at,
                                                 std::size_t enough, Time deadline) {
  if (absl::Status status = CheckRefs(count, at); !status.ok()) return status;
  if (enough > count) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, ErrorKind::kInvalid,
                      absl::StrCat(enough, " of ", count, " refs can never be ready"));
  }
  const auto count_ready = [&] {
    std::size_t ready = 0;
    for (std::size_t i = 0; i < count; ++i) ready += at(i).ready();
    return ready;
  };
  DrainDeferred();
  std::size_t ready = count_ready();
  for (std::size_t i = 0; i < count && ready < enough; ++i) {
    if (at(i).ready() || !at(i).record()->is_call()) continue;
    Executor* const executor = static_cast<Call&>(*at(i).record()).executor();
    while (executor != nullptr && ready < enough && executor->StepWhileBlocked()) ready = count_ready();
  }
  if (ready >= enough) return ready;
  if (deadline != kNever && clock_.Now() >= deadline) return ready;

  auto* const gathering = new Gathering;
  gathering->parker = &ThisThreadParker();
  gathering->nodes = std::make_unique<Gathering::Node[]>(count);
  gathering->missing.store(static_cast<std::int64_t>(enough), std::memory_order_relaxed);
  gathering->refs.store(static_cast<std::int64_t>(count) + 1, std::memory_order_relaxed);
  std::int64_t there = 0;
  for (std::size_t i = 0; i < count; ++i) {
    Gathering::Node& node = gathering->nodes[i];
    node.gathering = gathering;
    node.added = at(i).record()->AddWaiter(node);
    if (!node.added) ++there;
  }
  const auto drop = [&](std::int64_t refs) {
    if (gathering->refs.fetch_sub(refs, std::memory_order_acq_rel) == refs) delete gathering;
  };
  const bool enough_there = gathering->missing.fetch_sub(there, std::memory_order_acq_rel) <= there;
  absl::Status blocked;
  if (!enough_there) {
    blocked = EnterGraph(nullptr, deadline);
    {
      const BlockingScope scope;
      if (blocked.ok()) blocked = scope.status();
      while (blocked.ok() && gathering->missing.load(std::memory_order_acquire) > 0) {
        clock_.ParkUntil(*gathering->parker, deadline);
        if (deadline != kNever && clock_.Now() >= deadline) break;
      }
    }
    LeaveGraph();
  }
  std::int64_t done_with = there;
  for (std::size_t i = 0; i < count; ++i) {
    Gathering::Node& node = gathering->nodes[i];
    if (node.added && at(i).record()->RemoveWaiter(node)) ++done_with;
  }
  drop(done_with + 1);
  if (!blocked.ok()) return blocked;
  return count_ready();
}

absl::Status Waiting::EnterGraph(Record* awaited, Time deadline) {
  std::vector<RecordHold> kept;  // dropped after the lock: a last hold may free anything
  MutexLock lock(mutex_);
  if (awaited != nullptr && deadline == kNever && current_frame != nullptr) {
    if (absl::Status status = FindCycle(*awaited, kept); !status.ok()) return status;
  }
  blocked_.insert_or_assign(ThisThreadNumber(), Blocked{current_frame, awaited, deadline != kNever});
  return absl::OkStatus();
}

void Waiting::LeaveGraph() {
  MutexLock lock(mutex_);
  blocked_.erase(ThisThreadNumber());
}

absl::Status Waiting::FindCycle(Record& awaited, std::vector<RecordHold>& kept) {
  struct Step {
    std::size_t from;  // the step that led here
    std::string how;
    bool must_end;  // not only be ready: a cancelled call that still runs is in the way
  };
  const std::uint32_t me = ThisThreadNumber();
  const std::string my_name = Named(*current_frame->call);
  std::vector<Step> steps{{0, absl::StrCat(my_name, " waits for ", Named(awaited)), false}};
  std::unordered_map<const Record*, bool> seen;
  std::vector<Record*> visited{&awaited};
  seen[&awaited] = true;
  kept.emplace_back(awaited);
  for (std::size_t at = 0; at < visited.size(); ++at) {
    Record& record = *visited[at];
    if (!record.is_call() || (record.ready() && !steps[at].must_end)) continue;
    Call& call = static_cast<Call&>(record);
    const auto follow = [&](Record& to, std::string how, bool must_end = false) {
      if (!seen.emplace(&to, true).second) return;
      visited.push_back(&to);
      kept.emplace_back(to);
      steps.push_back({at, std::move(how), must_end});
    };
    if (!call.claimed()) {
      std::vector<RecordHold> unready;
      call.SnapshotUnready(unready, static_cast<std::size_t>(-1));
      for (RecordHold& needed : unready) {
        follow(*needed, absl::StrCat(Named(call), " needs the result of ", Named(*needed)));
        kept.push_back(std::move(needed));
      }
      if (call.executor() != nullptr) {
        call.executor()->VisitBlockers(call, [&](Record* blocker) {
          follow(*blocker, absl::StrCat(Named(call), " needs the end of ", Named(*blocker)), /*must_end=*/true);
        });
      }
      continue;
    }
    if (call.runner() == me) {
      std::string chain = steps[at].how;
      for (std::size_t step = at; step != 0;) {
        step = steps[step].from;
        chain = absl::StrCat(steps[step].how, ", ", chain);
      }
      if (&call == current_frame->call && at == 0) {
        return MakeStatus(absl::StatusCode::kFailedPrecondition, ErrorKind::kWaitCycle,
                          absl::StrCat("this wait would never end: ", my_name, " waits for its own result"));
      }
      if (&call != current_frame->call) {
        absl::StrAppend(&chain, ", which runs ", my_name, " on its stack");
      }
      return MakeStatus(absl::StatusCode::kFailedPrecondition, ErrorKind::kWaitCycle,
                        absl::StrCat("this wait would never end: ", chain));
    }
    const auto blocked = blocked_.find(call.runner());
    if (blocked == blocked_.end() || blocked->second.timed || blocked->second.awaited == nullptr) continue;
    follow(*blocked->second.awaited,
           absl::StrCat(blocked->second.frames != nullptr ? Named(*blocked->second.frames->call) : Named(call),
                        " waits for ", Named(*blocked->second.awaited)));
  }
  return absl::OkStatus();
}

std::string Waiting::Dump() {
  std::string out;
  std::vector<RecordHold> dropped_after_the_lock;
  MutexLock lock(mutex_);
  for (const auto& [thread, blocked] : blocked_) {
    absl::StrAppend(&out, "thread ", thread);
    for (const CallFrame* frame = blocked.frames; frame != nullptr; frame = frame->outer) {
      absl::StrAppend(&out, frame == blocked.frames ? " in " : ", run by ", Named(*frame->call));
    }
    if (blocked.awaited == nullptr) {
      absl::StrAppend(&out, " waits for some of several objects");
    } else {
      Record& awaited = *blocked.awaited;
      absl::StrAppend(&out, " waits for ", Named(awaited));
      if (awaited.is_call()) {
        Call& call = static_cast<Call&>(awaited);
        std::vector<RecordHold> unready;
        call.SnapshotUnready(unready, 1);
        if (!unready.empty()) {
          absl::StrAppend(&out, " (needs the result of ", Named(*unready[0]), ")");
        } else if (call.ready()) {
          absl::StrAppend(&out, " (done)");
        } else if (call.claimed()) {
          absl::StrAppend(&out, " (runs on thread ", call.runner(), ")");
        } else {
          absl::StrAppend(&out, " (not begun)");
        }
        for (RecordHold& needed : unready) dropped_after_the_lock.push_back(std::move(needed));
      }
    }
    absl::StrAppend(&out, blocked.timed ? ", up to a deadline\n" : "\n");
  }
  return out;
}

}  // namespace rustyray::core
