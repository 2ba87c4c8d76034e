// ActorContext: what an actor may know of itself. Given to OnStart, OnStop and OnMessage; methods ask Current().
//
// Threads: the one that runs the actor; not kept beyond the call.
#ifndef RUSTYRAY_ACTOR_ACTOR_CONTEXT_H_
#define RUSTYRAY_ACTOR_ACTOR_CONTEXT_H_

#include <optional>
#include <string>

#include "actor/actor_cell.h"
#include "core/call.h"
#include "core/id.h"

namespace rustyray::actor {

class AnyActorRef;

class ActorContext {
 public:
  explicit ActorContext(ActorCell& cell) : cell_(cell) {}
  // Of the actor whose call this thread runs; nothing outside of actors, and in tasks that run inside one.
  static std::optional<ActorContext> Current() {
    ActorCell* const cell = CurrentCell();
    if (cell == nullptr) return std::nullopt;
    return ActorContext(*cell);
  }

  const core::ActorId& Id() const { return cell_.id(); }
  // As given in its options; may be empty.
  const std::string& Name() const { return cell_.options().name; }
  const std::string& NameSpace() const { return cell_.options().name_space; }
  // A handle to itself. Holding it keeps the actor alive.
  AnyActorRef Self() const;
  // How often the factory ran before this instance's.
  int Restarts() const { return cell_.restarts(); }
  // Whether the running call was told to end: cancelled, killed, or shutting down.
  core::CancelToken Token() const { return core::CancelToken::Current(); }
  // Ends the actor gracefully once the running call is done.
  void Exit() const { cell_.Stop("exited"); }

 private:
  ActorCell& cell_;
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_ACTOR_CONTEXT_H_
