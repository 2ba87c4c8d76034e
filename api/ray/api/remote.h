// RAY_REMOTE: makes functions known as tasks, factories and methods as those of actors.
//
//   RAY_REMOTE(Add, Square, RAY_FUNC(Print, int), Counter::Create, &Counter::Increment);
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

template <class F>
rustyray::task::Registration RegistrationOf(F function, std::string_view file, int line) {
  static_assert(
      std::is_function_v<std::remove_pointer_t<F>> || std::is_member_function_pointer_v<F>,
      "RAY_REMOTE takes functions and member functions; for one of several overloads: RAY_FUNC(f, ArgTypes...)");
  if constexpr (std::is_member_function_pointer_v<F>) {
    return rustyray::task::MakeMethodRegistration({}, function, file, line);
  } else {
    return rustyray::task::MakeRegistration<Policy>({}, function, file, line);
  }
}

template <class... F>
int RegisterRemote(std::string_view names, std::string_view file, int line, F... functions) {
  AppendRegistrations(names, {RegistrationOf(functions, file, line)...});
  return 0;
}

// Picks one overload by its parameters.
template <class... P>
struct OverloadOf {
  template <class R>
  constexpr auto operator()(R (*function)(P...)) const {
    return function;
  }
  template <class R, class C>
  constexpr auto operator()(R (C::*method)(P...)) const {
    return method;
  }
  template <class R, class C>
  constexpr auto operator()(R (C::*method)(P...) const) const {
    return method;
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
