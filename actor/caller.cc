#include "actor/caller.h"

#include "core/thread_context.h"

namespace rustyray::actor {

ActorCell* CurrentCell() {
  const core::CallFrame* const frame = core::current_frame;
  return frame != nullptr && frame->call == Occupation::now_.call ? Occupation::now_.cell : nullptr;
}

CallerId CurrentCaller() {
  if (const ActorCell* const cell = CurrentCell()) return reinterpret_cast<CallerId>(cell);
  if (core::current_frame != nullptr) return reinterpret_cast<CallerId>(core::current_frame->call);
  return (static_cast<CallerId>(core::ThisThreadNumber()) << 1) | 1;  // odd: no pointer
}

}  // namespace rustyray::actor
