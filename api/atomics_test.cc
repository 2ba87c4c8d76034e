// Holds the hot paths to their atomic read-modify-writes and instructions, and prints them: docs/performance.md has
// them.
//
// The counted thread runs step by step, a thousand times slower than others. So that no worker takes its calls
// meanwhile there is one worker, which is busy.
#include <ray/api.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <vector>

#include "core/mutex.h"
#include "core/testing/allocation_count.h"
#include "core/testing/atomic_count.h"
#include "gtest/gtest.h"

namespace {

using rustyray::core::CountSteps;

std::atomic<bool> gate{true};
std::atomic<bool> held{false};

int Echo(int x) { return x; }
int Add(int x, int y) { return x + y; }
int Hold() {
  held.store(true);
  while (!gate.load()) std::this_thread::yield();
  return 0;
}
RAY_REMOTE(Echo, Add, Hold);

struct Counter {
  static Counter* Create() { return new Counter(); }
  int Increment(int x) { return value += x; }
  int value = 0;
};
RAY_REMOTE(Counter::Create, &Counter::Increment);

class Atomics : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!rustyray::core::CountsSteps()) GTEST_SKIP() << "not on this machine, or under a sanitizer";
    ray::RayConfig config;
    config.threads = 2;
    config.max_threads = 1;
    ray::Init(config);
    gate.store(false);
    held.store(false);
    held_ = ray::Task(Hold).Remote();
    while (!held.load()) std::this_thread::yield();
  }
  void TearDown() override {
    gate.store(true);
    held_ = {};
    if (ray::IsInitialized()) ray::Shutdown();
  }

  // Counts what one of `calls` in `body` costs, once everything that is made once is there, and prints it.
  template <class Body>
  static void HoldsTo(const char* name, int calls, double most_atomics, Body body) {
    for (int i = 0; i < 3; ++i) body();
    const std::uint64_t locks = rustyray::core::locks_taken_by_this_thread;
    const std::uint64_t allocations = rustyray::core::AllocationsOfThisThread();
    const rustyray::core::Steps steps = CountSteps(body);
    const double each = 1.0 / calls;
    const double atomics = each * static_cast<double>(steps.atomics);
    std::printf("%-28s %6.2f allocations %6.2f locks %6.2f atomics %8.1f instructions\n", name,
                each * static_cast<double>(rustyray::core::AllocationsOfThisThread() - allocations),
                each * static_cast<double>(rustyray::core::locks_taken_by_this_thread - locks), atomics,
                each * static_cast<double>(steps.instructions));
    EXPECT_LE(atomics, most_atomics) << name;
    EXPECT_GT(steps.instructions, 0u) << name;
  }

 private:
  ray::ObjectRef<int> held_;
};

TEST_F(Atomics, OfTheHotPaths) {
  constexpr int kMany = 100;
  const auto number = ray::Put(5);
  const auto first_view = ray::View(number);
  std::vector<ray::ObjectRef<int>> refs;
  refs.reserve(kMany);

  HoldsTo("put and drop", 1, 0, [] { ray::Put(7); });
  HoldsTo("get", 1, 0, [&] { ray::Get(number); });
  HoldsTo("view", 1, 2, [&] { ray::View(number); });
  HoldsTo("task, waited for", 1, 6, [] { ray::Get(ray::Task(Echo).Remote(1)); });
  HoldsTo("task, in flight", kMany, 6, [&] {
    for (int i = 0; i < kMany; ++i) refs.push_back(ray::Task(Echo).Remote(i));
    ray::Get(refs);
    refs.clear();
  });
  HoldsTo("task with a ref, waited for", 1, 16, [&] { ray::Get(ray::Task(Add).Remote(number, 1)); });
  const auto counter = ray::Actor(Counter::Create).Remote();
  HoldsTo("actor call, waited for", 1, 9, [&] { ray::Get(counter.Task(&Counter::Increment).Remote(1)); });
  HoldsTo("actor call, in flight", kMany, 6, [&] {
    for (int i = 0; i < kMany; ++i) refs.push_back(counter.Task(&Counter::Increment).Remote(i));
    ray::Get(refs);
    refs.clear();
  });
}

}  // namespace
