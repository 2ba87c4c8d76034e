// Actor(Class::Factory).Remote(args...): an actor on the engine, and a handle to it.
//
//   auto counter = ray::Actor(Counter::Create).Remote(0);
//   ray::ObjectRef<int> one = counter.Task(&Counter::Increment).Remote(1);
//
// One instance; one call at a time (SetMaxConcurrency for more), in the order of submission of each caller. Factories
// and methods are registered by RAY_REMOTE. Arguments and results are those of tasks (task.h). Calls on an actor that
// has ended throw RayActorException from Get; a method that throws is a RayTaskException, and the actor lives on. An
// actor ends when its last handle goes and its calls are done, unless it is DETACHED. Threads: any; handles copy as
// std::shared_ptr does. What Task returns is no handle, unless that of a temporary one: kept longer than the
// handle, its Remote is a call of an actor that may have ended.
#ifndef RAY_API_ACTOR_H_
#define RAY_API_ACTOR_H_

#include <boost/optional.hpp>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/actor_options.h"
#include "actor/actor_ref.h"
#include "actor/actor_system.h"
#include "ray/api/argument_check.h"
#include "ray/api/caller.h"
#include "ray/api/exception.h"
#include "ray/api/known.h"
#include "ray/api/object_ref.h"
#include "ray/api/policy.h"
#include "ray/api/ray_config.h"
#include "ray/api/runtime_use.h"
#include "task/function_registry.h"
#include "task/typed_call.h"

namespace ray {

template <class C>
class ActorHandle;

namespace internal {

const rustyray::task::Registration* FindFunction(Runtime& runtime, rustyray::task::AnyFunction function);
absl::Status NotRegistered();
absl::StatusOr<const rustyray::task::Registration*> FindMethod(Runtime& runtime,
                                                               const rustyray::task::AnyMethod& method);
absl::Status EmptyHandle();
// The namespace given, else the job's.
std::string NamespaceOr(const std::string& name_space);
ActorLifetime DefaultLifetime();
absl::StatusOr<rustyray::actor::AnyActorRef> FindActor(const std::string& name, const std::string& name_space);

struct HandleAccess {
  template <class C>
  static ActorHandle<C> Make(rustyray::actor::AnyActorRef ref) {
    return ActorHandle<C>(rustyray::actor::ActorRef<C>(std::move(ref)));
  }
};

// One method call to be.
template <class C, class M>
class ActorTaskCaller : public Caller<ActorTaskCaller<C, M>, M> {
 public:
  ActorTaskCaller(rustyray::actor::ActorCell& actor, M method, const rustyray::task::Registration& registration)
      : Caller<ActorTaskCaller, M>(registration), actor_(actor), method_(method) {}

  // For errors and dumps; default: the method's name.
  ActorTaskCaller& SetName(std::string name) {
    name_ = std::move(name);
    return *this;
  }

 private:
  friend class Caller<ActorTaskCaller, M>;
  template <class... A>
  rustyray::core::ObjectRef Submit(Runtime&, A&&... arguments) {
    rustyray::task::CallPtr call =
        rustyray::actor::MakeMethodCall<C, Policy>(*actor_, this->info(), method_, std::forward<A>(arguments)...);
    if (!name_.empty()) call->EnsureAnnex().name = name_;
    return actor_->Submit(std::move(call));
  }

  friend class ActorHandle<C>;
  rustyray::actor::CellPtr actor_;
  rustyray::actor::AnyActorRef temporary_;  // the handle it was made of, if that was one
  M method_;
  std::string name_;
};

}  // namespace internal

template <class C>
class ActorHandle {
 public:
  ActorHandle() = default;

  // The actor's id, as text; empty for an empty handle.
  std::string ID() const { return actor_ ? actor_.Id().Hex() : std::string(); }

  // A call of a method of C or of a base of it, registered by RAY_REMOTE; for one of several overloads:
  // Task(RAY_FUNC(&C::f, ArgTypes...)). RayFunctionNotFound when it is not registered.
  template <class M>
  requires std::is_member_function_pointer_v<M> internal::ActorTaskCaller<C, M> Task(M method)
  const& {
    if (const auto* const known =
            internal::Known<rustyray::task::AnyMethod>::Find(rustyray::task::AnyMethod::Of(method));
        known != nullptr && actor_ && internal::HasRuntime()) [[likely]] {
      return internal::ActorTaskCaller<C, M>(*actor_.cell(), method, *known);
    }
    return internal::OrThrow(TryTask(method));
  }
  template <class M>
  requires std::is_member_function_pointer_v<M> internal::ActorTaskCaller<C, M> Task(M method) && {
    internal::ActorTaskCaller<C, M> caller = std::as_const(*this).Task(method);
    caller.temporary_ = std::move(actor_);
    return caller;
  }
  template <class M>
  requires std::is_member_function_pointer_v<M> internal::ActorTaskCaller<C, M> Task(M method)
  const&& { return ActorHandle(*this).Task(method); }
  template <class M>
  requires std::is_member_function_pointer_v<M> absl::StatusOr<internal::ActorTaskCaller<C, M>> TryTask(M method)
  const& {
    const internal::RuntimeUse runtime;
    if (!runtime) return runtime.status();
    if (!actor_) return internal::EmptyHandle();
    absl::StatusOr<const rustyray::task::Registration*> registration =
        internal::FindMethod(*runtime.operator->(), rustyray::task::AnyMethod::Of(method));
    if (!registration.ok()) return registration.status();
    return internal::ActorTaskCaller<C, M>(*actor_.cell(), method, **registration);
  }
  template <class M>
  requires std::is_member_function_pointer_v<M> absl::StatusOr<internal::ActorTaskCaller<C, M>> TryTask(M method) && {
    absl::StatusOr<internal::ActorTaskCaller<C, M>> caller = std::as_const(*this).TryTask(method);
    if (caller.ok()) caller->temporary_ = std::move(actor_);
    return caller;
  }
  template <class M>
  requires std::is_member_function_pointer_v<M> absl::StatusOr<internal::ActorTaskCaller<C, M>> TryTask(M method)
  const&& { return ActorHandle(*this).TryTask(method); }

  // Ends the actor at once: what runs and what is queued fails. With restarts left and not `no_restart`, its factory
  // runs again.
  void Kill() const { Kill(true); }
  void Kill(bool no_restart) const {
    const internal::RuntimeUse runtime;
    internal::ThrowUnlessOk(runtime.status());
    if (!actor_) internal::Throw(internal::EmptyHandle());
    actor_.Kill(no_restart);
  }

  explicit operator bool() const { return static_cast<bool>(actor_); }
  friend bool operator==(const ActorHandle& a, const ActorHandle& b) { return a.actor_ == b.actor_; }

 private:
  friend struct internal::HandleAccess;
  explicit ActorHandle(rustyray::actor::ActorRef<C> actor) : actor_(std::move(actor)) {}

  rustyray::actor::ActorRef<C> actor_;
};

namespace internal {

template <class F>
struct FactoryTraits;
template <class C, class... P>
struct FactoryTraits<C* (*)(P...)> {
  using Class = C;
  using Parameters = std::tuple<P...>;
  static constexpr std::size_t kArity = sizeof...(P);
};

// An actor to be.
template <class F>
class ActorCreator {
 public:
  using Class = typename FactoryTraits<F>::Class;

  ActorCreator(F factory, const rustyray::task::Registration& registration)
      : factory_(factory), registration_(&registration) {
    options_.mailbox_capacity = rustyray::actor::kUnboundedMailbox;
    options_.detached = DefaultLifetime() == ActorLifetime::DETACHED;
  }

  // Found under it by GetActor, in this job's namespace or another.
  ActorCreator& SetName(std::string name) { return SetName(std::move(name), ""); }
  ActorCreator& SetName(std::string name, std::string ray_namespace) {
    options_.name = std::move(name);
    options_.name_space = std::move(ray_namespace);
    return *this;
  }
  // How often its factory may run again after a Kill that allows it; -1: without end.
  ActorCreator& SetMaxRestarts(int max_restarts) {
    options_.restart.max_restarts = max_restarts;
    return *this;
  }
  // How often a call is tried again when the actor restarts under it, not when its method throws; -1: without limit.
  // Its arguments must be copyable, or taken by const reference. See actor/actor_options.h.
  ActorCreator& SetMaxTaskRetries(int max_task_retries) {
    options_.max_task_retries = max_task_retries;
    return *this;
  }
  // How many calls may be inside at once.
  ActorCreator& SetMaxConcurrency(int max_concurrency) {
    options_.max_concurrency = max_concurrency;
    return *this;
  }
  ActorCreator& SetLifetime(ActorLifetime lifetime) {
    options_.detached = lifetime == ActorLifetime::DETACHED;
    return *this;
  }
  // At most so many calls wait; one more blocks its caller, or fails with ResourceExhausted if `reject`.
  ActorCreator& SetMailbox(std::size_t capacity, bool reject = false) {
    options_.mailbox_capacity = capacity;
    options_.mailbox_full = reject ? rustyray::actor::MailboxFull::kReject : rustyray::actor::MailboxFull::kBlock;
    return *this;
  }
  // How many bytes of the store what it makes may take at once; more fails with ResourceExhausted. See
  // actor/actor_options.h.
  ActorCreator& SetQuota(std::size_t bytes) {
    options_.quota_bytes = bytes;
    return *this;
  }
  // Restarts in a window, backoff and the errors that restart: see actor/restart_policy.h.
  ActorCreator& SetRestartPolicy(rustyray::actor::RestartPolicy policy) {
    options_.restart = std::move(policy);
    return *this;
  }

  template <class... A>
  ActorHandle<Class> Remote(A&&... arguments) {
    return OrThrow(TryRemote(std::forward<A>(arguments)...));
  }

  template <class... A>
  absl::StatusOr<ActorHandle<Class>> TryRemote(A&&... arguments) {
    static_assert(sizeof...(A) == FactoryTraits<F>::kArity,
                  "Remote must be given as many arguments as the factory takes");
    if constexpr (sizeof...(A) == FactoryTraits<F>::kArity) {
      const RuntimeUse runtime;
      if (!runtime) return runtime.status();
      if (const int empty = FirstEmptyRef<typename FactoryTraits<F>::Parameters>(arguments...)) {
        return EmptyRefArgument(registration_->info.name, empty);
      }
      rustyray::actor::ActorOptions options = options_;
      options.name_space = NamespaceOr(options.name_space);
      auto actor = runtime->actors().template SpawnAs<Class, Policy>(std::move(options), registration_->info, factory_,
                                                                     std::forward<A>(arguments)...);
      if (!actor.ok()) return actor.status();
      return HandleAccess::Make<Class>(*std::move(actor));
    }
  }

 private:
  F factory_;
  const rustyray::task::Registration* registration_;
  rustyray::actor::ActorOptions options_;
};

}  // namespace internal

// `factory`: a static or free function that returns a new C*, registered by RAY_REMOTE.
template <class F>
absl::StatusOr<internal::ActorCreator<F>> TryActor(F factory) {
  const internal::RuntimeUse runtime;
  if (!runtime) return runtime.status();
  const rustyray::task::Registration* const registration =
      internal::FindFunction(*runtime.operator->(), reinterpret_cast<rustyray::task::AnyFunction>(factory));
  if (registration == nullptr) return internal::NotRegistered();
  return internal::ActorCreator<F>(factory, *registration);
}

template <class F>
internal::ActorCreator<F> Actor(F factory) {
  return internal::OrThrow(TryActor(factory));
}

// A handle to the actor with this name; none when there is none. C must be its class.
template <class C>
boost::optional<ActorHandle<C>> GetActor(const std::string& actor_name, const std::string& ray_namespace = "") {
  rustyray::actor::AnyActorRef found = internal::OrThrow(internal::FindActor(actor_name, ray_namespace));
  if (!found) return boost::none;
  return internal::HandleAccess::Make<C>(std::move(found));
}

// Ends the actor whose method calls it, at once: nothing after it in the method runs. RayException outside of actors.
void ExitActor();

// Whether the actor whose method calls it runs in a later instance than its first.
bool WasCurrentActorRestarted();

// Of this job: RayConfig::ray_namespace, or a random one.
std::string GetNamespace();

}  // namespace ray

#endif  // RAY_API_ACTOR_H_
