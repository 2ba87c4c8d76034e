#include "ray/api/actor.h"

#include <optional>

#include "actor/actor_context.h"
#include "core/call.h"
#include "core/error.h"
#include "core/thread_context.h"

namespace ray {
namespace internal {
namespace {

using rustyray::core::ErrorKind;
using rustyray::core::MakeStatus;
using rustyray::task::AnyMethod;
using rustyray::task::Registration;

// What ExitActor throws to leave the method. The call has its error by then.
struct LeaveActor {};

}  // namespace

absl::StatusOr<const Registration*> FindMethod(Runtime& runtime, const AnyMethod& method) {
  if (const Registration* const known = Known<AnyMethod>::Find(method)) return known;
  const Registration* const found = runtime.tasks().registry().FindMethod(method);
  if (found == nullptr) {
    return MakeStatus(absl::StatusCode::kNotFound, ErrorKind::kFunctionNotFound,
                      "ActorHandle::Task: the method is not registered: name it in RAY_REMOTE(..., &Class::Method) at "
                      "namespace scope");
  }
  Known<AnyMethod>::Keep(method, *found);
  return found;
}

absl::Status EmptyHandle() {
  return MakeStatus(absl::StatusCode::kInvalidArgument, ErrorKind::kActor,
                    "an empty actor handle has no actor: it was default-constructed or moved from");
}

absl::StatusOr<rustyray::actor::AnyActorRef> FindActor(const std::string& name, const std::string& name_space) {
  const RuntimeUse runtime;
  if (!runtime) return runtime.status();
  return runtime->actors().GetByName(name, NamespaceOr(name_space));
}

}  // namespace internal

void ExitActor() {
  const std::optional<rustyray::actor::ActorContext> actor = rustyray::actor::ActorContext::Current();
  if (!actor.has_value()) {
    internal::Throw(internal::MakeStatus(absl::StatusCode::kFailedPrecondition, internal::ErrorKind::kInvalid,
                                         "ray::ExitActor was called outside of actors"));
  }
  actor->Exit();
  rustyray::core::Call& call = *rustyray::core::current_frame->call;
  call.Cancel(rustyray::core::MakeError({.code = absl::StatusCode::kUnavailable,
                                         .kind = internal::ErrorKind::kActor,
                                         .message = "the actor exited in this call (ray::ExitActor)",
                                         .function = std::string(call.name())}));
  throw internal::LeaveActor();
}

bool WasCurrentActorRestarted() {
  const std::optional<rustyray::actor::ActorContext> actor = rustyray::actor::ActorContext::Current();
  return actor.has_value() && actor->Restarts() > 0;
}

}  // namespace ray
