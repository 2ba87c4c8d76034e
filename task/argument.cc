#include "task/argument.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace rustyray::task::internal {

core::ErrorPtr ArgumentTypeError(std::string_view function, int position, std::string_view expected_raw,
                                 std::string_view actual_raw) {
  return core::MakeError(
      {.code = absl::StatusCode::kInvalidArgument,
       .kind = core::ErrorKind::kTypeMismatch,
       .message = absl::StrCat("argument ", position, " must be a ", core::ReadableTypeName(expected_raw),
                               ", but its object is a ", core::ReadableTypeName(actual_raw)),
       .function = std::string(function)});
}

core::ErrorPtr ArgumentSharedError(std::string_view function, int position, std::string_view raw_type) {
  return core::MakeError(
      {.code = absl::StatusCode::kFailedPrecondition,
       .kind = core::ErrorKind::kInvalid,
       .message =
           absl::StrCat("argument ", position, " is a ", core::ReadableTypeName(raw_type),
                        ", which cannot be copied, and its ref is not the only one: take it by const reference, or "
                        "drop the others first"),
       .function = std::string(function)});
}

core::ErrorPtr ArgumentNotKeptError(std::string_view function, int position, std::string_view raw_type) {
  return core::MakeError(
      {.code = absl::StatusCode::kInvalidArgument,
       .kind = core::ErrorKind::kInvalid,
       .message = absl::StrCat("argument ", position, " is a ", core::ReadableTypeName(raw_type),
                               ", which cannot be copied, so it would not be there for a retry: take it by const "
                               "reference, or allow no retries (max_task_retries)"),
       .function = std::string(function)});
}

core::ErrorPtr ArgumentStatusError(std::string_view function, int position, const absl::Status& status) {
  return core::MakeError({.code = status.code(),
                          .kind = core::KindOf(status),
                          .message = absl::StrCat("argument ", position, ": ", status.message()),
                          .function = std::string(function)});
}

absl::Status NoCodec(const core::TypeInfo& type) {
  return core::MakeStatus(absl::StatusCode::kFailedPrecondition, core::ErrorKind::kInvalid,
                          absl::StrCat("a ", type.Readable(),
                                       " has no codec, so it cannot leave this process: give it MSGPACK_DEFINE, or "
                                       "another codec"));
}

bool ReadArithmetic(const core::TypeInfo& type, const void* value, long double* floating, long long* integer,
                    bool* is_floating) {
  bool found = false;
  const auto try_as = [&]<class T>(std::type_identity<T>) {
    if (found || !SameType(type, core::RawTypeName<T>())) return;
    found = true;
    *is_floating = std::is_floating_point_v<T>;
    *floating = *static_cast<const T*>(value);
    if constexpr (!std::is_floating_point_v<T>) *integer = static_cast<long long>(*static_cast<const T*>(value));
  };
  const auto try_all = [&]<class... T>(std::type_identity<T>... types) { (try_as(types), ...); };
  try_all(std::type_identity<bool>(), std::type_identity<char>(), std::type_identity<signed char>(),
          std::type_identity<unsigned char>(), std::type_identity<short>(), std::type_identity<unsigned short>(),
          std::type_identity<int>(), std::type_identity<unsigned>(), std::type_identity<long>(),
          std::type_identity<unsigned long>(), std::type_identity<long long>(),
          std::type_identity<unsigned long long>(), std::type_identity<float>(), std::type_identity<double>(),
          std::type_identity<long double>());
  return found;
}

}  // namespace rustyray::task::internal
