// What a call of an actor costs below the API, on a pool with all processors: ./bazelw run //actor:actor_benchmark
#include <cstdlib>
#include <memory>
#include <vector>

#include "actor/actor_system.h"
#include "benchmark/benchmark.h"
#include "core/clock.h"
#include "core/object_ref.h"
#include "core/thread_pool.h"
#include "core/waiting.h"
#include "object_store/memory_object_store.h"
#include "object_store/object_store.h"
#include "task/function_registry.h"
#include "task/task_system.h"

namespace rustyray::actor {
namespace {

struct Counter {
  static Counter* Create() { return new Counter; }
  int Add(int by) { return value += by; }
  int value = 0;
};

struct Engine {
  ~Engine() {
    actors.StopAll();
    pool->Stop(core::kNever);
  }
  std::unique_ptr<core::Clock> clock = core::MakeRealClock();
  std::shared_ptr<core::Waiting> waiting = std::make_shared<core::Waiting>(*clock);
  task::FunctionRegistry registry;
  std::unique_ptr<object_store::ObjectStore> store = object_store::MakeMemoryObjectStore({.waiting = waiting});
  std::shared_ptr<core::ThreadPool> pool = core::MakeThreadPool({}, *clock);
  task::TaskSystem tasks{*pool, *clock, store->owner(), registry};
  ActorSystem actors{*pool, *clock, tasks};
};

void CallWaitedFor(benchmark::State& state) {
  Engine engine;
  const ActorRef<Counter> counter = *engine.actors.Spawn(ActorOptions(), &Counter::Create);
  int last = 0;
  for (auto _ : state) {
    if (*counter.Call(&Counter::Add, 1).Get<int>() != ++last) std::abort();
  }
}
BENCHMARK(CallWaitedFor);

void CallsInFlight(benchmark::State& state) {
  Engine engine;
  const ActorRef<Counter> counter = *engine.actors.Spawn(ActorOptions(), &Counter::Create);
  int last = 0;
  for (auto _ : state) {
    std::vector<core::ObjectRef> refs;
    refs.reserve(1000);
    for (int i = 0; i < 1000; ++i) refs.push_back(counter.Call(&Counter::Add, 1));
    if (engine.store->GetBatch<int>(refs)->back() != (last += 1000)) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(CallsInFlight)->UseRealTime();

}  // namespace
}  // namespace rustyray::actor
