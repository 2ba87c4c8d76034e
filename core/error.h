#ifndef RUSTYRAY_CORE_ERROR_H_
#define RUSTYRAY_CORE_ERROR_H_

// Immutable errors, as records hold them in the place of a value. An error knows its root (what failed, where, why) and
// the hops that it took: the functions that failed because an argument of theirs had failed. Errors of one chain share
// the root; each keeps its first and last hops and the number of all of them, so a chain of any length costs the same.
// All functions may be called from any thread. Readers get a fresh absl::Status each: a Status is never shared.

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"

namespace rustyray::core {

enum class ErrorKind : uint8_t {
  kGeneric,
  kTask,    // A function returned an error or threw.
  kActor,   // The actor died, or never came to life.
  kWorker,  // The process that ran the call died.
  kCancelled,
  kDeadline,  // The call's deadline passed.
  kTimeout,   // A reader's wait took longer than it allowed.
  kEvicted,
  kShutdown,
  kStoreFull,
  kWaitCycle,
  kTypeMismatch,
  kFunctionNotFound,
  kUnreconstructable,
  kRuntimeEnv,
  kInvalid,
};

// A short name such as "cancelled" or "store full".
std::string_view ErrorKindName(ErrorKind kind);

struct ErrorInit {
  absl::StatusCode code = absl::StatusCode::kInternal;  // kOk becomes kInternal.
  ErrorKind kind = ErrorKind::kGeneric;
  std::string message = {};
  std::string function = {};  // The failing function or actor, may be empty.
  std::string host = {};      // Empty: this host.
  pid_t pid = 0;              // 0: this process.
};

class Error;
using ErrorPtr = std::shared_ptr<const Error>;

class Error {
 public:
  // At most this many hops are kept, half of them the first and half of them the last ones.
  static constexpr uint64_t kMaxHopsKept = 8;

  absl::StatusCode code() const { return root_->code; }
  ErrorKind kind() const { return root_->kind; }
  const std::string& message() const { return root_->message; }
  const std::string& function() const { return root_->function; }
  const std::string& host() const { return root_->host; }
  pid_t pid() const { return root_->pid; }

  // How many calls the error went through; 0 for the error of the call that failed itself.
  uint64_t hops() const { return hops_; }

  // What failed, where and why, then up to kMaxHopsKept hops, on one line:
  //   f failed: no such file (task failed, host h, pid 12); needed by g, needed by h
  std::string Describe() const;

  // A fresh Status: the code, Describe() as its message, and the kind, which KindOf() reads.
  absl::Status ToStatus() const;

 private:
  friend ErrorPtr MakeError(ErrorInit init);
  friend ErrorPtr Propagate(const ErrorPtr& cause, std::string_view function);

  using Name = std::shared_ptr<const std::string>;
  struct Access {};  // Lets make_shared construct, and nobody else.

  static size_t HopSlot(uint64_t hop);

 public:
  Error(Access, std::shared_ptr<const ErrorInit> root) : root_(std::move(root)) {}
  Error(Access, const Error& cause, std::string_view function);

 private:
  std::shared_ptr<const ErrorInit> root_;
  uint64_t hops_ = 0;
  std::array<Name, kMaxHopsKept> kept_;  // The first half as they came, then a ring of the last ones.
};

// Makes an error of this host and process, unless `init` names others.
ErrorPtr MakeError(ErrorInit init);

// The error of a call of `function` one of whose arguments has the error `cause`. Takes constant time and memory.
ErrorPtr Propagate(const ErrorPtr& cause, std::string_view function);

// The kind that MakeStatus or Error::ToStatus put there, else kGeneric.
ErrorKind KindOf(const absl::Status& status);

// A status that carries a kind.
absl::Status MakeStatus(absl::StatusCode code, ErrorKind kind, std::string_view message);

// An error from a status that is not OK. A status without a kind, from a named function, becomes kTask.
ErrorPtr ErrorFromStatus(const absl::Status& status, std::string_view function);

// Call it in a catch (...) block: the error of `function`, which let the current exception escape. Code kUnknown, kind
// kTask; the message has the exception's type and what() if it has one. Cancellation of the thread goes through.
ErrorPtr ErrorFromCurrentException(std::string_view function);

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_ERROR_H_
