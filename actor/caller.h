// Who calls: what this thread runs, as far as actors care. A cell keeps the calls of one caller in order.
//
// Threads: each has its own answer.
#ifndef RUSTYRAY_ACTOR_CALLER_H_
#define RUSTYRAY_ACTOR_CALLER_H_

#include <cstdint>
#include <utility>

#include "core/call.h"

namespace rustyray::actor {

class ActorCell;

// The actor or task whose call this thread runs, else the thread. Of one that runs now: ids come again later.
using CallerId = std::uintptr_t;
CallerId CurrentCaller();

// The actor whose call this thread runs; null outside of actors, and in a task that runs inside one.
ActorCell* CurrentCell();

// For its scope this thread is inside `cell`, for `call`. Scopes nest.
class Occupation {
 public:
  Occupation(ActorCell& cell, const core::Call& call) : outer_(std::exchange(now_, {&cell, &call})) {}
  ~Occupation() { now_ = outer_; }
  Occupation(const Occupation&) = delete;
  Occupation& operator=(const Occupation&) = delete;

 private:
  friend ActorCell* CurrentCell();
  struct Inside {
    ActorCell* cell;
    const core::Call* call;
  };
  static inline thread_local constinit Inside now_{nullptr, nullptr};
  const Inside outer_;
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_CALLER_H_
