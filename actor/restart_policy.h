// RestartPolicy: whether an actor whose instance is lost gets another one, how often, and how soon.
#ifndef RUSTYRAY_ACTOR_RESTART_POLICY_H_
#define RUSTYRAY_ACTOR_RESTART_POLICY_H_

#include <chrono>
#include <functional>

#include "core/clock.h"
#include "core/error.h"

namespace rustyray::actor {

struct RestartPolicy {
  // How often the factory may run again; -1: without end.
  int max_restarts = 0;
  // And at most so often within `window`; 0: no such limit.
  int max_in_window = 0;
  core::Duration window = std::chrono::minutes(1);
  // Before a restart: `backoff`, doubled each time up to `max_backoff`.
  core::Duration backoff = core::Duration::zero();
  core::Duration max_backoff = std::chrono::seconds(30);
  // Whether a method's error is a reason to restart. Null: no error is; only Kill restarts.
  std::function<bool(const core::Error&)> restart_on = {};
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_RESTART_POLICY_H_
