#include "task/task_builder.h"

#include "absl/strings/str_cat.h"
#include "core/error.h"
#include "task/function_registry.h"

namespace rustyray::task {

absl::StatusOr<core::ObjectRef> SubmitByName(TaskSystem& system, const std::string& name, const TaskOptions& options,
                                             std::vector<DynamicArgument>& arguments) {
  absl::StatusOr<const Registration*> found = system.registry().FindByName(name);
  if (!found.ok()) return found.status();
  const Registration& registration = **found;
  if (registration.make_call == nullptr) {
    return core::MakeStatus(absl::StatusCode::kUnimplemented, core::ErrorKind::kInvalid,
                            absl::StrCat("'", name, "' cannot be called by name"));
  }
  absl::StatusOr<CallPtr> call =
      registration.make_call(system.owner(), registration.info, registration.function, arguments);
  if (!call.ok()) {
    return core::MakeStatus(call.status().code(), core::KindOf(call.status()),
                            std::string(absl::StrCat("call of '", name, "': ", call.status().message())));
  }
  system.Apply(options, **call);
  return system.Submit(*std::move(call));
}

}  // namespace rustyray::task
