#include "core/biased_lock.h"

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "core/mutex.h"
#include "gtest/gtest.h"

namespace rustyray::core {
namespace {

constexpr int kThreads = 3;

// A sum that must always be zero: a section moves between two words of its thread, an intrusion between threads.
struct Part {
  std::int64_t mine = 0, other = 0;  // not atomic: the thread sanitizer is to see any overlap
};

TEST(BiasedLock, ASectionNeverOverlapsAnIntrusion) {
  BiasedLock lock;
  std::vector<Part> parts(kThreads);
  std::atomic<int> running{kThreads};
  std::atomic<std::uint64_t> intrusions{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      // Until there were enough intrusions: they are what is tested.
      for (int i = 0; i < 20'000 || intrusions.load(std::memory_order_relaxed) < 200; ++i) {
        const BiasedLock::Section section(lock);
        ++parts[t].mine;
        --parts[t].other;
      }
      --running;
    });
  }
  while (running.load() > 0) {
    const BiasedLock::Intrusion intrusion(lock);
    for (Part& part : parts) {
      ASSERT_EQ(part.mine + part.other, 0);
      part.mine = part.other = 0;
    }
    ++intrusions;
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(BiasedLock, WhatWasTakenOutIsReadByNobodyAfterAwaitReaders) {
  BiasedLock lock;
  std::vector<std::atomic<int*>> slots(kThreads);
  std::atomic<int> running{kThreads};
  std::atomic<std::uint64_t> read{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      int value = 0;  // not atomic: the thread sanitizer is to see any overlap
      for (int i = 0; i < 20'000 || read.load(std::memory_order_relaxed) < 50; ++i) {
        value = 1;
        slots[t].store(&value, std::memory_order_release);
        for (int spin = 0; spin < i % 64; ++spin) asm volatile("" ::: "memory");
        slots[t].store(nullptr, std::memory_order_relaxed);
        lock.AwaitReaders();
        value = 2;
      }
      --running;
    });
  }
  while (running.load() > 0) {
    const BiasedLock::Intrusion intrusion(lock);
    for (std::atomic<int*>& slot : slots) {
      const int* const value = slot.load(std::memory_order_acquire);
      if (value == nullptr) continue;
      for (int looks = 0; looks < 100; ++looks) ASSERT_EQ(*value, 1);
      ++read;
    }
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(BiasedLock, IntrusionsExcludeEachOther) {
  BiasedLock lock;
  std::int64_t count = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) {
        const BiasedLock::Intrusion intrusion(lock);
        ++count;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, kThreads * 500);
}

TEST(BiasedLock, ThreadsMayComeAndGo) {
  BiasedLock lock;
  std::atomic<std::int64_t> sum{0};
  std::atomic<bool> stop{false};
  std::thread intruder([&] {
    while (!stop.load()) {
      const BiasedLock::Intrusion intrusion(lock);
      const std::int64_t seen = sum.load(std::memory_order_relaxed);
      std::this_thread::yield();
      ASSERT_EQ(sum.load(std::memory_order_relaxed), seen);
    }
  });
  for (int i = 0; i < 300; ++i) {
    std::thread([&] {
      const BiasedLock::Section section(lock);
      sum.store(sum.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }).join();
  }
  stop.store(true);
  intruder.join();
  EXPECT_EQ(sum.load(), 300);
}

TEST(BiasedLock, ASectionTakesNoLock) {
  BiasedLock lock;
  { const BiasedLock::Section first(lock); }
  const std::uint64_t before = locks_taken_by_this_thread;
  { const BiasedLock::Section section(lock); }
  EXPECT_EQ(locks_taken_by_this_thread, before);
}

TEST(BiasedLock, TheChildOfAForkDoesNotWaitForThreadsThatAreNotThere) {
  BiasedLock lock, another;
  std::atomic<bool> inside{false}, leave{false};
  std::thread thread([&] {
    const BiasedLock::Section section(lock);
    inside.store(true);
    while (!leave.load()) std::this_thread::yield();
  });
  while (!inside.load()) std::this_thread::yield();
  const pid_t child = fork();
  if (child == 0) {
    { const BiasedLock::Intrusion intrusion(another); }
    _exit(0);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  leave.store(true);
  thread.join();
}

// Dekker's: of two threads that each say something and then look at what the other said, one sees it.
TEST(Fences, OfALightAndAHeavyOneAtLeastOneSees) {
  constexpr int kRounds = 5'000;
  std::atomic<int> light{0}, heavy{0}, begun{0}, done{0};
  bool light_saw = false;
  const auto until = [](const std::atomic<int>& word, int value) {
    for (int looks = 0; word.load(std::memory_order_acquire) != value;) {
      if (++looks % 1024 == 0) std::this_thread::yield();
    }
  };
  std::thread thread([&] {
    for (int round = 1; round <= kRounds; ++round) {
      until(begun, round);
      light.store(round, std::memory_order_relaxed);
      LightFence();
      light_saw = heavy.load(std::memory_order_relaxed) == round;
      done.store(round, std::memory_order_release);
    }
  });
  int missed = 0;
  for (int round = 1; round <= kRounds; ++round) {
    begun.store(round, std::memory_order_release);
    heavy.store(round, std::memory_order_relaxed);
    HeavyFence();
    const bool heavy_saw = light.load(std::memory_order_relaxed) == round;
    until(done, round);
    missed += !light_saw && !heavy_saw;
  }
  thread.join();
  EXPECT_EQ(missed, 0);
}

}  // namespace
}  // namespace rustyray::core
