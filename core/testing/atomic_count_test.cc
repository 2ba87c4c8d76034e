#include "core/testing/atomic_count.h"

#include <atomic>

#include "gtest/gtest.h"

namespace rustyray::core {
namespace {

TEST(AtomicCount, CountsReadModifyWritesAndSequentiallyConsistentStoresAndNothingElse) {
  if (!CountsSteps()) GTEST_SKIP() << "not on this machine, or under a sanitizer";
  std::atomic<int> number{0};
  std::atomic<long> word{0};
  const auto atomics = [](auto body) { return CountSteps(body).atomics; };
  const std::uint64_t none = atomics([&] {
    number.store(1, std::memory_order_release);
    word.store(number.load(std::memory_order_seq_cst), std::memory_order_relaxed);
  });
  EXPECT_EQ(none, 0u);
  EXPECT_EQ(atomics([&] { number.fetch_add(1, std::memory_order_relaxed); }), 1u);
  EXPECT_EQ(atomics([&] { word.exchange(5); }), 1u);
  EXPECT_EQ(atomics([&] { word.store(6, std::memory_order_seq_cst); }), 1u);
  EXPECT_EQ(atomics([&] {
              int seen = 2;
              number.compare_exchange_strong(seen, 3);
              word.fetch_or(1);
            }),
            2u);
  EXPECT_EQ(number.load(), 3);
}

TEST(AtomicCount, CountsInstructions) {
  if (!CountsSteps()) GTEST_SKIP() << "not on this machine, or under a sanitizer";
  volatile int sum = 0;
  const std::uint64_t few = CountSteps([&] {
                              for (int i = 0; i < 10; ++i) sum = sum + i;
                            }).instructions;
  const std::uint64_t many = CountSteps([&] {
                               for (int i = 0; i < 110; ++i) sum = sum + i;
                             }).instructions;
  EXPECT_GE(many - few, 300u);
  EXPECT_LE(many - few, 1000u);
}

}  // namespace
}  // namespace rustyray::core
