#include "core/error.h"

#include <cxxabi.h>
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <optional>
#include <typeinfo>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/string_view.h"
#include "core/type_name.h"

namespace rustyray::core {
namespace {

constexpr char kKindUrl[] = "rustyray/error_kind";
constexpr uint64_t kFirstHops = Error::kMaxHopsKept / 2;
constexpr uint64_t kLastHops = Error::kMaxHopsKept - kFirstHops;

// Asked once; never destroyed, since errors are made while statics are.
const std::string& HostName() {
  static const std::string& name = *[] {
    char buffer[256] = {};
    if (gethostname(buffer, sizeof(buffer) - 1) != 0) return new std::string("unknown");
    return new std::string(buffer);
  }();
  return name;
}

// "1,000,000"
std::string WithCommas(uint64_t number) {
  std::string digits = std::to_string(number);
  for (size_t i = digits.size(); i > 3;) digits.insert(i -= 3, ",");
  return digits;
}

std::string Demangled(const std::type_info& type) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(abi::__cxa_demangle(type.name(), nullptr, nullptr, &status),
                                                    std::free);
  return ReadableTypeName(status == 0 && name != nullptr ? name.get() : type.name());
}

}  // namespace

std::string_view ErrorKindName(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kGeneric:
      return "error";
    case ErrorKind::kTask:
      return "task failed";
    case ErrorKind::kActor:
      return "actor died";
    case ErrorKind::kWorker:
      return "worker died";
    case ErrorKind::kCancelled:
      return "cancelled";
    case ErrorKind::kDeadline:
      return "deadline passed";
    case ErrorKind::kTimeout:
      return "wait timed out";
    case ErrorKind::kEvicted:
      return "evicted";
    case ErrorKind::kShutdown:
      return "shut down";
    case ErrorKind::kStoreFull:
      return "store full";
    case ErrorKind::kWaitCycle:
      return "cycle of waits";
    case ErrorKind::kTypeMismatch:
      return "type mismatch";
    case ErrorKind::kFunctionNotFound:
      return "function not found";
    case ErrorKind::kUnreconstructable:
      return "object lost";
    case ErrorKind::kRuntimeEnv:
      return "runtime environment";
    case ErrorKind::kInvalid:
      return "invalid";
  }
  return "unknown kind";
}

size_t Error::HopSlot(uint64_t hop) {
  return static_cast<size_t>(hop < kFirstHops ? hop : kFirstHops + (hop - kFirstHops) % kLastHops);
}

Error::Error(Access, const Error& cause, std::string_view function)
    : root_(cause.root_), hops_(cause.hops_ + 1), kept_(cause.kept_) {
  // In a chain of calls of one function all hops share one name.
  if (cause.hops_ > 0) {
    const Name& previous = kept_[HopSlot(cause.hops_ - 1)];
    if (*previous == function) {
      kept_[HopSlot(cause.hops_)] = previous;
      return;
    }
  }
  kept_[HopSlot(cause.hops_)] = std::make_shared<const std::string>(function);
}

std::string Error::Describe() const {
  std::string text;
  if (!function().empty()) text.append(function()).append(" failed: ");
  text.append(message()).append(" (").append(ErrorKindName(kind())).append(", host ").append(host());
  text.append(", pid ").append(std::to_string(pid())).append(")");
  const auto append_hop = [&](uint64_t hop) {
    text.append(hop == 0 ? "; " : ", ").append("needed by ").append(*kept_[HopSlot(hop)]);
  };
  uint64_t hop = 0;
  while (hop < hops_ && hop < kFirstHops) append_hop(hop++);
  if (hops_ > kMaxHopsKept) {
    text.append(", ... ").append(WithCommas(hops_ - kMaxHopsKept)).append(" more ...");
    hop = hops_ - kLastHops;
  }
  while (hop < hops_) append_hop(hop++);
  return text;
}

absl::Status Error::ToStatus() const { return MakeStatus(code(), kind(), Describe()); }

ErrorPtr MakeError(ErrorInit init) {
  if (init.code == absl::StatusCode::kOk) init.code = absl::StatusCode::kInternal;
  if (init.host.empty()) init.host = HostName();
  if (init.pid == 0) init.pid = getpid();
  return std::make_shared<const Error>(Error::Access(), std::make_shared<const ErrorInit>(std::move(init)));
}

ErrorPtr Propagate(const ErrorPtr& cause, std::string_view function) {
  return std::make_shared<const Error>(Error::Access(), *cause, function);
}

ErrorKind KindOf(const absl::Status& status) {
  const auto payload = status.GetPayload(kKindUrl);
  if (!payload.has_value() || payload->size() != 1) return ErrorKind::kGeneric;
  const auto kind = static_cast<unsigned char>((*payload)[0]);
  return kind <= static_cast<unsigned char>(ErrorKind::kInvalid) ? static_cast<ErrorKind>(kind) : ErrorKind::kGeneric;
}

absl::Status MakeStatus(absl::StatusCode code, ErrorKind kind, std::string_view message) {
  absl::Status status(code, absl::string_view(message.data(), message.size()));
  const char byte = static_cast<char>(kind);
  status.SetPayload(kKindUrl, absl::Cord(absl::string_view(&byte, 1)));
  return status;
}

ErrorPtr ErrorFromStatus(const absl::Status& status, std::string_view function) {
  ErrorKind kind = KindOf(status);
  if (kind == ErrorKind::kGeneric && !function.empty()) kind = ErrorKind::kTask;
  if (status.ok()) {
    return MakeError(
        {absl::StatusCode::kInternal, kind, "an error was made of a status that is OK", std::string(function)});
  }
  return MakeError({status.code(), kind, std::string(status.message()), std::string(function)});
}

ErrorPtr ErrorFromCurrentException(std::string_view function) {
  ErrorInit init{absl::StatusCode::kUnknown, ErrorKind::kTask, "", std::string(function)};
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr && std::current_exception() == nullptr) {
    init.message = "no exception is being handled";
    return MakeError(std::move(init));
  }
  const std::string name = type != nullptr ? Demangled(*type) : "unknown";
  try {
    throw;
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (const std::exception& exception) {
    const char* what = exception.what();
    init.message = name;
    if (what != nullptr) init.message.append(": ").append(what);
  } catch (...) {
    init.message = "an exception that is not a std::exception, of type " + name;
  }
  return MakeError(std::move(init));
}

}  // namespace rustyray::core
