// What a put, a read and a release cost in the memory store: ./bazelw run //object_store:object_store_benchmark
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "benchmark/benchmark.h"
#include "core/object_ref.h"
#include "object_store/memory_object_store.h"
#include "object_store/object_store.h"

namespace rustyray::object_store {
namespace {

void PutAndDrop(benchmark::State& state) {
  const std::unique_ptr<ObjectStore> store = MakeMemoryObjectStore({});
  for (auto _ : state) benchmark::DoNotOptimize(store->Put(7));
}
BENCHMARK(PutAndDrop)->ThreadRange(1, 2);

void Get(benchmark::State& state) {
  const std::unique_ptr<ObjectStore> store = MakeMemoryObjectStore({});
  const core::ObjectRef ref = store->Put(7).value();
  for (auto _ : state) {
    if (*ref.Get<int>() != 7) std::abort();
  }
}
BENCHMARK(Get);

// The size must make no difference.
void View(benchmark::State& state) {
  const std::unique_ptr<ObjectStore> store = MakeMemoryObjectStore({});
  const core::ObjectRef ref = store->Put(std::string(static_cast<std::size_t>(state.range(0)), 'x')).value();
  for (auto _ : state) {
    if ((*ref.View<std::string>())->size() != static_cast<std::size_t>(state.range(0))) std::abort();
  }
}
BENCHMARK(View)->Arg(64)->Arg(100 << 20);

void ReleaseOfABatch(benchmark::State& state) {
  const std::unique_ptr<ObjectStore> store = MakeMemoryObjectStore({});
  for (auto _ : state) {
    state.PauseTiming();
    std::vector<core::ObjectRef> refs = store->PutBatch(std::vector<std::int64_t>(1000, 1)).value();
    state.ResumeTiming();
    refs.clear();
  }
  state.SetItemsProcessed(state.iterations() * 1000);
}
BENCHMARK(ReleaseOfABatch);

}  // namespace
}  // namespace rustyray::object_store
