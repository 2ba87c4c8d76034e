// GiveBack: puts an object that a store did not take back into the argument it was moved from.
#ifndef RUSTYRAY_OBJECT_STORE_GIVE_BACK_H_
#define RUSTYRAY_OBJECT_STORE_GIVE_BACK_H_

#include <memory>
#include <type_traits>
#include <utility>

namespace rustyray::object_store {

// Works for types that can be moved but not assigned, too.
template <class T>
void GiveBack(T& argument, T& object) {
  if constexpr (std::is_move_assignable_v<T>) {
    argument = std::move(object);
  } else {
    std::destroy_at(&argument);
    std::construct_at(&argument, std::move(object));
  }
}

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_GIVE_BACK_H_
