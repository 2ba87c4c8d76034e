// Init refuses functions registered twice, and says which and where. A binary of its own: the list is the program's.
#include <ray/api.h>

#include <string>

#include "gtest/gtest.h"

int Twice(int x) { return 2 * x; }
namespace other {
int Twice(int x) { return x + x; }
}  // namespace other

constexpr int kFirst = __LINE__ + 1;
RAY_REMOTE(Twice);
namespace other {
constexpr int kSecond = __LINE__ + 1;
RAY_REMOTE(Twice);
}  // namespace other

TEST(DuplicateRegistration, IsAnErrorOfInitThatNamesBothPlaces) {
  try {
    ray::Init();
    FAIL() << "Init took a duplicate";
  } catch (const ray::RayException& e) {
    const std::string what = e.what();
    EXPECT_NE(what.find("registered twice"), std::string::npos) << what;
    EXPECT_NE(what.find("'Twice' at"), std::string::npos) << what;
    EXPECT_NE(what.find("duplicate_registration_test.cc:" + std::to_string(kFirst)), std::string::npos) << what;
    EXPECT_NE(what.find("duplicate_registration_test.cc:" + std::to_string(other::kSecond)), std::string::npos) << what;
  }
  EXPECT_FALSE(ray::IsInitialized());
}
