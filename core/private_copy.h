#ifndef RUSTYRAY_CORE_PRIVATE_COPY_H_
#define RUSTYRAY_CORE_PRIVATE_COPY_H_

// Copies that share nothing changeable with the original. PrivateCopy(x) is x's copy constructor, except that a
// std::shared_ptr, alone or in std containers, pairs, tuples, optionals, variants and arrays, is copied deeply: the
// copy points at a fresh copy of the pointee. Null stays null; two shared_ptrs to one object may become two objects; a
// set of shared_ptrs is ordered anew, by the new addresses. Shared as they are stay: shared_ptrs within classes of the
// user, to void, arrays, incomplete or non-copyable types, and to polymorphic types that are not final (a copy would
// slice).

#include <array>
#include <cstddef>
#include <deque>
#include <forward_list>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <tuple>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <variant>
#include <vector>

#include "core/fields.h"

namespace rustyray::core {

namespace internal {

// The types that a std type contains, as far as copying goes, and how to copy it piecewise. Ranges are copied element
// by element into an empty container made by EmptyLike.
template <class T>
struct Parts {
  static constexpr bool kKnown = false;
};

template <class... Ts>
struct PartsAre {
  static constexpr bool kKnown = true;
  using Types = TypeList<std::remove_cv_t<Ts>...>;
};

template <class T, class A>
struct Parts<std::vector<T, A>> : PartsAre<T> {
  static std::vector<T, A> EmptyLike(const std::vector<T, A>& from) {
    std::vector<T, A> empty(from.get_allocator());
    empty.reserve(from.size());
    return empty;
  }
};
template <class T, class A>
struct Parts<std::deque<T, A>> : PartsAre<T> {
  static std::deque<T, A> EmptyLike(const std::deque<T, A>& from) { return std::deque<T, A>(from.get_allocator()); }
};
template <class T, class A>
struct Parts<std::list<T, A>> : PartsAre<T> {
  static std::list<T, A> EmptyLike(const std::list<T, A>& from) { return std::list<T, A>(from.get_allocator()); }
};
template <class T, class A>
struct Parts<std::forward_list<T, A>> : PartsAre<T> {};

template <class C>
struct PartsOfTree : PartsAre<typename C::key_type> {
  static C EmptyLike(const C& from) { return C(from.key_comp(), from.get_allocator()); }
};
template <class T, class C, class A>
struct Parts<std::set<T, C, A>> : PartsOfTree<std::set<T, C, A>> {};
template <class T, class C, class A>
struct Parts<std::multiset<T, C, A>> : PartsOfTree<std::multiset<T, C, A>> {};
template <class K, class V, class C, class A>
struct Parts<std::map<K, V, C, A>> : PartsOfTree<std::map<K, V, C, A>> {
  using Types = TypeList<K, V>;
};
template <class K, class V, class C, class A>
struct Parts<std::multimap<K, V, C, A>> : PartsOfTree<std::multimap<K, V, C, A>> {
  using Types = TypeList<K, V>;
};

template <class C>
struct PartsOfHashed : PartsAre<typename C::key_type> {
  static C EmptyLike(const C& from) {
    return C(from.bucket_count(), from.hash_function(), from.key_eq(), from.get_allocator());
  }
};
template <class T, class H, class E, class A>
struct Parts<std::unordered_set<T, H, E, A>> : PartsOfHashed<std::unordered_set<T, H, E, A>> {};
template <class T, class H, class E, class A>
struct Parts<std::unordered_multiset<T, H, E, A>> : PartsOfHashed<std::unordered_multiset<T, H, E, A>> {};
template <class K, class V, class H, class E, class A>
struct Parts<std::unordered_map<K, V, H, E, A>> : PartsOfHashed<std::unordered_map<K, V, H, E, A>> {
  using Types = TypeList<K, V>;
};
template <class K, class V, class H, class E, class A>
struct Parts<std::unordered_multimap<K, V, H, E, A>> : PartsOfHashed<std::unordered_multimap<K, V, H, E, A>> {
  using Types = TypeList<K, V>;
};

template <class T, size_t N>
struct Parts<std::array<T, N>> : PartsAre<T> {};
template <class T, size_t N>
struct Parts<T[N]> : PartsAre<T> {};
template <class A, class B>
struct Parts<std::pair<A, B>> : PartsAre<A, B> {};
template <class... Ts>
struct Parts<std::tuple<Ts...>> : PartsAre<Ts...> {};
template <class T>
struct Parts<std::optional<T>> : PartsAre<T> {};
template <class... Ts>
struct Parts<std::variant<Ts...>> : PartsAre<Ts...> {};

template <class T, class... Seen>
constexpr bool IsCopyable();

template <class... Seen, class... Ts>
constexpr bool AllCopyable(TypeList<Ts...>) {
  return (IsCopyable<Ts, Seen...>() && ...);
}

// std::is_copy_constructible believes std::vector<std::unique_ptr<T>>, and a struct that has one, so look inside. Seen:
// the types being looked at, for types that contain themselves.
template <class T, class... Seen>
constexpr bool IsCopyable() {
  if constexpr ((std::is_same_v<T, Seen> || ...) || std::is_lvalue_reference_v<T>) {
    return true;
  } else if constexpr (Parts<T>::kKnown) {
    return AllCopyable<T, Seen...>(typename Parts<T>::Types());
  } else if constexpr (!std::is_copy_constructible_v<T>) {
    return false;
  } else if constexpr (!std::is_trivially_copyable_v<T> && kFieldsVisible<T>) {
    return AllCopyable<T, Seen...>(FieldTypes<T>());
  } else {
    return true;
  }
}

// A shared_ptr whose pointee can be copied without slicing.
template <class T>
inline constexpr bool kIsDeepPointer = false;
template <class T>
requires(std::is_object_v<T> && !std::is_array_v<T> &&
         requires { sizeof(T); }) inline constexpr bool kIsDeepPointer<std::shared_ptr<T>> =
    !(std::is_polymorphic_v<T> && !std::is_final_v<T>)&&!std::is_volatile_v<T> && IsCopyable<std::remove_cv_t<T>>();

template <class T>
constexpr bool HoldsDeepPointer() {
  if constexpr (kIsDeepPointer<T>) {
    return true;
  } else if constexpr (Parts<T>::kKnown) {
    return []<class... Ts>(TypeList<Ts...>) { return (HoldsDeepPointer<Ts>() || ...); }(typename Parts<T>::Types());
  } else {
    return false;
  }
}

}  // namespace internal

// Whether PrivateCopy takes T: is_copy_constructible, and so are the elements of std containers and the fields of
// aggregates.
template <class T>
inline constexpr bool kPrivateCopyable = internal::IsCopyable<std::remove_cv_t<T>>();

template <class T>
T PrivateCopy(const T& value);

namespace internal {

// Makes a T of private copies of the elements of pairs, tuples and the like.
template <class Part>
decltype(auto) CopyPart(const std::remove_reference_t<Part>& part) {
  if constexpr (std::is_reference_v<Part>) {
    return const_cast<std::remove_reference_t<Part>&>(part);  // A reference refers to what it did.
  } else {
    return PrivateCopy<std::remove_cv_t<Part>>(part);
  }
}

template <class T>
struct CopyParts;

template <class T, size_t N>
struct CopyParts<std::array<T, N>> {
  static std::array<T, N> Copy(const std::array<T, N>& from) {
    return [&from]<size_t... I>(std::index_sequence<I...>) { return std::array<T, N>{CopyPart<T>(from[I])...}; }
    (std::make_index_sequence<N>());
  }
};

template <class A, class B>
struct CopyParts<std::pair<A, B>> {
  static std::pair<A, B> Copy(const std::pair<A, B>& from) {
    return std::pair<A, B>(CopyPart<A>(from.first), CopyPart<B>(from.second));
  }
};

template <class... Ts>
struct CopyParts<std::tuple<Ts...>> {
  static std::tuple<Ts...> Copy(const std::tuple<Ts...>& from) {
    return std::apply([](const auto&... part) { return std::tuple<Ts...>(CopyPart<Ts>(part)...); }, from);
  }
};

template <class T>
struct CopyParts<std::optional<T>> {
  static std::optional<T> Copy(const std::optional<T>& from) {
    if (!from.has_value()) return std::nullopt;
    return std::optional<T>(std::in_place, CopyPart<T>(*from));
  }
};

template <class... Ts>
struct CopyParts<std::variant<Ts...>> {
  using Variant = std::variant<Ts...>;

  template <size_t I = 0>
  static Variant Copy(const Variant& from) {
    if constexpr (I == sizeof...(Ts)) {
      return from;  // Valueless.
    } else {
      if (from.index() != I) return Copy<I + 1>(from);
      return Variant(std::in_place_index<I>, CopyPart<std::variant_alternative_t<I, Variant>>(*std::get_if<I>(&from)));
    }
  }
};

template <class T, class A>
struct CopyParts<std::forward_list<T, A>> {
  static std::forward_list<T, A> Copy(const std::forward_list<T, A>& from) {
    std::forward_list<T, A> to(from.get_allocator());
    auto last = to.before_begin();
    for (const T& element : from) last = to.insert_after(last, CopyPart<T>(element));
    return to;
  }
};

}  // namespace internal

// A copy of `value` as said above. Recurses as deep as the type nests.
template <class T>
T PrivateCopy(const T& value) {
  static_assert(kPrivateCopyable<T>, "the type cannot be copied");
  if constexpr (!internal::HoldsDeepPointer<T>()) {
    return value;
  } else if constexpr (internal::kIsDeepPointer<T>) {
    using Pointee = typename T::element_type;
    if (value == nullptr) return nullptr;
    if constexpr (internal::HoldsDeepPointer<std::remove_cv_t<Pointee>>()) {
      return std::make_shared<Pointee>(PrivateCopy<std::remove_cv_t<Pointee>>(*value));
    } else {
      return std::make_shared<Pointee>(*value);
    }
  } else if constexpr (requires { internal::Parts<T>::EmptyLike(value); }) {
    T copy = internal::Parts<T>::EmptyLike(value);
    for (const auto& element : value) {
      copy.insert(copy.end(), internal::CopyPart<typename T::value_type>(element));
    }
    return copy;
  } else {
    return internal::CopyParts<T>::Copy(value);
  }
}

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_PRIVATE_COPY_H_
