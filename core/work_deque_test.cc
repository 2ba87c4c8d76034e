#include "core/work_deque.h"

#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "core/executor.h"
#include "core/testing/seeds.h"
#include "gtest/gtest.h"

namespace rustyray::core {
namespace {

struct Item final : Runnable {
  void RunScheduled() override { ++taken; }
  void DiscardScheduled() override {}
  std::atomic<int> taken{0};
  int written = 0;  // not atomic: whoever takes the item must see it
};

TEST(WorkDeque, TheOwnerTakesTheNewestAThiefTheOldest) {
  WorkDeque deque;
  EXPECT_TRUE(deque.Empty());
  EXPECT_EQ(deque.Pop(), nullptr);
  EXPECT_EQ(deque.Steal(), nullptr);
  Item a, b, c;
  deque.Push(&a);
  deque.Push(&b);
  deque.Push(&c);
  EXPECT_EQ(deque.Pop(), &c);
  EXPECT_EQ(deque.Steal(), &a);
  EXPECT_EQ(deque.Pop(), &b);
  EXPECT_TRUE(deque.Empty());
}

TEST(WorkDeque, AThiefLeavesALoneItemToItsOwnerUntilItSeesItAgain) {
  WorkDeque deque;
  Item a, b;
  deque.Push(&a);
  EXPECT_EQ(deque.Steal(), nullptr);
  EXPECT_EQ(deque.Pop(), &a);
  deque.Push(&b);
  EXPECT_EQ(deque.Steal(), nullptr) << "that it saw another before does not count";
  EXPECT_FALSE(deque.Empty());
  EXPECT_EQ(deque.Steal(), &b);
  deque.Push(&a);
  EXPECT_EQ(deque.Steal(/*at_once=*/true), &a);
}

TEST(WorkDeque, PopIfTakesOnlyTheNewest) {
  WorkDeque deque;
  Item a, b;
  EXPECT_FALSE(deque.PopIf(&a));
  deque.Push(&a);
  deque.Push(&b);
  EXPECT_FALSE(deque.PopIf(&a));
  EXPECT_TRUE(deque.PopIf(&b));
  EXPECT_TRUE(deque.PopIf(&a));
  EXPECT_FALSE(deque.PopIf(&a));
}

TEST(WorkDeque, GrowsAndKeepsOrderAlsoWhenItWrapsAround) {
  WorkDeque deque;
  std::vector<Item> items(5000);
  std::size_t pushed = 0, stolen = 0;
  while (stolen < items.size()) {
    for (int i = 0; i < 700 && pushed < items.size(); ++i) deque.Push(&items[pushed++]);
    for (int i = 0; i < 300 && stolen < items.size(); ++i) ASSERT_EQ(deque.Steal(/*at_once=*/true), &items[stolen++]);
  }
  EXPECT_TRUE(deque.Empty());
  deque.Shrink();
  deque.Push(&items[0]);
  EXPECT_EQ(deque.Pop(), &items[0]);
}

TEST(WorkDeque, EachItemIsTakenOnceByTheOwnerOrAThief) {
  ForSeeds(Sized(30, 1000), [&](std::uint64_t seed) {
    WorkDeque deque;
    std::vector<Item> items(4000);
    std::atomic<int> taken{0};
    std::atomic<bool> pushed_all{false};
    const auto take = [&](Runnable* work) {
      if (work == nullptr) return;
      auto* const item = static_cast<Item*>(work);
      EXPECT_EQ(item->written, 1);
      item->RunScheduled();
      ++taken;
    };
    std::vector<std::thread> thieves;
    for (int i = 0; i < 2; ++i) {
      thieves.emplace_back([&] {
        while (!pushed_all.load() || !deque.Empty()) take(deque.Steal());
      });
    }
    std::mt19937_64 random(seed);
    for (Item& item : items) {
      item.written = 1;
      deque.Push(&item);
      switch (random() % 4) {
        case 0:
          take(deque.Pop());
          break;
        case 1:
          if (deque.PopIf(&item)) take(&item);
          break;
        default:
          break;
      }
    }
    pushed_all.store(true);
    while (!deque.Empty()) take(deque.Pop());
    for (std::thread& thief : thieves) thief.join();
    ASSERT_EQ(taken.load(), static_cast<int>(items.size()));
    for (const Item& item : items) ASSERT_EQ(item.taken.load(), 1);
  });
}

}  // namespace
}  // namespace rustyray::core
