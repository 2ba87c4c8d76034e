#ifndef RUSTYRAY_CORE_CODEC_H_
#define RUSTYRAY_CORE_CODEC_H_

// Codecs turn a value into bytes for other processes and back. A codec is a table of functions, picked per type by a
// policy at compile time: CoreCodecs serves trivially copyable types, strings, and vectors of both; other policies may
// fall back on it. No codec (null) is legal: the value cannot leave the process then. Bytes are in the native order and
// never trusted: decoding bytes that do not fit is a DataLoss error. Codecs have no state; any thread may use them.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/status.h"
#include "core/fields.h"
#include "core/type_name.h"

namespace rustyray::core {

class ObjectRef;  // core/object_ref.h

// Where a value is encoded to.
struct EncodeSink {
  std::string bytes;                       // Appended to.
  std::vector<ObjectRef>* refs = nullptr;  // Gets the refs that the value holds; null: it may hold none.
};

struct Codec {
  std::string_view name;  // Not empty. Codecs of one name read each other's bytes, and no others'.

  // Whether the bytes are the elements of a C array and nothing else, so that they may be viewed where they lie, when
  // that place is aligned for the element.
  bool in_place = false;

  // Appends the value's bytes and refs to the sink.
  absl::Status (*encode)(const void* value, EncodeSink& sink) = nullptr;

  // Constructs the value in `raw`, storage with the type's size and alignment. On an error nothing is constructed.
  absl::Status (*decode)(std::string_view bytes, std::span<const ObjectRef> refs, void* raw) = nullptr;

  // The same bytes as encode gives, where the value has them itself; null if it does not. Saves the copy.
  std::string_view (*bytes)(const void* value) = nullptr;
};

// "cannot decode TYPE: expected EXPECTED, got N bytes"
absl::Status DecodeError(std::string_view raw_type_name, std::string_view expected, size_t got_bytes);

namespace internal {

template <class T>
inline constexpr bool kIsBorrower =
    std::is_pointer_v<T> || std::is_member_pointer_v<T> || std::is_reference_v<T> || std::is_null_pointer_v<T>;
template <class C, class Traits>
inline constexpr bool kIsBorrower<std::basic_string_view<C, Traits>> = true;
template <class T, size_t N>
inline constexpr bool kIsBorrower<std::span<T, N>> = true;
template <class T>
inline constexpr bool kIsBorrower<std::reference_wrapper<T>> = true;
template <class T>
inline constexpr bool kIsBorrower<std::initializer_list<T>> = true;

// Whether a pointer or view can be seen in T: itself, in a std type, in a field of an aggregate. Private members cannot
// be seen.
template <class T>
struct HoldsPointer;

template <class... Ts>
struct AnyHoldsPointer : std::disjunction<HoldsPointer<std::remove_cv_t<Ts>>...> {};

template <class T>
struct HoldsPointerInFields {
  static constexpr bool Value() {
    if constexpr (kFieldsVisible<T>) {
      return []<class... F>(TypeList<F...>) { return AnyHoldsPointer<F...>::value; }(FieldTypes<T>());
    } else {
      return false;
    }
  }
  static constexpr bool value = Value();
};

template <class T>
struct HoldsPointer : std::disjunction<std::bool_constant<kIsBorrower<T>>, HoldsPointerInFields<T>> {};
template <class T, size_t N>
struct HoldsPointer<T[N]> : HoldsPointer<std::remove_cv_t<T>> {};
template <class T, size_t N>
struct HoldsPointer<std::array<T, N>> : HoldsPointer<std::remove_cv_t<T>> {};
template <class T>
struct HoldsPointer<std::optional<T>> : HoldsPointer<std::remove_cv_t<T>> {};
template <class A, class B>
struct HoldsPointer<std::pair<A, B>> : AnyHoldsPointer<A, B> {};
template <class... Ts>
struct HoldsPointer<std::variant<Ts...>> : AnyHoldsPointer<Ts...> {};

constexpr bool IsClosureName(std::string_view raw) {
  return raw.find("<lambda") != std::string_view::npos || raw.find("(lambda at") != std::string_view::npos;
}

// Whether T's bytes are its value.
template <class T>
constexpr bool HasPlainBytes() {
  if constexpr (!std::is_object_v<T> || std::is_array_v<T> || std::is_const_v<T> || std::is_volatile_v<T>) {
    return false;
  } else if constexpr (!std::is_trivially_copyable_v<T> || !std::is_copy_constructible_v<T>) {
    return false;
  } else if constexpr (IsClosureName(RawTypeName<T>()) && !kFieldsVisible<T>) {
    return false;  // The captures of a closure cannot be seen, and references are the likeliest.
  } else {
    return !HoldsPointer<T>::value;
  }
}

template <class T>
struct PlainCodec {
  static absl::Status Encode(const void* value, EncodeSink& sink) {
    sink.bytes.append(static_cast<const char*>(value), sizeof(T));
    return absl::OkStatus();
  }
  static absl::Status Decode(std::string_view bytes, std::span<const ObjectRef>, void* raw) {
    if (bytes.size() != sizeof(T)) {
      return DecodeError(RawTypeName<T>(), std::to_string(sizeof(T)) + " bytes", bytes.size());
    }
    if constexpr (std::is_same_v<T, bool>) {
      if (bytes[0] != 0 && bytes[0] != 1) return DecodeError(RawTypeName<T>(), "a byte of 0 or 1", bytes.size());
    }
    std::memcpy(raw, bytes.data(), sizeof(T));
    return absl::OkStatus();
  }
  static std::string_view Bytes(const void* value) { return {static_cast<const char*>(value), sizeof(T)}; }
  static constexpr Codec kCodec{"plain", true, &Encode, &Decode, &Bytes};
};

template <class E>
struct PlainVectorCodec {
  static absl::Status Encode(const void* value, EncodeSink& sink) {
    const auto& elements = *static_cast<const std::vector<E>*>(value);
    // An empty vector has no data.
    if (!elements.empty()) {
      sink.bytes.append(reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(E));
    }
    return absl::OkStatus();
  }
  static absl::Status Decode(std::string_view bytes, std::span<const ObjectRef>, void* raw) {
    if (bytes.size() % sizeof(E) != 0) {
      return DecodeError(RawTypeName<std::vector<E>>(), "a multiple of " + std::to_string(sizeof(E)) + " bytes",
                         bytes.size());
    }
    const size_t count = bytes.size() / sizeof(E);
    if constexpr (std::is_default_constructible_v<E>) {
      std::vector<E> elements(count);
      if (count > 0) std::memcpy(static_cast<void*>(elements.data()), bytes.data(), bytes.size());
      new (raw) std::vector<E>(std::move(elements));
    } else {
      std::vector<E> elements;
      elements.reserve(count);
      for (size_t i = 0; i < count; ++i) {
        std::array<std::byte, sizeof(E)> element;
        std::memcpy(element.data(), bytes.data() + i * sizeof(E), sizeof(E));
        elements.push_back(std::bit_cast<E>(element));
      }
      new (raw) std::vector<E>(std::move(elements));
    }
    return absl::OkStatus();
  }
  static std::string_view Bytes(const void* value) {
    const auto& elements = *static_cast<const std::vector<E>*>(value);
    return {reinterpret_cast<const char*>(elements.data()), elements.size() * sizeof(E)};
  }
  static constexpr Codec kCodec{"plain elements", true, &Encode, &Decode, &Bytes};
};

absl::Status EncodeString(const void* value, EncodeSink& sink);
absl::Status DecodeString(std::string_view bytes, std::span<const ObjectRef> refs, void* raw);
absl::Status EncodeStringVector(const void* value, EncodeSink& sink);
absl::Status DecodeStringVector(std::string_view bytes, std::span<const ObjectRef> refs, void* raw);

std::string_view BytesOfString(const void* value);
inline constexpr Codec kStringCodec{"string", true, &EncodeString, &DecodeString, &BytesOfString};
inline constexpr Codec kStringVectorCodec{"strings", false, &EncodeStringVector, &DecodeStringVector};

template <class T>
struct ElementOf {
  using Type = void;
};
template <class E>
struct ElementOf<std::vector<E>> {
  using Type = E;
};

}  // namespace internal

// The codecs that come with core.
struct CoreCodecs {
  // The codec of T, for: trivially copyable types, unless pointers or views can be seen in them (fields of aggregates
  // count, private members are not seen); std::string; vectors of trivially copyable types except bool; vectors of
  // std::string. Null otherwise.
  template <class T>
  static constexpr const Codec* CodecFor() {
    using Element = typename internal::ElementOf<T>::Type;
    if constexpr (std::is_same_v<T, std::string>) {
      return &internal::kStringCodec;
    } else if constexpr (std::is_same_v<Element, std::string>) {
      return &internal::kStringVectorCodec;
    } else if constexpr (internal::HasPlainBytes<Element>() && !std::is_same_v<Element, bool>) {
      return &internal::PlainVectorCodec<Element>::kCodec;
    } else if constexpr (internal::HasPlainBytes<T>()) {
      return &internal::PlainCodec<T>::kCodec;
    } else {
      return nullptr;
    }
  }
};

namespace internal {

// As a template argument: under -fsanitize=undefined g++ takes no comparison of an address with null for a constant.
template <const Codec* codec>
inline constexpr std::string_view kNameOfCodec = codec->name;
template <>
inline constexpr std::string_view kNameOfCodec<nullptr> = {};

}  // namespace internal

// The name of T's codec; empty if it has none, and cannot leave the process.
template <class T, class Policy = CoreCodecs>
inline constexpr std::string_view kCodecName = internal::kNameOfCodec<Policy::template CodecFor<T>()>;

template <class T, class Policy = CoreCodecs>
inline constexpr bool kHasCodec = !kCodecName<T, Policy>.empty();

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_CODEC_H_
