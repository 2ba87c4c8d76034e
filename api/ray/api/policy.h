// Policy: what the layers below need to know of the API's types: which codec a type has, and what counts as a ref.
#ifndef RAY_API_POLICY_H_
#define RAY_API_POLICY_H_

#include <utility>

#include "core/codec.h"
#include "core/object_ref.h"
#include "ray/api/object_ref.h"

namespace ray::internal {

template <class T>
inline constexpr bool kIsObjectRef = false;
template <class T>
inline constexpr bool kIsObjectRef<ObjectRef<T>> = true;

template <class T>
struct ReferentOf;
template <class T>
struct ReferentOf<ObjectRef<T>> {
  using Type = StoredFor<T>;
};

struct Policy {
  template <class T>
  static constexpr const rustyray::core::Codec* CodecFor() {
    return rustyray::core::CoreCodecs::CodecFor<T>();
  }
  template <class A>
  static constexpr bool kIsRef = kIsObjectRef<A>;
  template <class A>
  using Referent = typename ReferentOf<A>::Type;
  template <class T>
  static rustyray::core::ObjectRef Untyped(const ObjectRef<T>& ref) {
    return RefAccess::Core(ref);
  }
  template <class T>
  static rustyray::core::ObjectRef Untyped(ObjectRef<T>& ref) {
    return RefAccess::Core(ref);
  }
  template <class T>
  static rustyray::core::ObjectRef Untyped(ObjectRef<T>&& ref) {
    return RefAccess::Take(std::move(ref));
  }
  template <class Ref>
  static Ref Typed(rustyray::core::ObjectRef ref) {
    return RefAccess::MakeAs<Ref>(std::move(ref));
  }
};

}  // namespace ray::internal

#endif  // RAY_API_POLICY_H_
