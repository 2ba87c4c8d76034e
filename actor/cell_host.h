// CellHost: what the cells of one system share, and whom they tell of their end. The system implements it.
//
// Threads: any. It outlives the life of its cells, not their storage: a dead cell does not touch it.
#ifndef RUSTYRAY_ACTOR_CELL_HOST_H_
#define RUSTYRAY_ACTOR_CELL_HOST_H_

#include "core/clock.h"
#include "core/executor.h"
#include "task/task_system.h"

namespace rustyray::actor {

class ActorCell;

class CellHost {
 public:
  virtual core::Executor& executor() = 0;
  virtual core::Clock& clock() = 0;
  virtual task::TaskSystem& tasks() = 0;
  // The actor takes no more calls: its name is free.
  virtual void OnEnding(ActorCell& cell) = 0;
  // Its last instance is gone.
  virtual void OnDead(ActorCell& cell) = 0;

 protected:
  ~CellHost() = default;
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_CELL_HOST_H_
