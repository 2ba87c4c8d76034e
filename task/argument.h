// Arguments of calls: one slot per parameter, inside the call.
//
// An argument is a value, moved or converted into the slot, or a ref, which the call waits for. A ref given for a
// parameter that is itself a ref is passed as it is and not waited for.
//   const T&      borrows the stored object
//   T, T&, T&&    get the object itself when nobody else can see it, else a private copy
// A ref whose type converts to the parameter's is converted; any other type is an error that names both.
// Life: Prepare, then Give, both by the thread that claimed the call, once the refs are ready; destroyed before the
// result is published. Give's references live until then. A run that another may follow is given spares of the slots.
#ifndef RUSTYRAY_TASK_ARGUMENT_H_
#define RUSTYRAY_TASK_ARGUMENT_H_

#include <concepts>
#include <memory>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "core/codec.h"
#include "core/error.h"
#include "core/object_ref.h"
#include "core/private_copy.h"
#include "core/record.h"
#include "core/type_info.h"
#include "core/type_name.h"

namespace rustyray::task {

// What counts as a ref and which codecs there are is a policy, so that typed refs can live above this layer. This one:
// core's codecs, and core::ObjectRef, which says nothing of its object's type.
struct CorePolicy {
  template <class T>
  static constexpr const core::Codec* CodecFor() {
    return core::CoreCodecs::CodecFor<T>();
  }
  // Whether A is a ref; the type it refers to (void: known at run time only).
  template <class A>
  static constexpr bool kIsRef = std::is_same_v<A, core::ObjectRef>;
  template <class A>
  using Referent = void;
  static core::ObjectRef Untyped(core::ObjectRef ref) { return ref; }
  // A ref of type Ref (kIsRef) to what `ref` refers to.
  template <class Ref>
  static Ref Typed(core::ObjectRef ref) {
    return ref;
  }
};

namespace internal {

// Errors of arguments: in one place, out of the templates. `position` counts from 1.
core::ErrorPtr ArgumentTypeError(std::string_view function, int position, std::string_view expected_raw,
                                 std::string_view actual_raw);
core::ErrorPtr ArgumentSharedError(std::string_view function, int position, std::string_view raw_type);
core::ErrorPtr ArgumentNotKeptError(std::string_view function, int position, std::string_view raw_type);
core::ErrorPtr ArgumentStatusError(std::string_view function, int position, const absl::Status& status);

absl::Status NoCodec(const core::TypeInfo& type);

// Reads an arithmetic value whose type is known at run time only. `floating` gets it exactly (long double holds all
// integers of 64 bits), `integer` the bits of an integer. False: `type` is none of the arithmetic types.
bool ReadArithmetic(const core::TypeInfo& type, const void* value, long double* floating, long long* integer,
                    bool* is_floating);

inline bool SameType(const core::TypeInfo& type, std::string_view raw_name) {
  return type.name.data() == raw_name.data() || (type.name == raw_name && !core::IsLocalTypeName(raw_name));
}

}  // namespace internal

// What a run gets of a value that it cannot change.
template <class T>
class LentValue {
 public:
  explicit LentValue(const T& value) : value_(value) {}
  core::ErrorPtr Prepare(std::string_view, int) { return nullptr; }
  const T& Give() { return value_; }

 private:
  const T& value_;
};

// A parameter of type P whose argument is a value.
template <class P>
class ValueSlot {
 public:
  using T = std::remove_cvref_t<P>;
  template <class A>
  explicit ValueSlot(A&& argument) : value_(std::forward<A>(argument)) {}

  // For a run that another may follow: it gets Spare() instead. Whether there is one for this type.
  static constexpr bool kHasSpare = std::is_same_v<P, const T&> || core::kPrivateCopyable<T>;
  auto Spare() const {
    if constexpr (std::is_same_v<P, const T&>) {
      return LentValue<T>(value_);
    } else {
      return ValueSlot(core::PrivateCopy(value_));
    }
  }

  core::ErrorPtr Prepare(std::string_view, int) { return nullptr; }
  P Give() {
    if constexpr (std::is_lvalue_reference_v<P>) {
      return value_;
    } else {
      return std::move(value_);
    }
  }
  const core::ObjectRef* ref() const { return nullptr; }
  void TellSubmitted(core::HandleObserver&) {}
  template <class Policy>
  absl::Status Encode(core::EncodeSink& sink) const {
    const core::TypeInfo& type = core::TypeInfoOf<T, Policy>();
    if (type.codec == nullptr) return internal::NoCodec(type);
    return type.codec->encode(&value_, sink);
  }

 private:
  T value_;
};

// A parameter of type P whose argument is a ref to a U (void: known at run time only).
template <class P, class U>
class RefSlot {
 public:
  using T = std::remove_cvref_t<P>;
  static constexpr bool kBorrows = std::is_same_v<P, const T&>;
  static constexpr bool kConverts = !std::is_void_v<U> && !std::is_same_v<U, T>;

  explicit RefSlot(core::ObjectRef ref) : ref_(std::move(ref)) {}
  RefSlot(RefSlot&& other) noexcept : ref_(std::move(other.ref_)) {}
  ~RefSlot() {
    // `&& ref_` says to the compiler what is so anyway: it warns of a null record otherwise.
    if (borrowed_ != nullptr && !own_.has_value() && ref_) EndBorrow();
    GiveUp();
  }

  static constexpr bool kHasSpare = kBorrows || kConverts || core::kPrivateCopyable<T>;
  RefSlot Spare() const { return RefSlot(ref_); }  // with two handles nobody can take the object

  core::ErrorPtr Prepare(std::string_view function, int position) {
    // Ready by now: what may be wrong is that it is empty, outlived its store, or failed.
    if (ref_ && ref_.record()->has_error()) return core::Propagate(ref_.record()->error(), function);
    if (absl::Status status = ref_.Wait(); !status.ok()) {
      return internal::ArgumentStatusError(function, position, status);
    }
    core::Record& record = *ref_.record();
    if (!record.PinIfPresentCache()) {
      return internal::ArgumentStatusError(function, position,
                                           core::MakeStatus(absl::StatusCode::kNotFound, core::ErrorKind::kEvicted,
                                                            "the object was evicted before the call could read it"));
    }
    core::ErrorPtr error = Read(record, function, position);
    // A borrow keeps the pin until the arguments go.
    if (borrowed_ == nullptr || own_.has_value()) record.UnpinCache();
    if (own_.has_value()) GiveUp();
    return error;
  }

  P Give() {
    if constexpr (kBorrows) {
      return *borrowed_;
    } else if constexpr (std::is_lvalue_reference_v<P>) {
      return *own_;
    } else {
      return std::move(*own_);
    }
  }

  const core::ObjectRef* ref() const { return ref_ ? &ref_ : nullptr; }
  void TellSubmitted(core::HandleObserver& observer) {
    if (!ref_) return;
    observer.OnSubmitted(*ref_.record());
    told_ = true;
  }
  template <class Policy>
  absl::Status Encode(core::EncodeSink& sink) const {
    sink.refs->push_back(ref_);
    return absl::OkStatus();
  }

 private:
  core::ErrorPtr Read(core::Record& record, std::string_view function, int position) {
    const core::TypeInfo& type = *record.value().type;
    if constexpr (kConverts) {
      if (!internal::SameType(type, core::RawTypeName<U>())) return WrongType<U>(type, function, position);
      return Viewed(record, function, position, [&](const void* object) -> core::ErrorPtr {
        own_.emplace(static_cast<T>(*static_cast<const U*>(object)));
        borrowed_ = &*own_;
        return nullptr;
      });
    } else {
      if (!internal::SameType(type, core::RawTypeName<T>())) return Convert(record, function, position);
      if constexpr (kBorrows) {
        return Viewed(record, function, position, [&](const void* object) -> core::ErrorPtr {
          borrowed_ = static_cast<const T*>(object);
          if (record.owner() != nullptr) record.owner()->OnBorrow(record, true);
          return nullptr;
        });
      } else {
        return Own(record, function, position);
      }
    }
  }

  // A type known only now: the arithmetic types convert into each other, as they do for typed refs.
  core::ErrorPtr Convert(core::Record& record, std::string_view function, int position) {
    const core::TypeInfo& type = *record.value().type;
    if constexpr (std::is_arithmetic_v<T>) {
      long double floating = 0;
      long long integer = 0;
      bool is_floating = false;
      bool known = false;
      core::ErrorPtr error = Viewed(record, function, position, [&](const void* object) -> core::ErrorPtr {
        known = internal::ReadArithmetic(type, object, &floating, &integer, &is_floating);
        return nullptr;
      });
      if (error != nullptr) return error;
      if (known) {
        own_.emplace(is_floating || std::is_floating_point_v<T> ? static_cast<T>(floating) : static_cast<T>(integer));
        borrowed_ = &*own_;
        return nullptr;
      }
    }
    return WrongType<T>(type, function, position);
  }

  // Calls `use` with the object; keeps the decode alive while the slot lives, if it is one.
  template <class Use>
  core::ErrorPtr Viewed(core::Record& record, std::string_view function, int position, Use use) {
    if (record.value().native) return use(record.value().data);
    absl::StatusOr<std::shared_ptr<const void>> view = record.View();
    if (!view.ok()) return internal::ArgumentStatusError(function, position, view.status());
    view_ = *std::move(view);
    return use(view_.get());
  }

  core::ErrorPtr Own(core::Record& record, std::string_view function, int position) {
    if (record.value().native && record.TakeIfOnlyHandle()) {
      own_.emplace(std::move(*static_cast<T*>(const_cast<void*>(record.value().data))));
      return nullptr;
    }
    if constexpr (core::kPrivateCopyable<T>) {
      return Viewed(record, function, position, [&](const void* object) -> core::ErrorPtr {
        own_.emplace(core::PrivateCopy(*static_cast<const T*>(object)));
        view_.reset();
        return nullptr;
      });
    } else {
      return internal::ArgumentSharedError(function, position, core::RawTypeName<T>());
    }
  }

  template <class Expected>
  core::ErrorPtr WrongType(const core::TypeInfo& type, std::string_view function, int position) {
    return internal::ArgumentTypeError(function, position, core::RawTypeName<Expected>(), type.name);
  }

  void GiveUp() {
    if (told_ && ref_) {
      core::HandleObserver* const observer = ref_.record()->owner()->observer();
      if (observer != nullptr) observer->OnArgumentReleased(*ref_.record());
    }
    ref_ = core::ObjectRef();
  }

  void EndBorrow() {
    core::Record& record = *ref_.record();
    if (record.owner() != nullptr) record.owner()->OnBorrow(record, false);
    view_.reset();
    record.UnpinCache();
  }

  core::ObjectRef ref_;
  bool told_ = false;  // the observer counts ref_ as held by a call in flight
  const T* borrowed_ = nullptr;
  std::optional<T> own_;
  std::shared_ptr<const void> view_;
};

namespace internal {

template <class Policy, class P, class A>
struct SlotFor {
  using T = std::remove_cvref_t<P>;
  using S = std::remove_cvref_t<A>;
  static constexpr bool kWaits = Policy::template kIsRef<S> && !Policy::template kIsRef<T>;

  static auto Choose() {
    if constexpr (kWaits) {
      using U = typename Policy::template Referent<S>;
      static_assert(
          std::is_void_v<U> || std::is_same_v<U, T> || std::is_convertible_v<U, T>,
          "the object ref given for this parameter refers to a type that does not convert to the parameter's");
      return std::type_identity<RefSlot<P, U>>();
    } else {
      static_assert(std::is_convertible_v<A, T> || std::is_constructible_v<T, A>,
                    "the argument given for this parameter does not convert to the parameter's type");
      return std::type_identity<ValueSlot<P>>();
    }
  }
  using Slot = typename decltype(Choose())::type;

  static Slot Make(A&& argument) {
    if constexpr (kWaits) {
      return Slot(Policy::Untyped(std::forward<A>(argument)));
    } else {
      return Slot(std::forward<A>(argument));
    }
  }
};

}  // namespace internal

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_ARGUMENT_H_
