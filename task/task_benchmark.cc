// What a task costs below the API, on a pool with all processors: ./bazelw run //task:task_benchmark
#include <cstdlib>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "core/call.h"
#include "core/clock.h"
#include "core/object_ref.h"
#include "core/thread_pool.h"
#include "core/waiting.h"
#include "object_store/memory_object_store.h"
#include "object_store/object_store.h"
#include "task/function_registry.h"
#include "task/task_system.h"

namespace rustyray::task {
namespace {

constexpr core::FunctionInfo kAdd{"Add"};
int Add(int x, int y) { return x + y; }

struct Engine {
  std::unique_ptr<core::Clock> clock = core::MakeRealClock();
  std::shared_ptr<core::Waiting> waiting = std::make_shared<core::Waiting>(*clock);
  FunctionRegistry registry;
  std::unique_ptr<object_store::ObjectStore> store = object_store::MakeMemoryObjectStore({.waiting = waiting});
  std::shared_ptr<core::ThreadPool> pool = core::MakeThreadPool({}, *clock);
  TaskSystem tasks{*pool, *clock, store->owner(), registry};
};

void WaitedFor(benchmark::State& state) {
  Engine engine;
  for (auto _ : state) {
    if (*engine.tasks.Run(kAdd, &Add, 1, 2).Get<int>() != 3) std::abort();
  }
}
BENCHMARK(WaitedFor);

void InFlight(benchmark::State& state) {
  Engine engine;
  for (auto _ : state) {
    std::vector<core::ObjectRef> refs;
    refs.reserve(1000);
    for (int i = 0; i < 1000; ++i) refs.push_back(engine.tasks.Run(kAdd, &Add, i, 1));
    if (engine.store->GetBatch<int>(refs)->back() != 1000) std::abort();
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(InFlight)->UseRealTime();

void WithARefArgument(benchmark::State& state) {
  Engine engine;
  const core::ObjectRef one = engine.store->Put(1).value();
  for (auto _ : state) {
    if (*engine.tasks.Run(kAdd, &Add, one, 2).Get<int>() != 3) std::abort();
  }
}
BENCHMARK(WithARefArgument);

}  // namespace
}  // namespace rustyray::task
