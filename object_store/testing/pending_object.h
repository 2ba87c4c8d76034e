// PendingObject: a record of a store whose value comes later, as a call's result does, set by hand.
//
// Made with one handle, which the caller takes, and one hold, which Seal or Abandon gives back: one of them is called,
// once, by any thread.
#ifndef RUSTYRAY_OBJECT_STORE_TESTING_PENDING_OBJECT_H_
#define RUSTYRAY_OBJECT_STORE_TESTING_PENDING_OBJECT_H_

#include <cstddef>
#include <new>
#include <utility>

#include "core/codec.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/type_info.h"
#include "object_store/object_store.h"

namespace rustyray::object_store {

template <class T>
class PendingObject final : public core::Record {
 public:
  // `store` and `account` as for calls.
  static PendingObject* Make(ObjectStore& store, const core::AccountId& account = {}) {
    auto* const made = new PendingObject;
    made->set_charge(store.AccountFor(account));
    made->Adopt(store.owner());
    return made;
  }
  // The caller's handle, once.
  core::ObjectRef TakeRef() { return core::ObjectRef::Adopt(this); }

  // `size_beside`: bytes to be accounted with the value.
  void Seal(T value, std::size_t size_beside = 0) {
    void* const object = ::new (room_) T(std::move(value));
    SealValue({.type = &core::TypeInfoOf<T>(), .data = object}, size_beside);
    DropHold();
  }
  void Abandon() { DropHold(); }

 private:
  PendingObject() : Record(1, false) {}
  alignas(T) std::byte room_[sizeof(T)];
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_TESTING_PENDING_OBJECT_H_
