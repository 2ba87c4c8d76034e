// RestartBudget: how often an actor may still restart, and how long it waits before it does. Arithmetic alone.
//
// Invariants, by its policy:
//   - At most max_restarts have begun, -1: any number; 0: none may.
//   - At most max_in_window were granted within any `window` that ends now, 0: any number.
//   - The first waits for `backoff`, each later one twice as long as the last, at most max_backoff.
// Threads: one at a time; its owner's lock. The policy outlives it.
#ifndef RUSTYRAY_ACTOR_RESTART_BUDGET_H_
#define RUSTYRAY_ACTOR_RESTART_BUDGET_H_

#include <deque>

#include "actor/restart_policy.h"
#include "core/clock.h"

namespace rustyray::actor {

class RestartBudget {
 public:
  explicit RestartBudget(const RestartPolicy& policy) : policy_(policy), next_backoff_(policy.backoff) {}

  // Whether one more restart is granted at `now`; it counts in the window from then on. A granted one may be given up.
  [[nodiscard]] bool Grant(core::Time now);
  // One that was granted begins: how long it waits.
  core::Duration Begin();
  // How many have begun.
  int begun() const { return begun_; }

 private:
  const RestartPolicy& policy_;
  core::Duration next_backoff_;
  std::deque<core::Time> granted_;  // within the window, oldest first; empty when there is none
  int begun_ = 0;
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_RESTART_BUDGET_H_
