// ActorRef<C>: a counted handle to an actor whose instance is a C; AnyActorRef: the same, not knowing the class.
//
// Copies and moves as std::shared_ptr does. The actor ends when its last handle goes and its mailbox is empty, unless
// it is detached. Calls on an actor that has ended fail with Unavailable (kActor) saying why it ended. Threads: as
// ObjectRef.
#ifndef RUSTYRAY_ACTOR_ACTOR_REF_H_
#define RUSTYRAY_ACTOR_ACTOR_REF_H_

#include <memory>
#include <string>
#include <type_traits>
#include <utility>

#include "actor/actor_call.h"
#include "actor/actor_cell.h"
#include "actor/message.h"
#include "core/id.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "task/argument.h"
#include "task/typed_call.h"

namespace rustyray::actor {

class AnyActorRef {
 public:
  AnyActorRef() = default;
  // Takes over a handle.
  static AnyActorRef Adopt(ActorCell* cell) { return AnyActorRef(cell); }
  AnyActorRef(const AnyActorRef& other) : cell_(other.cell_) { Add(); }
  AnyActorRef(AnyActorRef&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
  AnyActorRef& operator=(AnyActorRef other) noexcept {
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~AnyActorRef() {
    if (cell_ != nullptr) cell_->DropHandle();
  }

  explicit operator bool() const { return cell_ != nullptr; }
  ActorCell* cell() const { return cell_; }
  core::ActorId Id() const { return cell_ != nullptr ? cell_->id() : core::ActorId::Nil(); }
  friend bool operator==(const AnyActorRef& a, const AnyActorRef& b) { return a.cell_ == b.cell_; }

  // Ends the instance past the queue; what runs and what is queued fails at once. Restarts it if it may and not
  // `no_restart`.
  void Kill(bool no_restart = true) const { cell_->Kill(no_restart); }
  // Lets what runs go on to its end; what is queued fails; OnStop runs.
  void Stop() const { cell_->Stop("was stopped"); }

  // A plain message; nobody is told what became of it.
  template <class M>
  void Send(M message) const {
    (void)Ask<task::Nothing>(std::move(message));
  }
  // A plain message that is answered (Message::Reply) by an R.
  template <class R, class M, class Policy = task::CorePolicy>
  core::ObjectRef Ask(M message) const {
    static constexpr core::FunctionInfo kInfo{"OnMessage"};
    return cell_->Submit(
        task::MakeCall<Policy>(cell_->call_owner(), kInfo, internal::MessageCall<R, M>(*cell_, std::move(message))));
  }

 private:
  explicit AnyActorRef(ActorCell* cell) : cell_(cell) {}
  void Add() {
    if (cell_ != nullptr) cell_->AddHandle();
  }

  ActorCell* cell_ = nullptr;
};

template <class C>
class ActorRef : public AnyActorRef {
 public:
  ActorRef() = default;
  explicit ActorRef(AnyActorRef any) : AnyActorRef(std::move(any)) {}

  // Calls a method; the ref to its result. `info` names it in errors and lives as long as the program.
  template <class Policy = task::CorePolicy, class Method, class... A>
  core::ObjectRef Call(const core::FunctionInfo& info, Method method, A&&... arguments) const {
    return cell()->Submit(MakeMethodCall<C, Policy>(*cell(), info, method, std::forward<A>(arguments)...));
  }
  template <class Policy = task::CorePolicy, class Method, class... A>
  requires std::is_member_function_pointer_v<Method> core::ObjectRef Call(Method method, A&&... arguments)
  const {
    static const core::FunctionInfo info{core::RawTypeName<C>()};
    return Call<Policy>(info, method, std::forward<A>(arguments)...);
  }
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_ACTOR_REF_H_
