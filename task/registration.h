// MakeRegistration: the registration of one function, for lists that a FunctionRegistry reads.
#ifndef RUSTYRAY_TASK_REGISTRATION_H_
#define RUSTYRAY_TASK_REGISTRATION_H_

#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/error.h"
#include "task/dynamic_argument.h"
#include "task/function_registry.h"
#include "task/typed_call.h"

namespace rustyray::task {

// A registration of the free function `function`; `name` and `file` live as long as the program.
template <class Policy = CorePolicy, class R, class... P>
Registration MakeRegistration(std::string_view name, R (*function)(P...), std::string_view file = {}, int line = 0) {
  return {.info = {.name = name},
          .function = reinterpret_cast<AnyFunction>(function),
          .method = {},
          .make_call = [](core::RecordOwner& owner, const core::FunctionInfo& info, AnyFunction any,
                          std::span<DynamicArgument> arguments) -> absl::StatusOr<CallPtr> {
            if (arguments.size() != sizeof...(P)) {
              return core::MakeStatus(
                  absl::StatusCode::kInvalidArgument, core::ErrorKind::kInvalid,
                  absl::StrCat("it takes ", sizeof...(P), sizeof...(P) == 1 ? " argument" : " arguments", ", but ",
                               arguments.size(), arguments.size() == 1 ? " was given" : " were given"));
            }
            return internal::DynamicCallMaker<Policy, R (*)(P...), std::tuple<P...>>::Make(
                owner, info, reinterpret_cast<R (*)(P...)>(any), arguments);
          },
          .file = file,
          .line = line};
}

// The registration of the member function `method`: its name, for calls through actors' handles.
template <class M>
requires std::is_member_function_pointer_v<M> Registration MakeMethodRegistration(std::string_view name, M method,
                                                                                  std::string_view file = {},
                                                                                  int line = 0) {
  return {.info = {.name = name},
          .function = nullptr,
          .method = AnyMethod::Of(method),
          .make_call = nullptr,
          .file = file,
          .line = line};
}

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_REGISTRATION_H_
