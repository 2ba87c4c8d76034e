#include "actor/restart_budget.h"

#include <algorithm>

namespace rustyray::actor {

bool RestartBudget::Grant(core::Time now) {
  if (policy_.max_restarts >= 0 && begun_ >= policy_.max_restarts) return false;
  if (policy_.max_in_window == 0) return true;
  while (!granted_.empty() && now - granted_.front() > policy_.window) granted_.pop_front();
  if (static_cast<int>(granted_.size()) >= policy_.max_in_window) return false;
  granted_.push_back(now);
  return true;
}

core::Duration RestartBudget::Begin() {
  const core::Duration backoff = next_backoff_;
  const bool past_half = backoff > policy_.max_backoff / 2;  // twice may be more than can be counted
  next_backoff_ = past_half ? policy_.max_backoff : std::max(2 * backoff, policy_.backoff);
  next_backoff_ = std::min(next_backoff_, policy_.max_backoff);
  ++begun_;
  return backoff;
}

}  // namespace rustyray::actor
