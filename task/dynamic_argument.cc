#include "task/dynamic_argument.h"

#include "absl/strings/str_cat.h"
#include "core/error.h"

namespace rustyray::task::internal {

absl::Status DynamicTypeError(int position, std::string_view expected_raw, std::string_view actual_raw, bool narrows) {
  return core::MakeStatus(
      absl::StatusCode::kInvalidArgument, core::ErrorKind::kTypeMismatch,
      absl::StrCat("argument ", position, " must be a ", core::ReadableTypeName(expected_raw), ", but a ",
                   core::ReadableTypeName(actual_raw), " was given", narrows ? ", whose value does not fit" : ""));
}

absl::Status DynamicRefError(int position, std::string_view expected_raw) {
  return core::MakeStatus(absl::StatusCode::kInvalidArgument, core::ErrorKind::kInvalid,
                          absl::StrCat("argument ", position, " must be a ", core::ReadableTypeName(expected_raw),
                                       ", but an empty object ref was given"));
}

}  // namespace rustyray::task::internal
