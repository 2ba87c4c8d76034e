// Put: an object into the store. Owned by the refs to it: freed at once when the last one goes.
#ifndef RAY_API_PUT_H_
#define RAY_API_PUT_H_

#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "ray/api/exception.h"
#include "ray/api/object_ref.h"
#include "ray/api/policy.h"
#include "ray/api/runtime_use.h"

namespace ray {

// Copies `object` in, or moves it: Put(std::move(x)) copies no byte and empties x. ResourceExhausted when the store has
// no room (see RayConfig::store_full); then x is as it was.
template <class T>
absl::StatusOr<ObjectRef<T>> TryPut(const T& object) {
  static_assert(!std::is_array_v<T>, "put a std::string, std::vector or std::array: a C array cannot be read back");
  const internal::RuntimeUse runtime;
  if (!runtime) return runtime.status();
  absl::StatusOr<rustyray::core::ObjectRef> ref = runtime->objects().Put<internal::Policy>(object);
  if (!ref.ok()) return ref.status();
  return internal::RefAccess::Make<T>(*std::move(ref));
}

template <class T>
requires(!std::is_lvalue_reference_v<T> && !std::is_const_v<T>) absl::StatusOr<ObjectRef<T>> TryPut(T&& object) {
  const internal::RuntimeUse runtime;
  if (!runtime) return runtime.status();
  absl::StatusOr<rustyray::core::ObjectRef> ref = runtime->objects().Put<internal::Policy>(std::move(object));
  if (!ref.ok()) return ref.status();
  return internal::RefAccess::Make<T>(*std::move(ref));
}

template <class T>
ObjectRef<T> Put(const T& object) {
  return internal::OrThrow(TryPut(object));
}

template <class T>
requires(!std::is_lvalue_reference_v<T> && !std::is_const_v<T>) ObjectRef<T> Put(T&& object) {
  return internal::OrThrow(TryPut(std::move(object)));
}

// All of them, or none: then they are all back in `objects`.
template <class T>
absl::StatusOr<std::vector<ObjectRef<T>>> TryPutBatch(std::vector<T>&& objects) {
  const internal::RuntimeUse runtime;
  if (!runtime) return runtime.status();
  absl::StatusOr<std::vector<rustyray::core::ObjectRef>> put =
      runtime->objects().PutBatch<internal::Policy>(std::move(objects));
  if (!put.ok()) return put.status();
  std::vector<ObjectRef<T>> refs;
  refs.reserve(put->size());
  for (rustyray::core::ObjectRef& ref : *put) refs.push_back(internal::RefAccess::Make<T>(std::move(ref)));
  return refs;
}

template <class T>
std::vector<ObjectRef<T>> PutBatch(std::vector<T>&& objects) {
  return internal::OrThrow(TryPutBatch(std::move(objects)));
}

}  // namespace ray

#endif  // RAY_API_PUT_H_
