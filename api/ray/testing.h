// ray::testing::RayTest: a gtest fixture that brings a runtime up before each test and down after it, and fails the
// test when objects are left that something still refers to.
//
//   using MyTest = ray::testing::RayTest;
//   TEST_F(MyTest, Adds) { EXPECT_EQ(*ray::Get(ray::Task(Add).Remote(1, 2)), 3); }
//
// A subclass sets another config in its constructor. Threads: gtest's.
#ifndef RAY_TESTING_H_
#define RAY_TESTING_H_

#include <string>

#include "gtest/gtest.h"
#include "ray/api/ray_config.h"

namespace ray::testing {

class RayTest : public ::testing::Test {
 protected:
  RayTest() = default;
  explicit RayTest(const RayConfig& config) : config_(config) {}

  void SetUp() override;
  void TearDown() override;

  RayConfig config_;
};

// The objects that are referred to at present, a line each; empty when there are none. Tasks that run hold theirs.
std::string LiveObjects();

}  // namespace ray::testing

#endif  // RAY_TESTING_H_
