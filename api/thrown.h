// What a call threw: for the tests of the API's messages.
#ifndef RAY_THROWN_H_
#define RAY_THROWN_H_

#include <ray/api.h>

#include <exception>
#include <string>

namespace ray {

// The text of the E that `call` throws; else that it threw another exception, or none.
template <class E = RayException, class Call>
std::string Thrown(Call call) {
  try {
    call();
  } catch (const E& e) {
    return e.what();
  } catch (const std::exception& e) {
    return std::string("another exception: ") + e.what();
  }
  return "nothing was thrown";
}

}  // namespace ray

#define EXPECT_HAS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << text

#endif  // RAY_THROWN_H_
