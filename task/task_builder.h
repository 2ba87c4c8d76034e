// TaskBuilder: a call of a function known by its name, its arguments given one by one.
//
//   absl::StatusOr<core::ObjectRef> sum = TaskBuilder(system, "Add").Arg(5).Arg(ref).Submit();
//
// Threads: one thread builds; the system outlives the builder.
#ifndef RUSTYRAY_TASK_TASK_BUILDER_H_
#define RUSTYRAY_TASK_TASK_BUILDER_H_

#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/object_ref.h"
#include "task/argument.h"
#include "task/dynamic_argument.h"
#include "task/task_system.h"

namespace rustyray::task {

// What the builder's Submit does, once for all policies.
absl::StatusOr<core::ObjectRef> SubmitByName(TaskSystem& system, const std::string& name, const TaskOptions& options,
                                             std::vector<DynamicArgument>& arguments);

template <class Policy>
class BasicTaskBuilder {
 public:
  BasicTaskBuilder(TaskSystem& system, std::string name) : system_(system), name_(std::move(name)) {}

  // The next argument: a value (string literals become std::string), or a ref.
  template <class A>
  BasicTaskBuilder& Arg(A&& argument) {
    using T = std::decay_t<A>;
    if constexpr (Policy::template kIsRef<T>) {
      arguments_.emplace_back(Policy::Untyped(std::forward<A>(argument)));
    } else if constexpr (std::is_same_v<T, const char*> || std::is_same_v<T, char*>) {
      arguments_.push_back(DynamicArgument::Of<Policy>(std::string(argument)));
    } else {
      arguments_.push_back(DynamicArgument::Of<Policy, T>(std::forward<A>(argument)));
    }
    return *this;
  }
  BasicTaskBuilder& Options(TaskOptions options) {
    options_ = std::move(options);
    return *this;
  }

  // Submits the call. NotFound for an unknown name; InvalidArgument for a wrong number of arguments, or one of a wrong
  // type, naming its position and both types. What a ref refers to is checked when it is ready: an error of the call.
  absl::StatusOr<core::ObjectRef> Submit() { return SubmitByName(system_, name_, options_, arguments_); }

 private:
  TaskSystem& system_;
  const std::string name_;
  TaskOptions options_;
  std::vector<DynamicArgument> arguments_;
};

using TaskBuilder = BasicTaskBuilder<CorePolicy>;

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_TASK_BUILDER_H_
