// What tests of actors start from: an actor system over a store, stepped by hand.
#ifndef RUSTYRAY_ACTOR_ACTOR_FIXTURE_H_
#define RUSTYRAY_ACTOR_ACTOR_FIXTURE_H_

#include <memory>

#include "actor/actor_system.h"
#include "core/clock.h"
#include "core/executor.h"
#include "core/manual_executor.h"
#include "core/waiting.h"
#include "gtest/gtest.h"
#include "object_store/memory_object_store.h"
#include "task/function_registry.h"
#include "task/task_system.h"

namespace rustyray::actor {

// Everything an actor needs, over a given executor and clock.
struct World {
  World(core::Executor& executor, core::Clock& clock)
      : waiting(std::make_shared<core::Waiting>(clock)),
        store(object_store::MakeMemoryObjectStore({.limit_bytes = 100 << 20, .waiting = waiting})),
        tasks(executor, clock, store->owner(), registry),
        actors(executor, clock, tasks, store.get()) {}

  std::shared_ptr<core::Waiting> waiting;
  std::unique_ptr<object_store::ObjectStore> store;
  task::FunctionRegistry registry;
  task::TaskSystem tasks;
  ActorSystem actors;
};

class ActorTest : public ::testing::Test {
 protected:
  ~ActorTest() override {
    world.actors.Shutdown(core::Time::min());
    executor.RunUntilIdle();
    executor.Stop();
  }
  core::ManualExecutor executor;
  core::ManualClock clock;
  World world{executor, clock};
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_ACTOR_FIXTURE_H_
