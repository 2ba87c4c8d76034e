// Task(F).Remote(args...): calls a registered function on the engine, and gives a ref to its result.
//
// Arguments are checked when compiling: as many as parameters, each convertible. An ObjectRef<T> given for a T is
// waited for and resolved; given for an ObjectRef<T>, or inside a container, it is passed as it is. An argument's error
// becomes the task's. A function may return T, void, absl::Status, absl::StatusOr<T> (which gives ObjectRef<T>), or
// throw.
// Threads: any. A caller is used by one thread.
#ifndef RAY_API_TASK_H_
#define RAY_API_TASK_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/call.h"
#include "ray/api/caller.h"
#include "ray/api/exception.h"
#include "ray/api/known.h"
#include "ray/api/object_ref.h"
#include "ray/api/policy.h"
#include "ray/api/runtime_use.h"
#include "task/function_registry.h"
#include "task/task_builder.h"
#include "task/task_system.h"
#include "task/typed_call.h"

namespace ray {

// Whether the running task was told to stop: cancelled, past its deadline, or shutting down. Long functions look at it.
using rustyray::core::CancelToken;

namespace internal {

// Null when it is not registered.
const rustyray::task::Registration* FindFunction(Runtime& runtime, rustyray::task::AnyFunction function);
absl::Status NotRegistered();
absl::Status CancelTask(const rustyray::core::ObjectRef& ref);

template <class F>
class TaskCaller : public Caller<TaskCaller<F>, F> {
 public:
  TaskCaller(F function, const rustyray::task::Registration& registration)
      : Caller<TaskCaller, F>(registration), function_(function) {}

  // For errors and dumps; default: the function's name.
  TaskCaller& SetName(std::string name) {
    Options().name = std::move(name);
    return *this;
  }
  // Milliseconds from Remote on; then the task fails with DeadlineExceeded, whatever it is doing.
  TaskCaller& SetDeadline(int milliseconds) {
    Options().deadline = std::chrono::milliseconds(milliseconds);
    return *this;
  }

 private:
  friend class Caller<TaskCaller, F>;
  template <class... A>
  rustyray::core::ObjectRef Submit(Runtime& runtime, A&&... arguments) {
    rustyray::task::TaskSystem& tasks = runtime.tasks();
    rustyray::task::CallPtr call =
        rustyray::task::MakeCall<Policy>(tasks.owner(), this->info(), function_, std::forward<A>(arguments)...);
    if (options_ != nullptr) [[unlikely]]
      tasks.Apply(*options_, *call);
    return tasks.Submit(std::move(call));
  }
  rustyray::task::TaskOptions& Options() {
    if (options_ == nullptr) options_ = std::make_unique<rustyray::task::TaskOptions>();
    return *options_;
  }

  F function_;
  std::unique_ptr<rustyray::task::TaskOptions> options_;  // few calls have any
};

}  // namespace internal

// RayFunctionNotFound when `function` is not registered by RAY_REMOTE, on every engine.
template <class F>
absl::StatusOr<internal::TaskCaller<F>> TryTask(F function) {
  static_assert(!std::is_member_function_pointer_v<F>, "a member function is called through an actor's handle");
  static_assert(std::is_function_v<std::remove_pointer_t<F>>, "ray::Task takes a function registered by RAY_REMOTE");
  const internal::RuntimeUse runtime;
  if (!runtime) return runtime.status();
  const rustyray::task::Registration* const registration =
      internal::FindFunction(*runtime.operator->(), reinterpret_cast<rustyray::task::AnyFunction>(function));
  if (registration == nullptr) return internal::NotRegistered();
  return internal::TaskCaller<F>(function, *registration);
}

template <class F>
internal::TaskCaller<F> Task(F function) {
  const auto any = reinterpret_cast<rustyray::task::AnyFunction>(function);
  if (const auto* const known = internal::Known<rustyray::task::AnyFunction>::Find(any);
      known != nullptr && internal::HasRuntime()) [[likely]] {
    return internal::TaskCaller<F>(function, *known);
  }
  return internal::OrThrow(TryTask(function));
}

// A call of a function known by its registered name:
//   TaskByName<int>("Add").Arg(1).Arg(ref).Remote()
// A wrong name, number or type of arguments is a RayException that says which argument and which types.
template <class R>
class TaskByName {
 public:
  explicit TaskByName(std::string name) : name_(std::move(name)) {}
  // The next argument: a value, or a ref.
  template <class A>
  TaskByName& Arg(A&& argument) {
    using T = std::decay_t<A>;
    if constexpr (internal::kIsObjectRef<T>) {
      arguments_.emplace_back(internal::Policy::Untyped(std::forward<A>(argument)));
    } else if constexpr (std::is_convertible_v<T, const char*>) {
      arguments_.push_back(rustyray::task::DynamicArgument::Of<internal::Policy>(std::string(argument)));
    } else {
      arguments_.push_back(rustyray::task::DynamicArgument::Of<internal::Policy, T>(std::forward<A>(argument)));
    }
    return *this;
  }
  TaskByName& SetName(std::string name) {
    options_.name = std::move(name);
    return *this;
  }
  TaskByName& SetDeadline(int milliseconds) {
    options_.deadline = std::chrono::milliseconds(milliseconds);
    return *this;
  }
  ObjectRef<R> Remote() { return internal::OrThrow(TryRemote()); }
  absl::StatusOr<ObjectRef<R>> TryRemote() {
    const internal::RuntimeUse runtime;
    if (!runtime) return runtime.status();
    absl::StatusOr<rustyray::core::ObjectRef> ref =
        rustyray::task::SubmitByName(runtime->tasks(), name_, options_, arguments_);
    if (!ref.ok()) return ref.status();
    return internal::RefAccess::Make<R>(*std::move(ref));
  }

 private:
  const std::string name_;
  rustyray::task::TaskOptions options_;
  std::vector<rustyray::task::DynamicArgument> arguments_;
};

// Cancels a task and the tasks it submitted: whoever waits gets an error at once, what has not begun never will, what
// runs sees its CancelToken. RayException when it is done, or was cancelled already.
template <class T>
absl::Status TryCancel(const ObjectRef<T>& ref) {
  return internal::CancelTask(internal::RefAccess::Core(ref));
}

template <class T>
void Cancel(const ObjectRef<T>& ref) {
  internal::ThrowUnlessOk(TryCancel(ref));
}

}  // namespace ray

#endif  // RAY_API_TASK_H_
