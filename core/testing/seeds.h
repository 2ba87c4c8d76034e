// Seeds for stress tests: the failing seed is printed, and RUSTYRAY_SEED=N replays it alone.
#ifndef RUSTYRAY_CORE_TESTING_SEEDS_H_
#define RUSTYRAY_CORE_TESTING_SEEDS_H_

#include <cstdint>
#include <cstdlib>
#include <string>

#include "gtest/gtest.h"

namespace rustyray::core {

// Under a sanitizer, where sizes that say nothing more to it are cut.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

// Whether the long sizes are asked for: RUSTYRAY_SOAK=1.
inline bool IsSoak() {
  const char* const soak = std::getenv("RUSTYRAY_SOAK");
  return soak != nullptr && std::string(soak) == "1";
}

// `normal`, or `soak` when the long sizes are asked for.
inline int Sized(int normal, int soak) { return IsSoak() ? soak : normal; }

// Calls `test` with `count` seeds, or with the one in RUSTYRAY_SEED; stops at the first that fails.
template <class Test>
void ForSeeds(int count, Test test) {
  std::uint64_t first = 1;
  if (const char* const only = std::getenv("RUSTYRAY_SEED")) {
    first = std::strtoull(only, nullptr, 10);
    count = 1;
  } else if (const char* const from = std::getenv("RUSTYRAY_FIRST_SEED")) {
    first = std::strtoull(from, nullptr, 10);
  }
  for (int i = 0; i < count; ++i) {
    const std::uint64_t seed = first + static_cast<std::uint64_t>(i);
    SCOPED_TRACE("replay with RUSTYRAY_SEED=" + std::to_string(seed));
    test(seed);
    if (testing::Test::HasFailure()) return;
  }
}

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_TESTING_SEEDS_H_
