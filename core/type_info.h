#ifndef RUSTYRAY_CORE_TYPE_INFO_H_
#define RUSTYRAY_CORE_TYPE_INFO_H_

// What a store needs to know about a value's type: how large it is, how to destroy, account and encode it. One constant
// object per type and codec policy, made at compile time; it lives as long as the program. Any thread may read it.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>

#include "core/accounting.h"
#include "core/codec.h"
#include "core/type_name.h"

namespace rustyray::core {

struct TypeInfo {
  std::string_view name;     // Raw, see RawTypeName().
  uint64_t fingerprint = 0;  // Of the name, the size and the codec's name.
  uint32_t size = 0;         // Bytes.
  uint32_t align = 0;
  void (*destroy)(void*) noexcept = nullptr;   // Null: nothing to do.
  size_t (*accounted)(const void*) = nullptr;  // Null: `size` is what it takes.
  bool opaque = false;                         // See kOpaqueSize.
  const Codec* codec = nullptr;                // Null: the value cannot leave the process.

  // The name for messages.
  std::string Readable() const { return ReadableTypeName(name); }

  // Bytes that the object at `value` takes.
  size_t AccountedSizeOf(const void* value) const { return accounted == nullptr ? size : accounted(value); }

  // Whether values of the two may be read as one another: the same type with the same codec. Types whose names are not
  // unique (IsLocalTypeName) equal only themselves.
  friend bool operator==(const TypeInfo& a, const TypeInfo& b) {
    if (&a == &b) return true;
    return a.fingerprint == b.fingerprint && a.name == b.name && !IsLocalTypeName(a.name);
  }
};

namespace internal {

template <class T>
void DestroyValue(void* value) noexcept {
  std::destroy_at(static_cast<T*>(value));
}

template <class T>
size_t AccountedSizeOfValue(const void* value) {
  return AccountedSize(*static_cast<const T*>(value));
}

template <class T, class Policy>
constexpr TypeInfo MakeTypeInfo() {
  static_assert(std::is_object_v<T> && !std::is_array_v<T> && std::is_same_v<T, std::remove_cv_t<T>>);
  static_assert(std::is_destructible_v<T>);
  static_assert(sizeof(T) <= UINT32_MAX);
  char size[10] = {};  // In decimal digits, least first.
  for (size_t i = 0, rest = sizeof(T); rest > 0; rest /= 10) size[i++] = static_cast<char>('0' + rest % 10);
  return {
      .name = RawTypeName<T>(),
      .fingerprint = Fingerprint(RawTypeName<T>(), std::string_view(size, sizeof(size)), kCodecName<T, Policy>),
      .size = sizeof(T),
      .align = alignof(T),
      .destroy = std::is_trivially_destructible_v<T> ? nullptr : &DestroyValue<T>,
      .accounted = kFixedSize<T> ? nullptr : &AccountedSizeOfValue<T>,
      .opaque = kOpaqueSize<T>,
      .codec = Policy::template CodecFor<T>(),
  };
}

template <class T, class Policy>
inline constexpr TypeInfo kTypeInfo = MakeTypeInfo<T, Policy>();

// One type of all that this program reads with CoreCodecs: a list that grows when libraries are loaded, never shrinks.
class RegisteredType {
 public:
  explicit RegisteredType(const TypeInfo& type) : type_(type), next_(First().load(std::memory_order_relaxed)) {
    while (!First().compare_exchange_weak(next_, this, std::memory_order_release, std::memory_order_relaxed)) {
    }
  }
  static std::atomic<const RegisteredType*>& First();
  const TypeInfo& type() const { return type_; }
  const RegisteredType* next() const { return next_; }

 private:
  const TypeInfo& type_;
  const RegisteredType* next_;
};

template <class T>
inline const RegisteredType kRegisteredType{kTypeInfo<T, CoreCodecs>};

}  // namespace internal

// The description with this name and fingerprint of a type that some code of this program, run or not, reads by a ref;
// null if there is none. So a value that another process encoded can be read.
const TypeInfo* FindTypeInfo(std::string_view name, uint64_t fingerprint);

// The description of T. Policy says which codec T has, as CoreCodecs does: a static constexpr
// `template <class T> const Codec* CodecFor()`.
template <class T, class Policy = CoreCodecs>
constexpr const TypeInfo& TypeInfoOf() {
  return internal::kTypeInfo<T, Policy>;
}

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_TYPE_INFO_H_
