// ActorOptions: how one actor is made, queued for, and ended.
#ifndef RUSTYRAY_ACTOR_ACTOR_OPTIONS_H_
#define RUSTYRAY_ACTOR_ACTOR_OPTIONS_H_

#include <cstddef>
#include <limits>
#include <string>

#include "actor/mailbox.h"
#include "actor/restart_policy.h"

namespace rustyray::actor {

enum class MailboxFull {
  kBlock,   // the caller waits for room
  kReject,  // the call fails with ResourceExhausted
};

inline constexpr std::size_t kNoQuota = std::numeric_limits<std::size_t>::max();

struct ActorOptions {
  // Found under it by GetByName; empty: not at all. Unique in its namespace.
  std::string name = {};
  std::string name_space = {};
  // Lives on without handles, until it is killed.
  bool detached = false;
  // Calls that wait, those held back for their refs among them. At least 1; kUnboundedMailbox: any number.
  std::size_t mailbox_capacity = 1024;
  MailboxFull mailbox_full = MailboxFull::kBlock;
  // How many calls may be inside the instance at once.
  int max_concurrency = 1;
  // How often a call is tried again when the actor restarts under it (Kill with a restart left, or an error of another
  // call that restarts it); -1: without limit. Not when its method fails, and not after a cancel or its deadline, which
  // counts from submission. A retried call keeps its place among its caller's. Until its last try it works on copies of
  // arguments that it could change, so these must be copyable. If not 0, calls that wait while the actor restarts go on
  // waiting, which costs no try; else they fail at once.
  int max_task_retries = 0;
  // How many bytes of the store may be charged to it at once: what its methods put, and the results of the calls and
  // tasks that they, or those tasks, submit. The result of a call of its own is charged to who submitted that. More is
  // ResourceExhausted and names the actor. Charged until they are gone, also when the actor is. kNoQuota: only the
  // store's limit counts, and nothing is charged to it.
  std::size_t quota_bytes = kNoQuota;
  RestartPolicy restart = {};
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_ACTOR_OPTIONS_H_
