#include "task/argument_resolver.h"

#include "core/error.h"
#include "core/executor.h"
#include "core/record.h"

namespace rustyray::task {

void ArgumentResolver::Start(core::Call& call) {
  for (;;) {
    core::ErrorPtr failed;
    const core::RecordHold unready = call.NextUnready(failed);
    if (failed != nullptr) {
      call.FailUnclaimed(core::Propagate(failed, call.name()));
      call.DropHold();
      return;
    }
    if (!unready) break;
    if (unready->AddWaiter(call)) return;
  }
  if (call.claimed()) {  // cancelled, or run by who waits for it
    call.DropHold();
    return;
  }
  if (!call.executor()->Schedule(call)) call.DiscardScheduled();
}

void ArgumentResolver::Resume(core::Waiter& waiter) { Start(static_cast<core::Call&>(waiter)); }

}  // namespace rustyray::task
