#include "core/waiting.h"

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
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
  // The common case: a call that needs nothing else, and that nobody has begun.
  if (target.is_call()) {
    Call& call = static_cast<Call&>(target);
    if (!call.has_refs() && !call.claimed() && RunInline(call) && target.ready()) return absl::OkStatus();
  }
  return HelpDownOrPark(target);
}

absl::Status Waiting::HelpDownOrPark(Record& target) {
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
  if (inner.is_call() && static_cast<Call&>(inner).claimed()) {
    // It runs on another thread, and is often done in less time than it takes to fall asleep.
    for (int spins = 0; spins < kSpinsBeforeSleep && !inner.ready(); ++spins) SpinPause();
  }
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

namespace {

// The last of the first `left` refs whose call may begin; `left` says which. Null: there is none.
Call* LastToRun(std::size_t& left, absl::FunctionRef<const ObjectRef&(std::size_t)> at) {
  for (; left > 0; --left) {
    const ObjectRef& ref = at(left - 1);
    if (ref.ready() || !ref.record()->is_call()) continue;
    Call& call = static_cast<Call&>(*ref.record());
    if (MayBegin(call)) return &call;
  }
  return nullptr;
}

// Runs calls from the last to the first, with one place for all that have one executor, until others wait for it.
// False: there is nothing more to run, or no place, or no stack.
bool RunStretch(std::size_t& left, absl::FunctionRef<const ObjectRef&(std::size_t)> at) {
  Call* call = LastToRun(left, at);
  if (call == nullptr || call->executor() == nullptr) return false;
  Executor& executor = *call->executor();
  const RunningPlace place(executor);
  do {
    if (!RunInline(*call) && !call->claimed()) return false;
    call = LastToRun(left, at);
  } while (call != nullptr && call->executor() == &executor && !executor.PlaceIsWanted());
  return true;
}

}  // namespace

absl::Status Waiting::WaitForAll(std::size_t count, absl::FunctionRef<const ObjectRef&(std::size_t)> at,
                                 Time deadline) {
  if (absl::Status status = CheckRefs(count, at); !status.ok()) return status;
  if (deadline == kNever) {
    for (std::size_t left = count; RunStretch(left, at);) {
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

namespace {

// What a wait needs, and what that needs, and so on: which of it can come, given what is asleep. A node is live when
// all that it must have, and one of what it needs one of, is live.
class NeedsGraph {
 public:
  enum class Need : std::uint8_t { kResult, kWaits, kEnd, kOneEnd };
  struct Node {
    Record* record;
    bool must_end;  // not only be ready: a cancelled call that still runs is in the way
    std::vector<std::pair<std::size_t, Need>> needs;
    std::vector<std::pair<std::size_t, Need>> needed_by;
    std::size_t missing = 0;
    bool one_missing = false;
    bool mine = false;  // runs on the asking thread
    bool live = false;
    std::size_t from = 0;  // of the path to it
  };

  std::size_t Add(Record& record, bool must_end) {
    const auto [at, is_new] = known_.try_emplace({&record, must_end}, nodes.size());
    if (is_new) nodes.push_back({.record = &record, .must_end = must_end, .needs = {}, .needed_by = {}});
    return at->second;
  }
  void Needs(std::size_t from, Record& to, Need need) {
    Needs(from, Add(to, need == Need::kEnd || need == Need::kOneEnd), need);
  }
  void Needs(std::size_t from, std::size_t to, Need need) {
    nodes[from].needs.emplace_back(to, need);
    nodes[to].needed_by.emplace_back(from, need);
    if (need != Need::kOneEnd) {
      ++nodes[from].missing;
    } else if (!std::exchange(nodes[from].one_missing, true)) {
      ++nodes[from].missing;
    }
  }
  // Finds out what is live, once all is added: what needs nothing, and so on.
  void Spread() {
    std::vector<std::size_t> found;
    for (std::size_t at = 0; at < nodes.size(); ++at) {
      if (nodes[at].missing == 0) found.push_back(at);
    }
    while (!found.empty()) {
      const std::size_t at = found.back();
      found.pop_back();
      nodes[at].live = true;
      for (const auto& [by, need] : nodes[at].needed_by) {
        Node& node = nodes[by];
        if (need == Need::kOneEnd && !std::exchange(node.one_missing, false)) continue;
        if (--node.missing == 0) found.push_back(by);
      }
    }
  }
  // The path from the first node, through such as are not live, to one that runs on the asking thread; the first node
  // is left out. Empty when that is the first node; nothing when there is no such path.
  std::optional<std::vector<std::size_t>> PathToMine() {
    std::vector<bool> seen(nodes.size());
    std::vector<std::size_t> visited{0};
    seen[0] = true;
    for (std::size_t i = 0; i < visited.size(); ++i) {
      const std::size_t at = visited[i];
      if (nodes[at].mine) {
        std::vector<std::size_t> path;
        for (std::size_t step = at; step != 0; step = nodes[step].from) path.insert(path.begin(), step);
        return path;
      }
      for (const auto& [to, need] : nodes[at].needs) {
        if (nodes[to].live || seen[to]) continue;
        seen[to] = true;
        nodes[to].from = at;
        visited.push_back(to);
      }
    }
    return std::nullopt;
  }

  std::vector<Node> nodes;

 private:
  struct Hash {
    std::size_t operator()(const std::pair<const Record*, bool>& key) const {
      return std::hash<const Record*>()(key.first) * 2 + (key.second ? 1 : 0);
    }
  };
  std::unordered_map<std::pair<const Record*, bool>, std::size_t, Hash> known_;
};

}  // namespace

absl::Status Waiting::FindCycle(Record& awaited, std::vector<RecordHold>& kept) {
  using Need = NeedsGraph::Need;
  const std::uint32_t me = ThisThreadNumber();
  NeedsGraph graph;
  kept.emplace_back(awaited);
  graph.Add(awaited, false);
  const auto blocked_of = [&](const Call& call) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) -> const Blocked* {
    const auto blocked = blocked_.find(call.runner());
    if (blocked == blocked_.end() || blocked->second.timed) return nullptr;
    return blocked->second.awaited != nullptr ? &blocked->second : nullptr;
  };
  for (std::size_t at = 0; at < graph.nodes.size(); ++at) {
    Record& record = *graph.nodes[at].record;
    if (!record.is_call() || (record.ready() && !graph.nodes[at].must_end)) continue;
    Call& call = static_cast<Call&>(record);
    const auto needs = [&](Record& to, Need need) {
      kept.emplace_back(to);
      graph.Needs(at, to, need);
    };
    if (!call.claimed()) {
      std::vector<RecordHold> unready;
      call.SnapshotUnready(unready, static_cast<std::size_t>(-1));
      for (RecordHold& needed : unready) {
        graph.Needs(at, *needed, Need::kResult);
        kept.push_back(std::move(needed));
      }
      if (call.executor() != nullptr) {
        call.executor()->VisitBlockers(call, [&](Record* blocker, Executor::Blocker blocks) {
          needs(*blocker, blocks == Executor::Blocker::kOneMustEnd ? Need::kOneEnd : Need::kEnd);
        });
      }
    } else if (call.runner() == me) {
      graph.nodes[at].mine = true;
      graph.Needs(at, std::size_t{0}, Need::kWaits);
    } else if (const Blocked* const blocked = blocked_of(call)) {
      needs(*blocked->awaited, Need::kWaits);
    }
  }
  graph.Spread();
  if (graph.nodes[0].live) return absl::OkStatus();
  const std::optional<std::vector<std::size_t>> path = graph.PathToMine();
  if (!path.has_value()) return absl::OkStatus();

  const std::string my_name = Named(*current_frame->call);
  if (path->empty() && &awaited == current_frame->call) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, ErrorKind::kWaitCycle,
                      absl::StrCat("this wait would never end: ", my_name, " waits for its own result"));
  }
  std::string chain = absl::StrCat(my_name, " waits for ", Named(awaited));
  const NeedsGraph::Node* from = &graph.nodes[0];
  for (const std::size_t step : *path) {
    const NeedsGraph::Node& to = graph.nodes[step];
    Need need = Need::kResult;
    std::size_t of = 0;
    for (const auto& [other, how] : from->needs) {
      if (other == step) need = how;
      of += how == Need::kOneEnd;
    }
    const Call& call = static_cast<const Call&>(*from->record);
    const Blocked* const blocked = need == Need::kWaits ? blocked_of(call) : nullptr;
    const Record& who = blocked != nullptr && blocked->frames != nullptr ? *blocked->frames->call : *from->record;
    absl::StrAppend(&chain, ", ", Named(who),
                    need == Need::kResult  ? " needs the result of "
                    : need == Need::kWaits ? " waits for "
                                           : " needs the end of ",
                    Named(*to.record));
    if (need == Need::kOneEnd && of > 1) absl::StrAppend(&chain, " or of ", of - 1, " others that cannot end either");
    from = &to;
  }
  if (from->record != current_frame->call) absl::StrAppend(&chain, ", which runs ", my_name, " on its stack");
  return MakeStatus(absl::StatusCode::kFailedPrecondition, ErrorKind::kWaitCycle,
                    absl::StrCat("this wait would never end: ", chain));
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
