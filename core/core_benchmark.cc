// What the parts of the hot path cost: ./bazelw run //core:core_benchmark
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "benchmark/benchmark.h"
#include "core/block_cache.h"
#include "core/clock.h"
#include "core/executor.h"
#include "core/object_ref.h"
#include "core/parker.h"
#include "core/testing/test_owner.h"
#include "core/thread_pool.h"
#include "core/waiting.h"
#include "core/work_deque.h"

namespace rustyray::core {
namespace {

void BlockOfTheThread(benchmark::State& state) {
  for (auto _ : state) {
    void* const block = BlockCache::Take(200);
    benchmark::DoNotOptimize(block);
    BlockCache::Give(block, 200);
  }
}
BENCHMARK(BlockOfTheThread);

struct Nothing final : Runnable {
  void RunScheduled() override { ran.fetch_add(1, std::memory_order_release); }
  void DiscardScheduled() override {}
  std::atomic<int> ran{0};
};

void DequePushAndPop(benchmark::State& state) {
  WorkDeque deque;
  Nothing nothing;
  for (auto _ : state) {
    deque.Push(&nothing);
    benchmark::DoNotOptimize(deque.Pop());
  }
}
BENCHMARK(DequePushAndPop);

// From the push of work to an idle pool until a worker has run it.
void PoolWake(benchmark::State& state) {
  const std::unique_ptr<Clock> clock = MakeRealClock();
  const std::shared_ptr<ThreadPool> pool = MakeThreadPool({.places = 1}, *clock);
  Nothing nothing;
  for (auto _ : state) {
    state.PauseTiming();
    while (pool->Statistics().parked < pool->Statistics().threads) SpinPause();
    const int before = nothing.ran.load();
    state.ResumeTiming();
    pool->Schedule(nothing);
    while (nothing.ran.load(std::memory_order_acquire) == before) SpinPause();
  }
}
BENCHMARK(PoolWake)->UseRealTime();

// The last handles of many records go at once.
void ReleaseOfABatch(benchmark::State& state) {
  ManualClock clock;
  Waiting waiting(clock);
  TestOwner owner(waiting);
  std::vector<ObjectRef> refs;
  for (auto _ : state) {
    state.PauseTiming();
    for (std::int64_t i = 0; i < state.range(0); ++i) refs.push_back(owner.Put(1));
    state.ResumeTiming();
    refs.clear();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(ReleaseOfABatch)->Arg(1000);

}  // namespace
}  // namespace rustyray::core
