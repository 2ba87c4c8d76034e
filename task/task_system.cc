#include "task/task_system.h"

#include "absl/strings/str_cat.h"
#include "core/error.h"
#include "task/argument_resolver.h"

namespace rustyray::task {
namespace {

core::ErrorPtr Cancelled(const core::Call& call, const char* why) {
  return core::MakeError({.code = absl::StatusCode::kCancelled,
                          .kind = core::ErrorKind::kCancelled,
                          .message = why,
                          .function = std::string(call.name())});
}

}  // namespace

void TaskSystem::Apply(const TaskOptions& options, core::Call& call) {
  if (!options.name.empty()) call.EnsureAnnex().name = options.name;
  if (options.deadline > core::Duration::zero()) {
    call.EnsureAnnex().deadline = core::SaturatingAdd(clock_.Now(), options.deadline);
  }
}

core::ObjectRef TaskSystem::SubmitTo(core::Executor& executor, CallPtr submitted, bool child) {
  core::Call& call = *submitted.release();
  core::ObjectRef ref = core::ObjectRef::Adopt(&call);
  // A restart's creation has it already: others may be looking at it.
  if (call.executor() != &executor) call.set_executor(executor);
  if (call.annex() != nullptr) call.PrepareDeadline(clock_);
  // Before a parent's canceller or the deadline can drop the arguments.
  if (core::HandleObserver* const observer = call.has_refs() ? owner_.observer() : nullptr) {
    call.TellSubmitted(*observer);
  }
  if (core::CallFrame* const frame = core::current_frame;
      child && frame != nullptr && !call.BecomeChildOf(*frame->call)) {
    call.FailUnclaimed(Cancelled(call, "the call that submitted it was cancelled"));
    call.DropHold();
    return ref;
  }
  if (call.annex() != nullptr) call.ArmDeadline();
  if (call.has_refs()) {
    ArgumentResolver::Start(call);
  } else if (!executor.Schedule(call)) {
    call.DiscardScheduled();
  }
  return ref;
}

absl::Status TaskSystem::Cancel(const core::ObjectRef& ref) {
  if (!ref || !ref.record()->is_call()) {
    return core::MakeStatus(
        absl::StatusCode::kInvalidArgument, core::ErrorKind::kInvalid,
        ref ? "only a task's result can be cancelled: this object was put" : "an empty object ref cannot be cancelled");
  }
  auto& call = static_cast<core::Call&>(*ref.record());
  if (call.Cancel(Cancelled(call, "the task was cancelled"))) return absl::OkStatus();
  const bool cancelled = call.has_error() && call.error()->kind() == core::ErrorKind::kCancelled;
  return core::MakeStatus(absl::StatusCode::kFailedPrecondition, core::ErrorKind::kInvalid,
                          absl::StrCat("task ", absl::string_view(call.name().data(), call.name().size()),
                                       cancelled ? " was cancelled already" : " is done already"));
}

}  // namespace rustyray::task
