// The exceptions of the ray:: API. They are thrown in one place only, from an absl::Status; the Try... twins of each
// call return that status instead.
#ifndef RAY_API_EXCEPTION_H_
#define RAY_API_EXCEPTION_H_

#include <exception>
#include <string>
#include <utility>

#include "absl/status/status.h"

namespace ray {
namespace internal {

// The base: bad arguments, a full store, calls before Init or after Shutdown, a wait that would never end.
class RayException : public std::exception {
 public:
  RayException(const std::string& msg) : msg_(msg) {}
  const char* what() const noexcept override { return msg_.c_str(); }

  std::string msg_;
};

// An actor is dead, or never came to life.
class RayActorException : public RayException {
 public:
  using RayException::RayException;
};

// A function failed, threw, was cancelled or came past its deadline: what() tells which, where and why.
class RayTaskException : public RayException {
 public:
  using RayException::RayException;
};

// The process that ran the call died.
class RayWorkerException : public RayException {
 public:
  using RayException::RayException;
};

// The object is gone and cannot be made again.
class UnreconstructableException : public RayException {
 public:
  using RayException::RayException;
};

class RayFunctionNotFound : public RayException {
 public:
  using RayException::RayException;
};

class RayRuntimeEnvException : public RayException {
 public:
  using RayException::RayException;
};

// A read or wait took longer than its timeout.
class RayTimeoutException : public RayException {
 public:
  using RayException::RayException;
};

// Throws what `status`, which is not OK, stands for.
[[noreturn]] void Throw(const absl::Status& status);

inline void ThrowUnlessOk(const absl::Status& status) {
  if (!status.ok()) [[unlikely]]
    Throw(status);
}

// The value, or a throw.
template <class StatusOr>
auto OrThrow(StatusOr result) {
  if (!result.ok()) [[unlikely]]
    Throw(result.status());
  return *std::move(result);
}

}  // namespace internal

using internal::RayActorException;
using internal::RayException;
using internal::RayFunctionNotFound;
using internal::RayRuntimeEnvException;
using internal::RayTaskException;
using internal::RayTimeoutException;
using internal::RayWorkerException;
using internal::UnreconstructableException;

}  // namespace ray

#endif  // RAY_API_EXCEPTION_H_
