#ifndef RUSTYRAY_CORE_FIELDS_H_
#define RUSTYRAY_CORE_FIELDS_H_

// The fields of aggregates, found at compile time: how many there are, their types, and a visit of their values. Fields
// are visible in aggregates without base classes, with up to 16 fields (an array is one field, of at most 40 elements
// with all others), none of them a reference, a union, or of an unnamed type. Everything else is left alone, never an
// error. How: an aggregate takes as many initialisers as it has fields, and arrays show by taking braces of their own.
// The idea is that of boost::pfr and reflect-cpp.

#include <cstddef>
#include <string_view>
#include <type_traits>
#include <utility>

#include "core/type_name.h"

namespace rustyray::core {

template <class... Ts>
struct TypeList {};

namespace internal {

// Initialises a field of any type.
struct AnyField {
  template <class U>
  operator U() const noexcept;  // NOLINT: it must be implicit.
};

// Initialises only fields that structured bindings may not be able to name.
constexpr bool IsUnnamed(std::string_view raw) {
  for (std::string_view mark : {"<unnamed", "(unnamed ", "(anonymous struct", "(anonymous class", "(anonymous union"}) {
    if (raw.find(mark) != std::string_view::npos) return true;
  }
  return false;
}
template <class U>
inline constexpr bool kUnnamable = std::is_union_v<U> || IsUnnamed(RawTypeName<U>());
struct UnnamableField {
  template <class U>
  requires kUnnamable<U>
  operator U() const noexcept;  // NOLINT: it must be implicit.
};

template <class T>
struct BaseOf {
  template <class U>
  requires(std::is_base_of_v<U, T> && !std::is_same_v<U, T>) operator U()
      const noexcept;  // NOLINT: it must be implicit.
};

template <size_t>
using AnyFieldAt = AnyField;

template <class T, size_t... I>
constexpr bool Takes(std::index_sequence<I...>) {
  return requires { T{AnyFieldAt<I>()...}; };
}

template <class T, size_t... I>
constexpr bool TakesOneMore(std::index_sequence<I...>) {
  return requires { T{AnyFieldAt<I>()..., {}}; };
}

template <class T, size_t... I>
constexpr bool TakesUnnamable(std::index_sequence<I...>) {
  return requires { T{AnyFieldAt<I>()..., UnnamableField()}; };
}

template <class T, size_t... Before, size_t... In, size_t... After>
constexpr bool TakesBraces(std::index_sequence<Before...>, std::index_sequence<In...>, std::index_sequence<After...>) {
  return requires { T{AnyFieldAt<Before>()..., {AnyFieldAt<In>()...}, AnyFieldAt<After>()...}; };
}

inline constexpr size_t kMaxFields = 16;
inline constexpr size_t kMaxInitializers = 40;

// The same for a field that does not take {}. It takes braces with Size initialisers, and no more than Total - At -
// Size fit behind them. Containers must not come here: clang instantiates their constructors from initializer_lists.
template <class T, size_t At, size_t Total, size_t Size = Total - At>
constexpr size_t InitializersOfBracedField() {
  if constexpr (Size <= 1) {
    return 1;
  } else {
    using Before = std::make_index_sequence<At>;
    using In = std::make_index_sequence<Size>;
    if constexpr (TakesBraces<T>(Before(), In(), std::make_index_sequence<Total - At - Size>()) &&
                  !TakesBraces<T>(Before(), In(), std::make_index_sequence<Total - At - Size + 1>())) {
      return Size;
    } else {
      return InitializersOfBracedField<T, At, Total, Size - 1>();
    }
  }
}

// The most initialisers that T takes, elements of arrays counted one by one.
template <class T, size_t N = kMaxInitializers + 1>
constexpr size_t CountInitializers() {
  if constexpr (N == 0 || Takes<T>(std::make_index_sequence<N>())) {
    return N;
  } else {
    return CountInitializers<T, N - 1>();
  }
}

// How many of the initialisers from the At-th on belong to one field: more than one for an array. With {} for the
// field, Total - At - that many initialisers fit behind it.
template <class T, size_t At, size_t Total, size_t Size = 1>
constexpr size_t InitializersOfField() {
  using Before = std::make_index_sequence<At>;
  if constexpr (At + Size > Total) {
    return InitializersOfBracedField<T, At, Total>();
  } else if constexpr (TakesBraces<T>(Before(), std::index_sequence<>(),
                                      std::make_index_sequence<Total - At - Size>())) {
    return Size;
  } else {
    return InitializersOfField<T, At, Total, Size + 1>();
  }
}

// kMaxFields + 1: there are too many, or one that cannot be bound.
template <class T, size_t Total, size_t At = 0, size_t Fields = 0>
constexpr size_t CountFieldsFrom() {
  if constexpr (At == Total) {
    return Fields;
  } else if constexpr (Fields == kMaxFields || TakesUnnamable<T>(std::make_index_sequence<At>())) {
    return kMaxFields + 1;
  } else {
    return CountFieldsFrom<T, Total, At + InitializersOfField<T, At, Total>(), Fields + 1>();
  }
}

// kMaxFields + 1 when the fields are not visible.
template <class T>
constexpr size_t CountFields() {
  if constexpr (!std::is_class_v<T> || !std::is_aggregate_v<T>) {
    return kMaxFields + 1;
  } else if constexpr (std::is_empty_v<T>) {
    return 0;
  } else if constexpr (requires { T{BaseOf<T>()}; }) {
    return kMaxFields + 1;
  } else {
    constexpr size_t kTotal = CountInitializers<T>();
    // No initialisers at all: some field takes none of ours, a reference for example.
    if constexpr (kTotal == 0 || kTotal > kMaxInitializers) {
      return kMaxFields + 1;
    } else if constexpr (TakesOneMore<T>(std::make_index_sequence<kTotal>())) {
      return kMaxFields + 1;  // The search stopped at a field that does not take ours but does take {}.
    } else {
      return CountFieldsFrom<T, kTotal>();
    }
  }
}

struct ListTypes {
  template <class... Fields>
  constexpr TypeList<std::remove_cv_t<Fields>...> operator()(const Fields&...) const {
    return {};
  }
};

}  // namespace internal

// Whether the fields of T are visible, see above.
template <class T>
inline constexpr bool kFieldsVisible = internal::CountFields<std::remove_cv_t<T>>() <= internal::kMaxFields;

// Calls visit(field, ...) once, with all fields of `value` as const, and returns what it returns.
template <class T, class Visit>
requires kFieldsVisible<T>
constexpr decltype(auto) VisitFields(const T& value, Visit&& visit) {
  constexpr size_t kCount = internal::CountFields<T>();
  if constexpr (kCount == 0) {
    return visit();
  } else if constexpr (kCount == 1) {
    const auto& [a] = value;
    return visit(a);
  } else if constexpr (kCount == 2) {
    const auto& [a, b] = value;
    return visit(a, b);
  } else if constexpr (kCount == 3) {
    const auto& [a, b, c] = value;
    return visit(a, b, c);
  } else if constexpr (kCount == 4) {
    const auto& [a, b, c, d] = value;
    return visit(a, b, c, d);
  } else if constexpr (kCount == 5) {
    const auto& [a, b, c, d, e] = value;
    return visit(a, b, c, d, e);
  } else if constexpr (kCount == 6) {
    const auto& [a, b, c, d, e, f] = value;
    return visit(a, b, c, d, e, f);
  } else if constexpr (kCount == 7) {
    const auto& [a, b, c, d, e, f, g] = value;
    return visit(a, b, c, d, e, f, g);
  } else if constexpr (kCount == 8) {
    const auto& [a, b, c, d, e, f, g, h] = value;
    return visit(a, b, c, d, e, f, g, h);
  } else if constexpr (kCount == 9) {
    const auto& [a, b, c, d, e, f, g, h, i] = value;
    return visit(a, b, c, d, e, f, g, h, i);
  } else if constexpr (kCount == 10) {
    const auto& [a, b, c, d, e, f, g, h, i, j] = value;
    return visit(a, b, c, d, e, f, g, h, i, j);
  } else if constexpr (kCount == 11) {
    const auto& [a, b, c, d, e, f, g, h, i, j, k] = value;
    return visit(a, b, c, d, e, f, g, h, i, j, k);
  } else if constexpr (kCount == 12) {
    const auto& [a, b, c, d, e, f, g, h, i, j, k, l] = value;
    return visit(a, b, c, d, e, f, g, h, i, j, k, l);
  } else if constexpr (kCount == 13) {
    const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = value;
    return visit(a, b, c, d, e, f, g, h, i, j, k, l, m);
  } else if constexpr (kCount == 14) {
    const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = value;
    return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n);
  } else if constexpr (kCount == 15) {
    const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = value;
    return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
  } else if constexpr (kCount == 16) {
    const auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = value;
    return visit(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p);
  }
}

// TypeList of the types of T's fields, without const.
template <class T>
requires kFieldsVisible<T>
using FieldTypes = decltype(VisitFields(std::declval<const T&>(), internal::ListTypes()));

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_FIELDS_H_
