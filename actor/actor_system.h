// ActorSystem: makes actors, finds them by name, and ends them.
//
// Threads: all methods, any thread. It is destroyed after Shutdown, when the executor has stopped.
#ifndef RUSTYRAY_ACTOR_ACTOR_SYSTEM_H_
#define RUSTYRAY_ACTOR_ACTOR_SYSTEM_H_

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/actor_call.h"
#include "actor/actor_cell.h"
#include "actor/actor_options.h"
#include "actor/actor_ref.h"
#include "actor/class_info.h"
#include "core/account.h"
#include "core/call.h"
#include "core/clock.h"
#include "core/executor.h"
#include "core/mutex.h"
#include "task/argument.h"
#include "task/task_system.h"
#include "task/typed_call.h"

namespace rustyray::actor {

class ActorSystem final : private CellHost {
 public:
  // All outlive the system and its actors. Calls are tasks of `tasks` that run in mailboxes; actors' turns run on
  // `executor`; quotas are accounts of `accounts`, of the store that `tasks` admits results to. Null: there are none.
  ActorSystem(core::Executor& executor, core::Clock& clock, task::TaskSystem& tasks,
              core::AccountBook* accounts = nullptr)
      : executor_(executor), clock_(clock), tasks_(tasks), accounts_(accounts) {}
  ~ActorSystem();
  ActorSystem(const ActorSystem&) = delete;
  ActorSystem& operator=(const ActorSystem&) = delete;

  // Makes an actor whose instance `factory` makes from `arguments`, which may be refs: it is awaited by calls, not by
  // the caller. What goes wrong in the factory is the error of the calls. InvalidArgument for bad options,
  // AlreadyExists for a taken name.
  template <class C, class Policy = task::CorePolicy, class... P, class... A>
  absl::StatusOr<ActorRef<C>> Spawn(ActorOptions options, C* (*factory)(P...), A&&... arguments) {
    static const core::FunctionInfo info{core::RawTypeName<C>()};
    return SpawnAs<C, Policy>(std::move(options), info, factory, std::forward<A>(arguments)...);
  }
  // The same; `info` names the factory in errors.
  template <class C, class Policy = task::CorePolicy, class... P, class... A>
  absl::StatusOr<ActorRef<C>> SpawnAs(ActorOptions options, const core::FunctionInfo& info, C* (*factory)(P...),
                                      A&&... arguments) {
    const bool restarts = options.restart.max_restarts != 0;
    constexpr bool kCopyable = (std::is_copy_constructible_v<std::decay_t<A>> && ...);
    if (!kCopyable && restarts) {
      return absl::InvalidArgumentError("an actor with restarts needs arguments that can be copied");
    }
    absl::StatusOr<ActorCell*> cell = MakeCell(std::move(options), internal::kClassInfo<C>);
    if (!cell.ok()) return cell.status();
    ActorRef<C> ref(AnyActorRef::Adopt(*cell));
    using Create = internal::CreateCall<C, P...>;
    std::function<task::CallPtr()> again;
    struct Abandon {
      ActorCell* cell;
      ~Abandon() {
        if (cell != nullptr) cell->Abandon("was never made: its arguments could not be copied");
      }
    } unless_started{*cell};
    if constexpr (kCopyable) {
      if (restarts) {
        // Not counted: the cell itself holds this.
        again = [cell = *cell, &info, factory, kept = std::tuple<std::decay_t<A>...>(arguments...)] {
          return std::apply(
              [&](const auto&... argument) {
                return task::MakeCall<Policy>(cell->call_owner(), info, Create{CellPtr(*cell), factory}, argument...);
              },
              kept);
        };
      }
    }
    task::CallPtr creation = task::MakeCall<Policy>((*cell)->call_owner(), info, Create{CellPtr(**cell), factory},
                                                    std::forward<A>(arguments)...);
    std::exchange(unless_started.cell, nullptr)->Start(std::move(creation), std::move(again));
    return ref;
  }

  // A handle to the actor with this name; null when there is none.
  AnyActorRef GetByName(std::string_view name, std::string_view name_space = "");
  // Those that have not ended.
  std::size_t size();

  // Ends all actors gracefully, without waiting: what runs goes on to its end, what is queued fails. No new ones.
  void StopAll();
  // Ends all actors: lets them drain their mailboxes until `deadline`, then fails what is left. What runs still is
  // asked to end.
  void Shutdown(core::Time deadline);

 private:
  struct NameKey {
    std::string name_space, name;
    bool operator==(const NameKey&) const = default;
  };
  struct NameHash {
    std::size_t operator()(const NameKey& key) const {
      return std::hash<std::string>{}(key.name) * 31 + std::hash<std::string>{}(key.name_space);
    }
  };

  std::vector<CellPtr> Cells();
  absl::StatusOr<ActorCell*> MakeCell(ActorOptions options, const ClassInfo& info);

  core::Executor& executor() override { return executor_; }
  core::Clock& clock() override { return clock_; }
  task::TaskSystem& tasks() override { return tasks_; }
  void OnEnding(ActorCell& cell) override;
  void OnDead(ActorCell& cell) override;

  core::Executor& executor_;
  core::Clock& clock_;
  task::TaskSystem& tasks_;
  core::AccountBook* const accounts_;
  core::Mutex mutex_;
  std::unordered_map<NameKey, ActorCell*, NameHash> names_ ABSL_GUARDED_BY(mutex_);
  std::unordered_set<ActorCell*> cells_ ABSL_GUARDED_BY(mutex_);  // each with a ref, until it is dead
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_ACTOR_SYSTEM_H_
