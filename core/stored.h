// Stored: the record of a value that is put rather than computed. Record and object share one allocation.
//
// Invariant: made with one handle, unpublished: a store sets the owner, admits the value and publishes it.
// Threads: nobody else sees it until it is published.
#ifndef RUSTYRAY_CORE_STORED_H_
#define RUSTYRAY_CORE_STORED_H_

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

#include "core/record.h"
#include "core/type_info.h"

namespace rustyray::core {

template <class T, class Policy>
class Stored final : public Record {
 public:
  template <class U>
  explicit Stored(U&& value) : Record(0, false) {
    SetValue({.type = &TypeInfoOf<T, Policy>(), .data = ::new (room_) T(std::forward<U>(value))});
  }
  // The object, while the record is not published: a rejected put gives it back.
  T& object() { return *std::launder(reinterpret_cast<T*>(room_)); }

 private:
  alignas(T) std::byte room_[sizeof(T)];
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_STORED_H_
