// Caller: what calls of functions and of actors' methods share: Remote and TryRemote, with their checks.
//
// Threads: a caller is used by one thread.
#ifndef RAY_API_CALLER_H_
#define RAY_API_CALLER_H_

#include <utility>

#include "absl/status/statusor.h"
#include "ray/api/argument_check.h"
#include "ray/api/exception.h"
#include "ray/api/object_ref.h"
#include "ray/api/runtime_use.h"
#include "task/function_registry.h"
#include "task/typed_call.h"

namespace ray::internal {

// A call to be of an F, a function or a method. Self has `core::ObjectRef Submit(Runtime&, A&&...)`, which makes the
// call of arguments that are as they should be.
template <class Self, class F>
class Caller {
 public:
  using Signature = rustyray::task::SignatureOf<F>;
  using Result = RefTo<rustyray::task::StoredResult<typename Signature::Result>>;

  template <class... A>
  Result Remote(A&&... arguments) {
    static_assert(sizeof...(A) == Signature::kArity, "Remote must be given as many arguments as the function takes");
    if constexpr (sizeof...(A) == Signature::kArity) {
      // The common case, without a StatusOr around it.
      if (const RuntimeUse runtime; runtime && !FirstEmptyRef<typename Signature::Parameters>(arguments...))
          [[likely]] {
        return RefAccess::MakeAs<Result>(
            static_cast<Self&>(*this).Submit(*runtime.operator->(), std::forward<A>(arguments)...));
      }
      return OrThrow(TryRemote(std::forward<A>(arguments)...));
    }
  }

  template <class... A>
  absl::StatusOr<Result> TryRemote(A&&... arguments) {
    static_assert(sizeof...(A) == Signature::kArity, "Remote must be given as many arguments as the function takes");
    if constexpr (sizeof...(A) == Signature::kArity) {
      const RuntimeUse runtime;
      if (!runtime) return runtime.status();
      if (const int empty = FirstEmptyRef<typename Signature::Parameters>(arguments...)) {
        return EmptyRefArgument(registration_->info.name, empty);
      }
      return RefAccess::MakeAs<Result>(
          static_cast<Self&>(*this).Submit(*runtime.operator->(), std::forward<A>(arguments)...));
    }
  }

 protected:
  explicit Caller(const rustyray::task::Registration& registration) : registration_(&registration) {}
  const rustyray::core::FunctionInfo& info() const { return registration_->info; }

 private:
  const rustyray::task::Registration* registration_;
};

}  // namespace ray::internal

#endif  // RAY_API_CALLER_H_
