// Runtime: the parts of one engine, handed out; nothing more. What runs is in the parts.
//
// Made by an engine's composition root (embedded_runtime.h). Threads: all methods, any thread, save Shutdown: once.
#ifndef RUSTYRAY_RUNTIME_RUNTIME_H_
#define RUSTYRAY_RUNTIME_RUNTIME_H_

#include <cstdint>
#include <string>
#include <vector>

#include "actor/actor_system.h"
#include "core/clock.h"
#include "object_store/object_store.h"
#include "ownership/owner_service.h"
#include "task/task_system.h"

namespace rustyray::runtime {

class Runtime {
 public:
  virtual ~Runtime() = default;
  virtual object_store::ObjectStore& objects() = 0;
  virtual task::TaskSystem& tasks() = 0;
  virtual actor::ActorSystem& actors() = 0;
  virtual ownership::OwnerService& owners() = 0;
  virtual core::Clock& clock() = 0;
  // A hash of what a seeded schedule decided so far; 0 for other schedules.
  virtual std::uint64_t schedule_trace() const { return 0; }

  // Fails what is queued, asks what runs to end, waits for it until `deadline`, then abandons it. Returns the names of
  // the functions that were abandoned; while there are any, the runtime must not be destroyed. Refs say kShutdown from
  // then on; Views stay valid. Not from inside a task.
  virtual std::vector<std::string> Shutdown(core::Time deadline) = 0;
};

}  // namespace rustyray::runtime

#endif  // RUSTYRAY_RUNTIME_RUNTIME_H_
