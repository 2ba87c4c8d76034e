// Results of functions: what type the record holds, and how the forms that a function may return become a value or an
// error. A function may return T, void, absl::Status, absl::StatusOr<T>, or throw.
#ifndef RUSTYRAY_TASK_RESULT_H_
#define RUSTYRAY_TASK_RESULT_H_

#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rustyray::task {

// The value of a function that has nothing to say but that it is done.
struct Nothing {
  friend bool operator==(Nothing, Nothing) { return true; }
};

namespace internal {

template <class R>
struct ResultTraits {
  using Stored = std::remove_cvref_t<R>;
};
template <>
struct ResultTraits<void> {
  using Stored = Nothing;
};
template <>
struct ResultTraits<absl::Status> {
  using Stored = Nothing;
};
template <class T>
struct ResultTraits<absl::StatusOr<T>> {
  using Stored = T;
};

}  // namespace internal

// What the record of a call holds whose function returns R.
template <class R>
using StoredResult = typename internal::ResultTraits<std::remove_cvref_t<R>>::Stored;

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_RESULT_H_
