#include "ray/testing.h"

#include "core/error.h"
#include "ray/api/exception.h"
#include "ray/api/lifecycle.h"
#include "ray/api/runtime_use.h"

namespace ray::testing {

void RayTest::SetUp() {
  ASSERT_FALSE(IsInitialized()) << "an earlier test left a runtime up: call ray::Shutdown in it";
  const absl::Status status = TryInit(config_);
  ASSERT_TRUE(status.ok()) << status.message();
}

void RayTest::TearDown() {
  if (!IsInitialized()) return;  // the test ended it itself
  const std::string live = LiveObjects();
  EXPECT_EQ(live, "") << "refs leak: " << live;
  const absl::Status status = TryShutdown();
  EXPECT_TRUE(status.ok()) << status.message();
}

std::string LiveObjects() {
  const internal::RuntimeUse runtime;
  internal::ThrowUnlessOk(runtime.status());
  return runtime->owners().LeakReport();
}

}  // namespace ray::testing
