// What a task costs beside its function, over the memory store only: shared memory needs a name and an entry for each
// result, which take blocks and locks of their own.

#include <cstdint>

#include "absl/status/status.h"
#include "core/executor.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/testing/allocation_count.h"
#include "gtest/gtest.h"
#include "task/task_fixture.h"
#include "task/task_system.h"

namespace rustyray::task {
namespace {

using TaskCosts = TaskFixture;

TEST_F(TaskCosts, ATaskIsOneAllocationWithItsResultAndItsGetsCopyOfASmallValueNone) {
  const auto add = +[](int a, int b) { return a + b; };
  const auto once = [&] { return *tasks.Run(kF, add, 1, 2).Get<int>(); };
  once();  // the queue's own block
  const std::uint64_t before = core::AllocationsOfThisThread();
  EXPECT_EQ(once(), 3);
  if (core::AllocationsAreCounted()) {
    EXPECT_EQ(core::AllocationsOfThisThread() - before, 1u);
  }
}

// An executor with no queue at all: what is scheduled waits for somebody who helps.
class NoThreads final : public core::Executor {
 public:
  bool Schedule(core::Runnable& work) override {
    newest_ = &work;
    return true;
  }
  bool Unschedule(core::Runnable& work) override {
    if (newest_ != &work) return false;
    newest_ = nullptr;
    return true;
  }
  bool TryEnter() override { return true; }
  void Leave() override {}
  absl::Status BeginBlocking() override { return absl::OkStatus(); }
  void EndBlocking() override {}
  bool stopping() const override { return false; }

 private:
  core::Runnable* newest_ = nullptr;
};

TEST_F(TaskCosts, SubmitAndWaitOfACallThatNobodyElseTakesLocksNothing) {
  NoThreads none;
  TaskSystem system(none, clock, owner, registry);
  const auto add = +[](int a, int b) { return a + b; };
  EXPECT_EQ(*system.Run(kF, add, 1, 2).Get<int>(), 3);  // the thread gets its credit from the store's ledger
  const std::uint64_t before = core::locks_taken_by_this_thread;
  EXPECT_EQ(*system.Run(kF, add, 1, 2).Get<int>(), 3);
  EXPECT_EQ(core::locks_taken_by_this_thread, before);
}

}  // namespace
}  // namespace rustyray::task
