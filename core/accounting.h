#ifndef RUSTYRAY_CORE_ACCOUNTING_H_
#define RUSTYRAY_CORE_ACCOUNTING_H_

// How many bytes an object takes, itself and what it owns, for stores with a strict limit. In this order: a function
// `size_t RustyRayAccountedSize(const T&)` in the namespace of T; std containers, strings, smart pointers, pairs,
// tuples, optionals, variants and arrays with their contents; trivially copyable types; aggregates field by field
// (core/fields.h); else sizeof, and the type is opaque. Counted is what is asked of the allocator, the allocator's own
// overhead is not; nodes of containers are estimates. What several shared_ptrs share counts for each of them. A
// shared_ptr to a type that leads back to itself, which could be a cycle, is followed once and is opaque.
// Thread-compatible, as reading the object is.

#include <array>
#include <concepts>
#include <cstddef>
#include <deque>
#include <forward_list>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
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

template <class T, class... Ts>
inline constexpr bool kOneOf = (std::is_same_v<T, Ts> || ...);

template <class T, class List>
inline constexpr bool kListed = false;
template <class T, class... Ts>
inline constexpr bool kListed<T, TypeList<Ts...>> = kOneOf<T, Ts...>;

template <class T, class List>
struct Prepend;
template <class T, class... Ts>
struct Prepend<T, TypeList<Ts...>> {
  using Type = TypeList<T, Ts...>;
};

template <class T>
concept HasAccountedSize = requires(const T& value) {
  { RustyRayAccountedSize(value) } -> std::convertible_to<size_t>;
};

// Accounting<T> of a std type says what it owns:
//   kFixed: nothing, ever, beyond sizeof.  Owned: TypeList of the types it contains or points at, for kOpaqueSize.
//   template <class Followed> static size_t Extra(const T&): bytes beyond sizeof.
// Followed: TypeList of the pointees of the shared_ptrs that led here.
template <class T>
struct Accounting;

template <class T>
concept HasAccounting = requires {
  Accounting<T>::kFixed;
};

template <class T>
constexpr bool IsFixedSize();

template <class T, class Followed, class Path>
constexpr bool IsOpaque();

template <class T, class Followed>
size_t ExtraSize(const T& value);

template <class... Ts>
constexpr bool AllFixed(TypeList<Ts...>) {
  return (IsFixedSize<std::remove_cv_t<Ts>>() && ...);
}

template <class Followed, class Path, class... Ts>
constexpr bool AnyOpaque(TypeList<Ts...>) {
  return (IsOpaque<std::remove_cv_t<Ts>, Followed, Path>() || ...);
}

template <class T>
constexpr bool IsFixedSize() {
  if constexpr (HasAccountedSize<T>) {
    return false;
  } else if constexpr (HasAccounting<T>) {
    return Accounting<T>::kFixed;
  } else if constexpr (!std::is_trivially_copyable_v<T> && kFieldsVisible<T>) {
    return AllFixed(FieldTypes<T>());
  } else {
    return true;
  }
}

// Path: the types that lead from the last shared_ptr to T; one that comes again tells nothing new.
template <class T, class Followed, class Path>
constexpr bool IsOpaque() {
  if constexpr (HasAccountedSize<T> || kListed<T, Path>) {
    return false;
  } else if constexpr (HasAccounting<T>) {
    return Accounting<T>::template Opaque<Followed, typename Prepend<T, Path>::Type>();
  } else if constexpr (std::is_trivially_copyable_v<T> || std::is_reference_v<T>) {
    return false;
  } else if constexpr (kFieldsVisible<T>) {
    return AnyOpaque<Followed, typename Prepend<T, Path>::Type>(FieldTypes<T>());
  } else {
    return true;
  }
}

template <class Followed, class Range>
size_t ExtraOfElements(const Range& range) {
  size_t extra = 0;
  if constexpr (!IsFixedSize<std::remove_cv_t<std::remove_reference_t<decltype(*range.begin())>>>()) {
    for (const auto& element : range) extra += ExtraSize<std::remove_cvref_t<decltype(element)>, Followed>(element);
  }
  return extra;
}

template <class T, class Followed>
size_t ExtraSize(const T& value) {
  if constexpr (IsFixedSize<T>()) {
    return 0;
  } else if constexpr (HasAccountedSize<T>) {
    const size_t size = RustyRayAccountedSize(value);
    return size > sizeof(T) ? size - sizeof(T) : 0;
  } else if constexpr (HasAccounting<T>) {
    return Accounting<T>::template Extra<Followed>(value);
  } else {
    return VisitFields(value, [](const auto&... field) {
      return (size_t{0} + ... + ExtraSize<std::remove_cvref_t<decltype(field)>, Followed>(field));
    });
  }
}

// For a type that holds Ts within itself.
template <class... Ts>
struct AccountInline {
  static constexpr bool kFixed = AllFixed(TypeList<Ts...>());
  template <class Followed, class Path>
  static constexpr bool Opaque() {
    return AnyOpaque<Followed, Path>(TypeList<Ts...>());
  }
};

// For a type that holds Ts in memory of its own.
template <class... Ts>
struct AccountOwned {
  static constexpr bool kFixed = false;
  template <class Followed, class Path>
  static constexpr bool Opaque() {
    return AnyOpaque<Followed, Path>(TypeList<Ts...>());
  }
};

template <class C, class Traits, class Alloc>
struct Accounting<std::basic_string<C, Traits, Alloc>> : AccountOwned<> {
  template <class Followed>
  static size_t Extra(const std::basic_string<C, Traits, Alloc>& s) {
    const void* data = s.data();
    const void* begin = &s;
    const void* end = &s + 1;
    const bool small = !std::less<>()(data, begin) && std::less<>()(data, end);
    return small ? 0 : (s.capacity() + 1) * sizeof(C);
  }
};

template <class T, class Alloc>
struct Accounting<std::vector<T, Alloc>> : AccountOwned<T> {
  template <class Followed>
  static size_t Extra(const std::vector<T, Alloc>& v) {
    if constexpr (std::is_same_v<T, bool>) {
      return (v.capacity() + 7) / 8;
    } else {
      return v.capacity() * sizeof(T) + ExtraOfElements<Followed>(v);
    }
  }
};

template <class T, class Alloc>
struct Accounting<std::deque<T, Alloc>> : AccountOwned<T> {
  template <class Followed>
  static size_t Extra(const std::deque<T, Alloc>& d) {
    // libstdc++: blocks of 512 bytes or one element, one block more than is full, and a table of at least 8 blocks.
    constexpr size_t kPerBlock = sizeof(T) < 512 ? 512 / sizeof(T) : 1;
    const size_t blocks = d.size() / kPerBlock + 1;
    const size_t table = blocks + 2 < 8 ? 8 : blocks + 2;
    return blocks * kPerBlock * sizeof(T) + table * sizeof(void*) + ExtraOfElements<Followed>(d);
  }
};

template <class T, class Alloc>
struct Accounting<std::list<T, Alloc>> : AccountOwned<T> {
  template <class Followed>
  static size_t Extra(const std::list<T, Alloc>& l) {
    struct Node {
      void* links[2];
      alignas(T) std::byte value[sizeof(T)];
    };
    return l.size() * sizeof(Node) + ExtraOfElements<Followed>(l);
  }
};

template <class T, class Alloc>
struct Accounting<std::forward_list<T, Alloc>> : AccountOwned<T> {
  template <class Followed>
  static size_t Extra(const std::forward_list<T, Alloc>& l) {
    struct Node {
      void* next;
      alignas(T) std::byte value[sizeof(T)];
    };
    size_t extra = 0;
    for (const T& element : l) extra += sizeof(Node) + ExtraSize<T, Followed>(element);
    return extra;
  }
};

template <class Container>
struct AccountTree : AccountOwned<typename Container::value_type> {
  template <class Followed>
  static size_t Extra(const Container& c) {
    struct Node {
      void* links[4];  // Three links and the colour.
      alignas(typename Container::value_type) std::byte value[sizeof(typename Container::value_type)];
    };
    return c.size() * sizeof(Node) + ExtraOfElements<Followed>(c);
  }
};
template <class T, class C, class A>
struct Accounting<std::set<T, C, A>> : AccountTree<std::set<T, C, A>> {};
template <class T, class C, class A>
struct Accounting<std::multiset<T, C, A>> : AccountTree<std::multiset<T, C, A>> {};
template <class K, class V, class C, class A>
struct Accounting<std::map<K, V, C, A>> : AccountTree<std::map<K, V, C, A>> {};
template <class K, class V, class C, class A>
struct Accounting<std::multimap<K, V, C, A>> : AccountTree<std::multimap<K, V, C, A>> {};

template <class Container>
struct AccountHashed : AccountOwned<typename Container::value_type> {
  template <class Followed>
  static size_t Extra(const Container& c) {
    struct Node {
      void* links[2];  // The next node, and the hash, which some sets do not keep.
      alignas(typename Container::value_type) std::byte value[sizeof(typename Container::value_type)];
    };
    // One bucket lies within the container.
    const size_t buckets = c.bucket_count() > 1 ? c.bucket_count() : 0;
    return buckets * sizeof(void*) + c.size() * sizeof(Node) + ExtraOfElements<Followed>(c);
  }
};
template <class T, class H, class E, class A>
struct Accounting<std::unordered_set<T, H, E, A>> : AccountHashed<std::unordered_set<T, H, E, A>> {};
template <class T, class H, class E, class A>
struct Accounting<std::unordered_multiset<T, H, E, A>> : AccountHashed<std::unordered_multiset<T, H, E, A>> {};
template <class K, class V, class H, class E, class A>
struct Accounting<std::unordered_map<K, V, H, E, A>> : AccountHashed<std::unordered_map<K, V, H, E, A>> {};
template <class K, class V, class H, class E, class A>
struct Accounting<std::unordered_multimap<K, V, H, E, A>> : AccountHashed<std::unordered_multimap<K, V, H, E, A>> {};

template <class T, size_t N>
struct Accounting<std::array<T, N>> : AccountInline<T> {
  template <class Followed>
  static size_t Extra(const std::array<T, N>& a) {
    return ExtraOfElements<Followed>(a);
  }
};

template <class T, size_t N>
struct Accounting<T[N]> : AccountInline<T> {
  template <class Followed>
  static size_t Extra(const T (&a)[N]) {
    size_t extra = 0;
    for (const T& element : a) extra += ExtraSize<std::remove_cv_t<T>, Followed>(element);
    return extra;
  }
};

template <class A, class B>
struct Accounting<std::pair<A, B>> : AccountInline<A, B> {
  template <class Followed>
  static size_t Extra(const std::pair<A, B>& p) {
    return ExtraSize<std::remove_cv_t<A>, Followed>(p.first) + ExtraSize<std::remove_cv_t<B>, Followed>(p.second);
  }
};

template <class... Ts>
struct Accounting<std::tuple<Ts...>> : AccountInline<Ts...> {
  template <class Followed>
  static size_t Extra(const std::tuple<Ts...>& t) {
    return std::apply(
        [](const auto&... element) { return (size_t{0} + ... + ExtraSize<std::remove_cv_t<Ts>, Followed>(element)); },
        t);
  }
};

template <class T>
struct Accounting<std::optional<T>> : AccountInline<T> {
  template <class Followed>
  static size_t Extra(const std::optional<T>& o) {
    return o.has_value() ? ExtraSize<std::remove_cv_t<T>, Followed>(*o) : 0;
  }
};

template <class... Ts>
struct Accounting<std::variant<Ts...>> : AccountInline<Ts...> {
  template <class Followed>
  static size_t Extra(const std::variant<Ts...>& v) {
    if (v.valueless_by_exception()) return 0;
    return std::visit(
        [](const auto& value) { return ExtraSize<std::remove_cvref_t<decltype(value)>, Followed>(value); }, v);
  }
};

// A pointer owns an object whose size its type tells.
template <class T>
concept KnownPointee = std::is_object_v<T> && !std::is_array_v<T> && requires {
  sizeof(T);
};
template <class T>
inline constexpr bool kMayBeDerived = std::is_polymorphic_v<T> && !std::is_final_v<T>;

template <class T, class D>
struct Accounting<std::unique_ptr<T, D>> {
  static constexpr bool kFixed = !KnownPointee<T>;
  template <class Followed, class Path>
  static constexpr bool Opaque() {
    if constexpr (!KnownPointee<T>) {
      return true;
    } else {
      return kMayBeDerived<T> || IsOpaque<std::remove_cv_t<T>, Followed, Path>();
    }
  }
  template <class Followed>
  static size_t Extra(const std::unique_ptr<T, D>& p) {
    return p == nullptr ? 0 : sizeof(T) + ExtraSize<std::remove_cv_t<T>, Followed>(*p);
  }
};

template <class T>
struct Accounting<std::shared_ptr<T>> {
  using Pointee = std::remove_cv_t<T>;
  static constexpr size_t kControlBlock = 2 * sizeof(void*);
  static constexpr bool kFixed = !KnownPointee<T>;

  template <class Followed, class Path>
  static constexpr bool Opaque() {
    if constexpr (!KnownPointee<T> || kListed<Pointee, Followed>) {
      return true;
    } else {
      return kMayBeDerived<T> || IsOpaque<Pointee, typename Prepend<Pointee, Followed>::Type, TypeList<>>();
    }
  }
  template <class Followed>
  static size_t Extra(const std::shared_ptr<T>& p) {
    if (p == nullptr) return 0;
    if constexpr (kListed<Pointee, Followed>) {
      return kControlBlock + sizeof(T);
    } else {
      return kControlBlock + sizeof(T) + ExtraSize<Pointee, typename Prepend<Pointee, Followed>::Type>(*p);
    }
  }
};

template <class T>
struct Accounting<std::weak_ptr<T>> : AccountInline<> {};

}  // namespace internal

// Whether AccountedSize is sizeof(T) for every T object, so that no function need be called.
template <class T>
inline constexpr bool kFixedSize = internal::IsFixedSize<std::remove_cv_t<T>>();

// Whether T may own memory that AccountedSize does not see. Give such a type a RustyRayAccountedSize.
template <class T>
inline constexpr bool kOpaqueSize = internal::IsOpaque<std::remove_cv_t<T>, TypeList<>, TypeList<>>();

// Bytes that the object takes, sizeof(T) or more. Constant time for fixed-size types and containers of them (save
// forward_list), else it visits the elements.
template <class T>
size_t AccountedSize(const T& value) {
  return sizeof(T) + internal::ExtraSize<T, TypeList<>>(value);
}

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_ACCOUNTING_H_
