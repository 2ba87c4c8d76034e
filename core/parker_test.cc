#include "core/parker.h"

#include <atomic>
#include <chrono>
#include <thread>

#include "core/testing/seeds.h"
#include "gtest/gtest.h"

namespace rustyray::core {
namespace {

TEST(Parker, AnUnparkBeforeAParkIsNotLost) {
  Parker parker;
  parker.Unpark();
  parker.Park();
  EXPECT_FALSE(parker.TryPark());
}

TEST(Parker, ManyUnparksAreOneToken) {
  Parker parker;
  parker.Unpark();
  parker.Unpark();
  EXPECT_TRUE(parker.TryPark());
  EXPECT_FALSE(parker.TryPark());
}

TEST(Parker, ParkUntilTakesATokenOrGivesUpAtTheDeadline) {
  Parker parker;
  const auto now = std::chrono::steady_clock::now();
  EXPECT_FALSE(parker.ParkUntil(now - std::chrono::seconds(1)));
  EXPECT_FALSE(parker.ParkUntil(now + std::chrono::milliseconds(1)));
  parker.Unpark();
  EXPECT_TRUE(parker.ParkUntil(now + std::chrono::hours(1)));
}

// Two threads hand a turn to and fro: one token lost and both sleep for ever.
TEST(Parker, TwoThreadsTakeTurnsAndSeeWhatTheOtherWrote) {
  Parker ping, pong;
  const int rounds = Sized(20'000, 1'000'000);
  int shared = 0;  // not atomic: the parkers order it
  std::atomic<int> turn{0};
  std::thread other([&] {
    for (int i = 0; i < rounds; ++i) {
      while (turn.load(std::memory_order_relaxed) != 2 * i + 1) ping.Park();
      EXPECT_EQ(turn.load(std::memory_order_acquire), 2 * i + 1);
      ++shared;
      turn.store(2 * i + 2, std::memory_order_release);
      pong.Unpark();
    }
  });
  for (int i = 0; i < rounds; ++i) {
    turn.store(2 * i + 1, std::memory_order_release);
    ping.Unpark();
    while (turn.load(std::memory_order_acquire) != 2 * i + 2) {
      if (i % 2 == 0) {
        pong.Park();
      } else {
        pong.ParkUntil(std::chrono::steady_clock::now() + std::chrono::microseconds(i % 100));
      }
    }
  }
  other.join();
  EXPECT_EQ(shared, rounds);
}

}  // namespace
}  // namespace rustyray::core
