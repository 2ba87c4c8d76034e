// ArgumentResolver: holds a call back until its refs are ready, then hands it to its executor.
//
// A call has one waiter node, which moves from one unready argument to the next; it costs nothing when all are ready.
// Invariant: exactly one of {a registered waiter, a queue entry, the thread inside Start or Resume} owns the queue's
// hold of a submitted call.
// Threads: any. Resume runs on the thread that sealed the argument.
#ifndef RUSTYRAY_TASK_ARGUMENT_RESOLVER_H_
#define RUSTYRAY_TASK_ARGUMENT_RESOLVER_H_

#include "core/call.h"
#include "core/record.h"

namespace rustyray::task {

class ArgumentResolver {
 public:
  // Takes over the queue's hold of `call`, whose executor is set.
  static void Start(core::Call& call);
  // What the waiter of every call runs.
  static void Resume(core::Waiter& waiter);
};

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_ARGUMENT_RESOLVER_H_
