#include "ray/api/object_ref.h"

#include <chrono>
#include <unordered_set>

#include "absl/strings/str_cat.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/id.h"
#include "core/waiting.h"
#include "ray/api/runtime_use.h"

namespace ray::internal {
namespace {

using rustyray::core::ErrorKind;
using rustyray::core::MakeStatus;
using rustyray::core::ObjectRef;
using rustyray::core::Time;

Time Deadline(Runtime& runtime, int timeout_ms) {
  if (timeout_ms < 0) return rustyray::core::kNever;
  return rustyray::core::SaturatingAdd(runtime.clock().Now(), std::chrono::milliseconds(timeout_ms));
}

}  // namespace

absl::Status AwaitObject(const ObjectRef& ref, std::string_view raw_type, int timeout_ms) {
  const RuntimeUse runtime;
  if (!runtime) return runtime.status();
  return ref.AwaitType(raw_type, Deadline(*runtime.operator->(), timeout_ms));
}

absl::Status AwaitAll(std::size_t count, absl::FunctionRef<const ObjectRef&(std::size_t)> at, int timeout_ms) {
  const RuntimeUse runtime;
  if (!runtime) return runtime.status();
  return runtime->objects().waiting().WaitForAll(count, at, Deadline(*runtime.operator->(), timeout_ms));
}

absl::StatusOr<std::vector<bool>> AwaitSome(std::size_t count, absl::FunctionRef<const ObjectRef&(std::size_t)> at,
                                            int enough, int timeout_ms) {
  const RuntimeUse runtime;
  if (!runtime) return runtime.status();
  if (enough < 1 || static_cast<std::size_t>(enough) > count) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, ErrorKind::kInvalid,
                      std::string(absl::StrCat("Wait: num_objects must be from 1 to the number of refs, ", count,
                                               ", but it is ", enough)));
  }
  if (absl::Status status = rustyray::core::CheckRefs(count, at); !status.ok()) return status;
  std::unordered_set<ObjectRef> seen;
  for (std::size_t i = 0; i < count; ++i) {
    if (!seen.insert(at(i)).second) {
      return MakeStatus(absl::StatusCode::kInvalidArgument, ErrorKind::kInvalid,
                        std::string(absl::StrCat("Wait: ref ", i, " is given twice")));
    }
  }
  seen.clear();
  absl::StatusOr<std::size_t> waited = runtime->objects().waiting().WaitForSome(
      count, at, static_cast<std::size_t>(enough), Deadline(*runtime.operator->(), timeout_ms));
  if (!waited.ok()) return waited.status();
  std::vector<bool> ready(count);
  for (std::size_t i = 0; i < count; ++i) ready[i] = at(i).ready();
  return ready;
}

absl::StatusOr<ObjectRef> FindById(const std::string& id) {
  const RuntimeUse runtime;
  if (!runtime) return runtime.status();
  absl::StatusOr<rustyray::core::ObjectId> parsed = rustyray::core::ObjectId::FromHex(id);
  if (!parsed.ok()) {
    return MakeStatus(absl::StatusCode::kInvalidArgument, ErrorKind::kInvalid,
                      std::string(absl::StrCat("'", id, "' is not an object id: ", parsed.status().message())));
  }
  return runtime->objects().Find(*parsed);
}

std::string IdOf(const ObjectRef& ref) {
  if (!ref) return "";
  return ref.Id().Hex();
}

}  // namespace ray::internal
