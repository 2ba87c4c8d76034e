// TypedCall: a call of a C++ function, its arguments and its result, in one allocation.
//
// MakeCall checks the arguments at compile time (how many, and that each converts) and makes one; a TaskSystem's
// Submit takes it. Anything callable with a fixed signature will do: functions, and lambdas without `auto`.
// Threads: made by the submitting thread; runs where it is claimed.
#ifndef RUSTYRAY_TASK_TYPED_CALL_H_
#define RUSTYRAY_TASK_TYPED_CALL_H_

#include <cstddef>
#include <memory>
#include <new>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "core/call.h"
#include "core/error.h"
#include "core/object_ref.h"
#include "core/type_info.h"
#include "core/type_name.h"
#include "task/argument.h"
#include "task/argument_resolver.h"
#include "task/result.h"

namespace rustyray::task {

// A call that is not submitted yet: its ref and its queue's hold, which a TaskSystem takes over.
class CallPtr {
 public:
  explicit CallPtr(core::Call* call) : call_(call) {}
  CallPtr(CallPtr&& other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
  CallPtr& operator=(CallPtr&&) = delete;
  ~CallPtr() {
    if (call_ == nullptr) return;
    call_->DropHold();
    call_->DropHandle();
  }
  core::Call* operator->() const { return call_; }
  core::Call& operator*() const { return *call_; }
  core::Call* release() { return std::exchange(call_, nullptr); }

 private:
  core::Call* call_;
};

// The signature of a function, a function pointer or a function object.
template <class F>
struct SignatureOf : SignatureOf<decltype(&std::remove_cvref_t<F>::operator())> {};
template <class R, class... P>
struct SignatureOf<R(P...)> {
  using Result = R;
  using Parameters = std::tuple<P...>;
  static constexpr std::size_t kArity = sizeof...(P);
};
template <class R, class... P>
struct SignatureOf<R (*)(P...)> : SignatureOf<R(P...)> {};
template <class R, class... P>
struct SignatureOf<R (*)(P...) noexcept> : SignatureOf<R(P...)> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...)> : SignatureOf<R(P...)> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) const> : SignatureOf<R(P...)> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) noexcept> : SignatureOf<R(P...)> {};
template <class C, class R, class... P>
struct SignatureOf<R (C::*)(P...) const noexcept> : SignatureOf<R(P...)> {};

// Whether calls of Fn may run again, after a run that was void: functions that say so.
template <class Fn>
concept MayRunAgain = requires {
  requires Fn::kMayRunAgain;
};

template <class Policy, class Fn, class... Slots>
class TypedCall final : public core::Call {
 public:
  using R = typename SignatureOf<Fn>::Result;
  using Result = StoredResult<R>;

  template <class F, class... Made>
  TypedCall(const core::FunctionInfo& info, F&& function, bool has_refs, Made&&... slots)
      : Call(info, has_refs, &ArgumentResolver::Resume),
        function_(std::forward<F>(function)),
        arguments_(std::forward<Made>(slots)...) {}

  ~TypedCall() override {
    if (!arguments_gone_) arguments_.~Arguments();
  }

  void VisitRefs(absl::FunctionRef<void(const core::ObjectRef&)> visit) const override {
    if (arguments_gone_) return;
    std::apply([&](const Slots&... slot) { ((slot.ref() != nullptr ? visit(*slot.ref()) : void()), ...); }, arguments_);
  }

  void TellSubmitted(core::HandleObserver& observer) override {
    std::apply([&](Slots&... slot) { (slot.TellSubmitted(observer), ...); }, arguments_);
  }

  absl::Status Encode(core::EncodeSink& sink) const override {
    absl::Status status;
    int position = 0;
    const auto one = [&](const auto& slot) {
      ++position;
      if (status.ok()) {
        status = slot.template Encode<Policy>(sink);
        if (!status.ok()) status = internal::ArgumentStatusError(name(), position, status)->ToStatus();
      }
    };
    std::apply([&](const Slots&... slot) { (one(slot), ...); }, arguments_);
    return status;
  }

  core::ErrorPtr WhyNotAgain() const override {
    if constexpr (!MayRunAgain<Fn>) {
      return Call::WhyNotAgain();
    } else {
      core::ErrorPtr error;
      int position = 0;
      const auto one = [&]<class Slot>(std::type_identity<Slot>) {
        ++position;
        if (Slot::kHasSpare || error != nullptr) return;
        error = internal::ArgumentNotKeptError(name(), position, core::RawTypeName<typename Slot::T>());
      };
      (one(std::type_identity<Slots>()), ...);
      return error;
    }
  }

 private:
  using Arguments = std::tuple<Slots...>;

  void Execute() override {
    if constexpr (MayRunAgain<Fn>) {
      if (may_run_again()) return ExecuteOnSpares();
    }
    core::ErrorPtr error = Run(arguments_);
    DropArguments();
    if (error != nullptr) {
      SealError(std::move(error));
    } else {
      SealValue(ResultInRoom(), sizeof(Arguments));  // if it was cancelled meanwhile, the late result is dropped
    }
  }

  void ExecuteOnSpares() requires MayRunAgain<Fn> {
    core::ErrorPtr error;
    try {
      error = std::apply(
          [&](const Slots&... slot) -> core::ErrorPtr {
            if constexpr ((Slots::kHasSpare && ...)) {
              std::tuple<decltype(slot.Spare())...> spares{slot.Spare()...};
              return Run(spares);
            } else {
              return WhyNotAgain();
            }
          },
          arguments_);
    } catch (...) {
      error = core::ErrorFromCurrentException(name());  // an argument's copy constructor
    }
    const RunEnd end = EndRun();
    if (end != RunEnd::kVoid) DropArguments();
    if (end == RunEnd::kSeals && error != nullptr) {
      PublishError(std::move(error));
    } else if (end == RunEnd::kSeals) {
      PublishValue(ResultInRoom(), sizeof(Arguments));
    } else if (error == nullptr) {
      std::launder(reinterpret_cast<Result*>(room_))->~Result();
    }
  }

  core::Value ResultInRoom() { return {.type = &core::TypeInfoOf<Result, Policy>(), .data = room_}; }

  void DropArguments() override {
    arguments_.~Arguments();
    arguments_gone_ = true;
  }

  // With the result in room_, unless it gives an error.
  template <class Tuple>
  core::ErrorPtr Run(Tuple& slots) {
    core::ErrorPtr error = Prepare(slots);
    if (error != nullptr) return error;
    try {
      return Invoke(slots);
    } catch (...) {
      return core::ErrorFromCurrentException(name());
    }
  }

  template <class Tuple>
  core::ErrorPtr Prepare(Tuple& slots) {
    core::ErrorPtr error;
    int position = 0;
    std::apply(
        [&](auto&... slot) {
          ((++position, error == nullptr ? void(error = slot.Prepare(name(), position)) : void()), ...);
        },
        slots);
    return error;
  }

  template <class Tuple>
  core::ErrorPtr Invoke(Tuple& slots) {
    return std::apply(
        [&](auto&... slot) -> core::ErrorPtr {
          if constexpr (std::is_void_v<R>) {
            function_(slot.Give()...);
            ::new (room_) Result{};
          } else if constexpr (std::is_same_v<R, absl::Status>) {
            if (absl::Status status = function_(slot.Give()...); !status.ok()) {
              return core::ErrorFromStatus(status, name());
            }
            ::new (room_) Result{};
          } else if constexpr (!std::is_same_v<Result, std::remove_cvref_t<R>>) {
            R result = function_(slot.Give()...);
            if (!result.ok()) return core::ErrorFromStatus(result.status(), name());
            ::new (room_) Result(*std::move(result));
          } else {
            ::new (room_) Result(function_(slot.Give()...));
          }
          return nullptr;
        },
        slots);
  }

  bool arguments_gone_ = false;
  [[no_unique_address]] Fn function_;
  union {
    Arguments arguments_;  // until they are dropped
  };
  alignas(Result) std::byte room_[sizeof(Result)];
};

namespace internal {

template <class Policy, class Fn, class Parameters>
struct CallMaker;

template <class Policy, class Fn, class... P>
struct CallMaker<Policy, Fn, std::tuple<P...>> {
  template <class... A>
  static CallPtr Make(const core::FunctionInfo& info, Fn function, A&&... arguments) {
    constexpr bool kHasRefs = (SlotFor<Policy, P, A>::kWaits || ...);
    using Made = TypedCall<Policy, Fn, typename SlotFor<Policy, P, A>::Slot...>;
    return CallPtr(
        new Made(info, std::move(function), kHasRefs, SlotFor<Policy, P, A>::Make(std::forward<A>(arguments))...));
  }
};

}  // namespace internal

// A call of `function` with `arguments`; `info` outlives it. Results are charged to, and refs counted by, `owner`.
template <class Policy = CorePolicy, class Fn, class... A>
CallPtr MakeCall(core::RecordOwner& owner, const core::FunctionInfo& info, Fn function, A&&... arguments) {
  using Signature = SignatureOf<Fn>;
  static_assert(Signature::kArity == sizeof...(A), "the function takes another number of arguments");
  CallPtr call = internal::CallMaker<Policy, Fn, typename Signature::Parameters>::Make(info, std::move(function),
                                                                                       std::forward<A>(arguments)...);
  call->set_charge(core::CurrentAccount(owner));
  call->Adopt(owner);
  return call;
}

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_TYPED_CALL_H_
