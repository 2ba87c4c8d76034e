// Checks of arguments that calls of functions and of methods share.
#ifndef RAY_API_ARGUMENT_CHECK_H_
#define RAY_API_ARGUMENT_CHECK_H_

#include <string_view>
#include <tuple>
#include <type_traits>

#include "absl/status/status.h"
#include "ray/api/policy.h"

namespace ray::internal {

absl::Status EmptyRefArgument(std::string_view function, int position);

template <class Parameters>
struct ArgumentCheck;
template <class... P>
struct ArgumentCheck<std::tuple<P...>> {
  template <class... A>
  static int FirstEmptyRef(const A&... arguments) {
    int position = 0;
    int empty = 0;
    [[maybe_unused]] const auto look = [&]<class Parameter, class Argument>(std::type_identity<Parameter>,
                                                                            const Argument& argument) {
      ++position;
      if constexpr (kIsObjectRef<Argument> && !kIsObjectRef<std::remove_cvref_t<Parameter>>) {
        if (!argument && empty == 0) empty = position;
      }
    };
    (look(std::type_identity<P>(), arguments), ...);
    return empty;
  }
};

// The position, from 1, of an empty ref that the call would wait for; 0: none. As many arguments as parameters.
template <class Parameters, class... A>
int FirstEmptyRef(const A&... arguments) {
  return ArgumentCheck<Parameters>::FirstEmptyRef(arguments...);
}

}  // namespace ray::internal

#endif  // RAY_API_ARGUMENT_CHECK_H_
