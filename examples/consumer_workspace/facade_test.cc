#include <ray/api.h>

#include <vector>

#include "gtest/gtest.h"
#include "ray/testing.h"
#include "thermometer.h"

namespace {

// A runtime for each test; objects that are left over fail it.
using ThermometerTest = ray::testing::RayTest;

TEST_F(ThermometerTest, KeepsReadingsInOrderWithTheOffset) {
  auto thermometer = ray::Actor(Thermometer::Create).Remote(1.0);
  thermometer.Task(&Thermometer::Add).Remote(10.0);
  thermometer.Task(&Thermometer::Add).Remote(20.0);
  EXPECT_EQ(*ray::Get(thermometer.Task(&Thermometer::Readings).Remote()), (std::vector<double>{11.0, 21.0}));
}

TEST_F(ThermometerTest, MeanOfNoReadingsIsAnError) {
  auto thermometer = ray::Actor(Thermometer::Create).Remote(0.0);
  auto mean = ray::Task(Mean).Remote(thermometer.Task(&Thermometer::Readings).Remote());
  EXPECT_THROW(ray::Get(mean), ray::RayTaskException);
}

}  // namespace
