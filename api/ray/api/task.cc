#include "ray/api/task.h"

#include "absl/strings/str_cat.h"
#include "core/error.h"

namespace ray::internal {

using rustyray::core::ErrorKind;
using rustyray::core::MakeStatus;
using rustyray::task::AnyFunction;
using rustyray::task::Registration;

const Registration* FindFunction(Runtime& runtime, AnyFunction function) {
  const Registration* const found = runtime.tasks().registry().Find(function);
  if (found != nullptr) Known<AnyFunction>::Keep(function, *found);
  return found;
}

absl::Status NotRegistered() {
  return MakeStatus(absl::StatusCode::kNotFound, ErrorKind::kFunctionNotFound,
                    "ray::Task: the function is not registered: name it in RAY_REMOTE(...) at namespace scope");
}

absl::Status EmptyRefArgument(std::string_view function, int position) {
  return MakeStatus(
      absl::StatusCode::kInvalidArgument, ErrorKind::kInvalid,
      std::string(absl::StrCat("call of ", absl::string_view(function.data(), function.size()), ": argument ", position,
                               " is an empty object ref: it was default-constructed or moved from")));
}

absl::Status CancelTask(const rustyray::core::ObjectRef& ref) {
  const RuntimeUse runtime;
  if (!runtime) return runtime.status();
  if (ref && ref.record()->owner() != nullptr && ref.record()->owner()->closed()) return ref.Wait();
  return runtime->tasks().Cancel(ref);
}

}  // namespace ray::internal
