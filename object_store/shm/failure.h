// Failure: a status of the shared-memory store. Internal to //object_store/shm. Any thread.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_FAILURE_H_
#define RUSTYRAY_OBJECT_STORE_SHM_FAILURE_H_

#include <string_view>

#include "absl/status/status.h"
#include "core/error.h"

namespace rustyray::object_store::shm {

// With the kind that readers of a store expect for the code.
inline absl::Status Failure(absl::StatusCode code, std::string_view message) {
  const bool full = code == absl::StatusCode::kResourceExhausted;
  return core::MakeStatus(code, full ? core::ErrorKind::kStoreFull : core::ErrorKind::kInvalid, message);
}

}  // namespace rustyray::object_store::shm

#endif  // RUSTYRAY_OBJECT_STORE_SHM_FAILURE_H_
