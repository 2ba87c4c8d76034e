// TaskSystem: takes calls, starts each when its refs are ready, cancels, and shuts down.
//
// A bundle of small parts, none of them owned: calls carry their state themselves, ArgumentResolver holds them back,
// the executor runs them, the store accounts their results. Life of a call: Submit -> (ArgumentResolver) -> Executor ->
// Call::TryRun, by a worker or by who waits for it. Threads: all methods, any thread. A call submitted inside a call is
// its child: cancelled with it.
#ifndef RUSTYRAY_TASK_TASK_SYSTEM_H_
#define RUSTYRAY_TASK_TASK_SYSTEM_H_

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "core/call.h"
#include "core/clock.h"
#include "core/executor.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "task/function_registry.h"
#include "task/typed_call.h"

namespace rustyray::task {

struct TaskOptions {
  // For people: errors and dumps. Empty: the function's name.
  std::string name{};
  // From submission, by the system's clock; then the call fails with DeadlineExceeded, whatever it is doing. Zero or
  // less: none.
  core::Duration deadline = core::Duration::zero();
};

class TaskSystem {
 public:
  // All outlive the system and the calls it took. `owner` is the store's: results are admitted there.
  TaskSystem(core::Executor& executor, core::Clock& clock, core::RecordOwner& owner, FunctionRegistry& registry)
      : executor_(executor), clock_(clock), owner_(owner), registry_(registry) {}
  TaskSystem(const TaskSystem&) = delete;
  TaskSystem& operator=(const TaskSystem&) = delete;

  // Takes the call; the ref to its result. Never fails: what goes wrong is the call's error.
  core::ObjectRef Submit(CallPtr call) { return SubmitTo(executor_, std::move(call)); }
  // The same for a call that another executor runs once its refs are ready, such as an actor's mailbox.
  // `child`: of the call that the thread runs, as tasks are.
  core::ObjectRef SubmitTo(core::Executor& executor, CallPtr call, bool child = true);

  // Makes and submits a call of a function or function object. `name` lives as long as the program.
  template <class Policy = CorePolicy, class Fn, class... A>
  core::ObjectRef Run(const core::FunctionInfo& info, Fn function, A&&... arguments) {
    return Submit(MakeCall<Policy>(owner_, info, std::move(function), std::forward<A>(arguments)...));
  }
  // The same with options.
  template <class Policy = CorePolicy, class Fn, class... A>
  core::ObjectRef RunWith(const TaskOptions& options, const core::FunctionInfo& info, Fn function, A&&... arguments) {
    CallPtr call = MakeCall<Policy>(owner_, info, std::move(function), std::forward<A>(arguments)...);
    Apply(options, *call);
    return Submit(std::move(call));
  }
  // Sets the options of a call that is not submitted yet.
  void Apply(const TaskOptions& options, core::Call& call);

  // Cancels the call behind `ref` and its children: an error at once for whoever waits, a token for what runs.
  // FailedPrecondition when it is done or was cancelled already; InvalidArgument for a ref that is not a call's.
  absl::Status Cancel(const core::ObjectRef& ref);

  core::Executor& executor() { return executor_; }
  core::RecordOwner& owner() { return owner_; }
  FunctionRegistry& registry() { return registry_; }

 private:
  core::Executor& executor_;
  core::Clock& clock_;
  core::RecordOwner& owner_;
  FunctionRegistry& registry_;
};

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_TASK_SYSTEM_H_
