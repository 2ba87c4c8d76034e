// Calls of an actor's methods: typed calls (task/typed_call.h) whose function holds the cell and the method.
#ifndef RUSTYRAY_ACTOR_ACTOR_CALL_H_
#define RUSTYRAY_ACTOR_ACTOR_CALL_H_

#include <stdexcept>
#include <type_traits>
#include <utility>

#include "actor/actor_cell.h"
#include "actor/class_info.h"
#include "core/call.h"
#include "task/argument.h"
#include "task/typed_call.h"

namespace rustyray::actor {

// Keeps a cell's storage; no handle. Null when it was moved from.
class CellPtr {
 public:
  explicit CellPtr(ActorCell& cell) : cell_(&cell) { cell.AddRefHere(); }
  CellPtr(const CellPtr& other) : cell_(other.cell_) {
    if (cell_ != nullptr) cell_->AddRefHere();
  }
  CellPtr(CellPtr&& other) noexcept : cell_(std::exchange(other.cell_, nullptr)) {}
  CellPtr& operator=(CellPtr other) noexcept {
    std::swap(cell_, other.cell_);
    return *this;
  }
  ~CellPtr() {
    if (cell_ != nullptr) cell_->DropRefHere();
  }
  ActorCell& operator*() const { return *cell_; }
  ActorCell* operator->() const { return cell_; }

 private:
  ActorCell* cell_;
};

namespace internal {

template <class C, class Method, class R, class... P>
struct MethodCall {
  static constexpr bool kMayRunAgain = true;
  CellPtr cell;
  Method method;
  R operator()(P... arguments) const {
    return (static_cast<C*>(cell->object())->*method)(std::forward<P>(arguments)...);
  }
};

template <class C, class Method>
struct MethodTraits;
template <class C, class Base, class R, class... P>
struct MethodTraits<C, R (Base::*)(P...)> {
  using Call = MethodCall<C, R (Base::*)(P...), R, P...>;
};
template <class C, class Base, class R, class... P>
struct MethodTraits<C, R (Base::*)(P...) const> {
  using Call = MethodCall<C, R (Base::*)(P...) const, R, P...>;
};
template <class C, class Base, class R, class... P>
struct MethodTraits<C, R (Base::*)(P...) noexcept> {
  using Call = MethodCall<C, R (Base::*)(P...) noexcept, R, P...>;
};
template <class C, class Base, class R, class... P>
struct MethodTraits<C, R (Base::*)(P...) const noexcept> {
  using Call = MethodCall<C, R (Base::*)(P...) const noexcept, R, P...>;
};

// Runs the factory and installs what it made.
template <class C, class... P>
struct CreateCall {
  CellPtr cell;
  C* (*factory)(P...);
  absl::Status operator()(P... arguments) const {
    C* const made = factory(std::forward<P>(arguments)...);
    if (made == nullptr) {
      return absl::InternalError("its factory returned null");
    }
    return cell->Install(made);
  }
};

}  // namespace internal

// A call of `method`, a member function of C or of a base of it.
template <class C, class Policy = task::CorePolicy, class Method, class... A>
task::CallPtr MakeMethodCall(ActorCell& cell, const core::FunctionInfo& info, Method method, A&&... arguments) {
  using Fn = typename internal::MethodTraits<C, Method>::Call;
  return task::MakeCall<Policy>(cell.call_owner(), info, Fn{CellPtr(cell), method}, std::forward<A>(arguments)...);
}

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_ACTOR_CALL_H_
