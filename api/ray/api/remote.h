// RAY_REMOTE: makes functions known as tasks.
//
//   RAY_REMOTE(Add, Square, RAY_FUNC(Print, int));
//
// At namespace scope, in any file, any number of them. In a header that several files include it is one registration;
// any other second use of a name or function makes Init throw. It only appends to a list; Init reads it.
#ifndef RAY_API_REMOTE_H_
#define RAY_API_REMOTE_H_

#include <initializer_list>
#include <string_view>
#include <type_traits>

#include "ray/api/policy.h"
#include "task/function_registry.h"
#include "task/registration.h"

namespace ray::internal {

// Appends copies, which live for ever. `names` is what RAY_REMOTE was given, as text.
void AppendRegistrations(std::string_view names, std::initializer_list<rustyray::task::Registration> registrations);
// The newest first.
const rustyray::task::Registration* RegistrationList();

template <class... F>
int RegisterRemote(std::string_view names, std::string_view file, int line, F... functions) {
  static_assert((std::is_function_v<std::remove_pointer_t<F>> && ...),
                "RAY_REMOTE takes functions; for one of several overloads: RAY_FUNC(f, ArgTypes...)");
  AppendRegistrations(names, {rustyray::task::MakeRegistration<Policy>({}, functions, file, line)...});
  return 0;
}

// Picks one overload by its parameters.
template <class... P>
struct OverloadOf {
  template <class R>
  constexpr auto operator()(R (*function)(P...)) const {
    return function;
  }
};

}  // namespace ray::internal

#define RAY_INTERNAL_JOIN2(a, b) a##b
#define RAY_INTERNAL_JOIN(a, b) RAY_INTERNAL_JOIN2(a, b)

#define RAY_REMOTE(...)                                                                                               \
  namespace {                                                                                                         \
  [[maybe_unused]] const int RAY_INTERNAL_JOIN(ray_remote_,                                                           \
                                               __COUNTER__) = ::ray::internal::RegisterRemote(#__VA_ARGS__, __FILE__, \
                                                                                              __LINE__, __VA_ARGS__); \
  }

#define RAY_FUNC(f, ...) ::ray::internal::OverloadOf<__VA_ARGS__>{}(f)

#endif  // RAY_API_REMOTE_H_
