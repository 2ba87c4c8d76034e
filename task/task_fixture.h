// What tests of the task layer start from: a task system stepped by hand.
#ifndef RUSTYRAY_TASK_TASK_FIXTURE_H_
#define RUSTYRAY_TASK_TASK_FIXTURE_H_

#include "core/call.h"
#include "core/clock.h"
#include "core/manual_executor.h"
#include "core/testing/test_owner.h"
#include "core/waiting.h"
#include "gtest/gtest.h"
#include "task/function_registry.h"
#include "task/store_under_test.h"
#include "task/task_system.h"

namespace rustyray::task {

inline constexpr core::FunctionInfo kF{.name = "f"};
inline constexpr core::FunctionInfo kG{.name = "g"};
inline constexpr core::FunctionInfo kH{.name = "h"};

// One thread, a clock that stands still, an executor that runs when it is stepped or waited on. At the end of a test no
// value may be left.
class TaskFixture : public testing::Test {
 protected:
  ~TaskFixture() override {
    executor.RunUntilIdle();
    EXPECT_EQ(owner.values(), 0);
    EXPECT_EQ(owner.bytes(), 0u);
    EXPECT_EQ(owner.bytes_elsewhere(), 0u);
    EXPECT_EQ(owner.borrows(), 0);
    EXPECT_EQ(owner.indexed(), 0u);
  }

  core::ManualClock clock;
  core::Waiting waiting{clock};
  StoreUnderTest owner{waiting};
  core::ManualExecutor executor;
  FunctionRegistry registry;
  TaskSystem tasks{executor, clock, owner, registry};
};

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_TASK_FIXTURE_H_
