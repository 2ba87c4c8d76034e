// Holds the hot paths to what they are designed to cost: allocations (malloc and mmap, so pools too) and locks
// (core::Mutex and the spin bits of records).
#include <ray/api.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/mutex.h"
#include "core/testing/allocation_count.h"
#include "gtest/gtest.h"
#include "ray/testing.h"

namespace {

using rustyray::core::AllocationsAreCounted;
using rustyray::core::AllocationsOfThisThread;

int Add(int x, int y) { return x + y; }
RAY_REMOTE(Add);

class Costs : public ray::testing::RayTest {
 protected:
  void SetUp() override {
    RayTest::SetUp();
    if (!AllocationsAreCounted()) GTEST_SKIP() << "a sanitizer allocates";
    // Threads, slots and tables are made once.
    for (int i = 0; i < 1000; ++i) ray::Get(ray::Task(Add).Remote(i, i));
  }
};

struct Cost {
  std::uint64_t allocations;
  std::uint64_t locks;
};

template <class Body>
Cost Of(Body body) {
  const std::uint64_t allocations = AllocationsOfThisThread();
  const std::uint64_t locks = rustyray::core::locks_taken_by_this_thread;
  body();
  return {AllocationsOfThisThread() - allocations, rustyray::core::locks_taken_by_this_thread - locks};
}

TEST_F(Costs, ATaskIsOneAllocationAndItsGetsCopyOneMore) {
  int inline_runs = 0;
  int thread_starts = 0;
  // A worker that searches may be faster every time for a while; not for ever.
  for (int i = 0; i < 1000 || (inline_runs == 0 && i < 100'000); ++i) {
    ray::ObjectRef<int> ref;
    const std::uint64_t allocations = Of([&] { ref = ray::Task(Add).Remote(i, 1); }).allocations;
    EXPECT_GE(allocations, 1u);
    thread_starts += allocations != 1;  // a worker more is the pool's cost, not the task's
    std::shared_ptr<int> sum;
    // Runs here, with all that the run allocates, unless a worker was faster.
    const Cost get = Of([&] { sum = ray::Get(ref); });
    EXPECT_EQ(get.allocations, 1u);
    inline_runs += get.locks == 0;
    EXPECT_EQ(*sum, i + 1);
  }
  EXPECT_LE(thread_starts, 4);
  EXPECT_GT(inline_runs, 0) << "no task was run and read without a lock";
}

TEST_F(Costs, APutIsOneAllocationAndNoLock) {
  for (int i = 0; i < 1000; ++i) {
    ray::ObjectRef<int> ref;
    const Cost put = Of([&] { ref = ray::Put(i); });
    EXPECT_EQ(put.allocations, 1u);
    EXPECT_EQ(put.locks, 0u);
    EXPECT_EQ(Of([&] { ref = {}; }).locks, 0u) << "dropping the last ref locks";
  }
}

TEST_F(Costs, AViewTakesNoLockAndAfterTheFirstNoAllocation) {
  const auto ref = ray::Put(std::string(1000, 'x'));
  auto first = ray::View(ref);
  for (int i = 0; i < 1000; ++i) {
    std::shared_ptr<const std::string> view;
    const Cost cost = Of([&] { view = ray::View(ref); });
    EXPECT_EQ(cost.allocations, 0u);
    EXPECT_EQ(cost.locks, 0u);
    EXPECT_EQ(view.get(), first.get());
  }
  first.reset();
  EXPECT_EQ(Of([&] { ray::View(ref); }).allocations, 0u) << "the anchor went with the last View";
}

TEST_F(Costs, AGetOfAnObjectThatIsThereIsOneAllocationAndNoLock) {
  const auto ref = ray::Put(5);
  for (int i = 0; i < 1000; ++i) {
    const Cost cost = Of([&] { ray::Get(ref); });
    EXPECT_EQ(cost.allocations, 1u);
    EXPECT_EQ(cost.locks, 0u);
  }
}

}  // namespace
