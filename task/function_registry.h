// FunctionRegistry: which functions may be called as tasks, under which names.
//
// Registrations are plain objects that a list hands over (RAY_REMOTE appends to one; the layers have no global state).
// A registration made in a header is seen once per file that includes it; the same name, function, file and line are
// one registration. Any other second use of a name or function is an error.
// Threads: all methods, any thread. Lookups take no lock while nothing is added.
#ifndef RUSTYRAY_TASK_FUNCTION_REGISTRY_H_
#define RUSTYRAY_TASK_FUNCTION_REGISTRY_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/call.h"
#include "core/mutex.h"
#include "core/record.h"
#include "core/type_name.h"
#include "task/dynamic_argument.h"
#include "task/typed_call.h"

namespace rustyray::task {

// A function's address whatever its type: what registrations are compared by.
using AnyFunction = void (*)();

// A member function's address whatever its type: the bytes of the pointer, and its type, since those of virtual
// functions are offsets.
struct AnyMethod {
  std::array<std::uintptr_t, 2> bytes{};
  std::uint64_t type = 0;  // fingerprint; 0: none
  friend bool operator==(const AnyMethod&, const AnyMethod&) = default;

  template <class M>
  requires std::is_member_function_pointer_v<M>
  static AnyMethod Of(M method) {
    static_assert(sizeof(M) <= sizeof(bytes));
    AnyMethod any;
    std::memcpy(any.bytes.data(), &method, sizeof(M));
    any.type = core::Fingerprint(core::RawTypeName<M>());
    return any;
  }
};

struct AnyMethodHash {
  std::size_t operator()(const AnyMethod& method) const {
    return static_cast<std::size_t>(method.bytes[0] * 31 + method.bytes[1] + method.type);
  }
};

// One registration; lives as long as the program (or the library it is in).
struct Registration {
  core::FunctionInfo info;         // its name
  AnyFunction function = nullptr;  // of a free or static function
  AnyMethod method;                // of a member function
  // Makes a call from arguments whose types are known at run time only. Null: by-name calls are not offered.
  absl::StatusOr<CallPtr> (*make_call)(core::RecordOwner& owner, const core::FunctionInfo& info, AnyFunction function,
                                       std::span<DynamicArgument> arguments) = nullptr;
  std::string_view file;
  int line = 0;
  const Registration* next = nullptr;  // the list's
};

class FunctionRegistry {
 public:
  // `refill` is asked, when a lookup misses, for the head of the list of registrations: libraries loaded later append
  // to it. May be null.
  explicit FunctionRegistry(const Registration* (*refill)() = nullptr) : refill_(refill) {}
  ~FunctionRegistry();
  FunctionRegistry(const FunctionRegistry&) = delete;
  FunctionRegistry& operator=(const FunctionRegistry&) = delete;

  // Adds what is new in the list. AlreadyExists names the name and both places; the rest is added all the same.
  absl::Status AddAll(const Registration* head);

  // Null when it is not registered.
  const Registration* Find(AnyFunction function);
  const Registration* FindMethod(const AnyMethod& method);
  // NotFound, with close names if there are any.
  absl::StatusOr<const Registration*> FindByName(std::string_view name);

 private:
  struct Table {
    std::unordered_map<AnyFunction, const Registration*> by_function;
    std::unordered_map<AnyMethod, const Registration*, AnyMethodHash> by_method;
    std::unordered_map<std::string_view, const Registration*> by_name;
  };
  const Table* Refilled();

  const Registration* (*const refill_)();
  core::Mutex mutex_;
  std::vector<std::unique_ptr<Table>> tables_ ABSL_GUARDED_BY(mutex_);  // readers may use any
  const Registration* seen_head_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::atomic<const Table*> table_{nullptr};
};

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_FUNCTION_REGISTRY_H_
