// Arguments whose types meet their parameters at run time: what calls by name are made of.
//
// A value must have the parameter's type; arithmetic values convert when nothing is lost, and strings from literals. A
// ref is checked when it is ready. Errors name the argument's position and both types.
#ifndef RUSTYRAY_TASK_DYNAMIC_ARGUMENT_H_
#define RUSTYRAY_TASK_DYNAMIC_ARGUMENT_H_

#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/object_ref.h"
#include "core/type_info.h"
#include "core/type_name.h"
#include "task/argument.h"
#include "task/typed_call.h"

namespace rustyray::task {

// A value of any type, or a ref.
class DynamicArgument {
 public:
  explicit DynamicArgument(core::ObjectRef ref) : ref_(std::move(ref)) {}
  template <class Policy, class T>
  static DynamicArgument Of(T value) {
    DynamicArgument made{core::ObjectRef()};
    made.type_ = &core::TypeInfoOf<T, Policy>();
    made.value_ = std::make_shared<T>(std::move(value));
    return made;
  }
  bool is_ref() const { return type_ == nullptr; }
  const core::TypeInfo* type() const { return type_; }
  void* value() const { return value_.get(); }
  core::ObjectRef& ref() { return ref_; }

 private:
  core::ObjectRef ref_;
  const core::TypeInfo* type_ = nullptr;
  std::shared_ptr<void> value_;
};

namespace internal {

absl::Status DynamicTypeError(int position, std::string_view expected_raw, std::string_view actual_raw, bool narrows);
absl::Status DynamicRefError(int position, std::string_view expected_raw);

// A value of T from `argument`, or an error.
template <class T>
absl::StatusOr<T> ConvertDynamic(DynamicArgument& argument, int position) {
  const core::TypeInfo& type = *argument.type();
  if (SameType(type, core::RawTypeName<T>())) return std::move(*static_cast<T*>(argument.value()));
  if constexpr (std::is_arithmetic_v<T>) {
    long double floating = 0;
    long long integer = 0;
    bool is_floating = false;
    if (ReadArithmetic(type, argument.value(), &floating, &integer, &is_floating)) {
      const bool fits = std::is_floating_point_v<T> || (!is_floating && floating >= std::numeric_limits<T>::lowest() &&
                                                        floating <= std::numeric_limits<T>::max());
      if (!fits) return DynamicTypeError(position, core::RawTypeName<T>(), type.name, true);
      return std::is_floating_point_v<T> ? static_cast<T>(floating) : static_cast<T>(integer);
    }
  }
  return DynamicTypeError(position, core::RawTypeName<T>(), type.name, false);
}

// A slot that takes either: the parameter's type is known, the argument's is not.
template <class P>
class EitherSlot {
 public:
  using T = std::remove_cvref_t<P>;
  explicit EitherSlot(T value) : value_(std::in_place, std::move(value)) {}
  explicit EitherSlot(core::ObjectRef ref) : ref_(std::in_place, std::move(ref)) {}
  EitherSlot(EitherSlot&& other) noexcept = default;

  core::ErrorPtr Prepare(std::string_view function, int position) {
    return ref_.has_value() ? ref_->Prepare(function, position) : nullptr;
  }
  P Give() { return ref_.has_value() ? ref_->Give() : value_->Give(); }
  const core::ObjectRef* ref() const { return ref_.has_value() ? ref_->ref() : nullptr; }
  void TellSubmitted(core::HandleObserver& observer) {
    if (ref_.has_value()) ref_->TellSubmitted(observer);
  }
  template <class Policy>
  absl::Status Encode(core::EncodeSink& sink) const {
    return ref_.has_value() ? ref_->template Encode<Policy>(sink) : value_->template Encode<Policy>(sink);
  }

 private:
  std::optional<ValueSlot<P>> value_;
  std::optional<RefSlot<P, void>> ref_;
};

template <class Policy, class P>
struct DynamicSlot {
  using T = std::remove_cvref_t<P>;
  static constexpr bool kTakesRef = Policy::template kIsRef<T>;
  using Slot = std::conditional_t<kTakesRef, ValueSlot<P>, EitherSlot<P>>;

  static absl::StatusOr<Slot> Make(DynamicArgument& argument, int position) {
    if constexpr (kTakesRef) {
      if (!argument.is_ref()) return DynamicTypeError(position, core::RawTypeName<T>(), argument.type()->name, false);
      return Slot(Policy::template Typed<T>(std::move(argument.ref())));
    } else {
      if (argument.is_ref()) {
        if (!argument.ref()) return DynamicRefError(position, core::RawTypeName<T>());
        return Slot(std::move(argument.ref()));
      }
      absl::StatusOr<T> value = ConvertDynamic<T>(argument, position);
      if (!value.ok()) return value.status();
      return Slot(*std::move(value));
    }
  }
};

template <class Policy, class Fn, class Parameters>
struct DynamicCallMaker;

template <class Policy, class Fn, class... P>
struct DynamicCallMaker<Policy, Fn, std::tuple<P...>> {
  static absl::StatusOr<CallPtr> Make(core::RecordOwner& owner, const core::FunctionInfo& info, Fn function,
                                      std::span<DynamicArgument> arguments) {
    return Make(owner, info, function, arguments, std::index_sequence_for<P...>());
  }

 private:
  template <std::size_t... I>
  static absl::StatusOr<CallPtr> Make(core::RecordOwner& owner, const core::FunctionInfo& info, Fn function,
                                      [[maybe_unused]] std::span<DynamicArgument> arguments,
                                      std::index_sequence<I...>) {
    bool has_refs = false;
    ((has_refs |= arguments[I].is_ref() && !DynamicSlot<Policy, P>::kTakesRef), ...);
    [[maybe_unused]] absl::Status bad;
    // Braces: first to last, so that the error names the first argument that does not fit.
    std::tuple<absl::StatusOr<typename DynamicSlot<Policy, P>::Slot>...> slots{
        DynamicSlot<Policy, P>::Make(arguments[I], static_cast<int>(I) + 1)...};
    ((bad.ok() && !std::get<I>(slots).ok() ? void(bad = std::get<I>(slots).status()) : void()), ...);
    if (!bad.ok()) return bad;
    CallPtr call(new TypedCall<Policy, Fn, typename DynamicSlot<Policy, P>::Slot...>(
        info, function, has_refs, *std::move(std::get<I>(slots))...));
    call->set_charge(core::CurrentAccount(owner));
    call->Adopt(owner);
    return call;
  }
};

}  // namespace internal

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_DYNAMIC_ARGUMENT_H_
