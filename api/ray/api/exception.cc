#include "ray/api/exception.h"

#include "core/error.h"

namespace ray::internal {

void Throw(const absl::Status& status) {
  const std::string message(status.message());
  switch (rustyray::core::KindOf(status)) {
    case rustyray::core::ErrorKind::kTask:
    case rustyray::core::ErrorKind::kCancelled:
    case rustyray::core::ErrorKind::kDeadline:
      throw RayTaskException(message);
    case rustyray::core::ErrorKind::kActor:
      throw RayActorException(message);
    case rustyray::core::ErrorKind::kWorker:
      throw RayWorkerException(message);
    case rustyray::core::ErrorKind::kTimeout:
      throw RayTimeoutException(message);
    case rustyray::core::ErrorKind::kFunctionNotFound:
      throw RayFunctionNotFound(message);
    case rustyray::core::ErrorKind::kEvicted:
    case rustyray::core::ErrorKind::kUnreconstructable:
      throw UnreconstructableException(message);
    case rustyray::core::ErrorKind::kRuntimeEnv:
      throw RayRuntimeEnvException(message);
    case rustyray::core::ErrorKind::kGeneric:
    case rustyray::core::ErrorKind::kShutdown:
    case rustyray::core::ErrorKind::kStoreFull:
    case rustyray::core::ErrorKind::kWaitCycle:
    case rustyray::core::ErrorKind::kTypeMismatch:
    case rustyray::core::ErrorKind::kInvalid:
      break;
  }
  throw RayException(message);
}

}  // namespace ray::internal
