// An idle runtime wakes for nothing. It takes real time to see that.
#include <ray/api.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "context_switches.h"
#include "gtest/gtest.h"

namespace {

int Echo(int x) { return x; }
RAY_REMOTE(Echo);

struct Counter {
  static Counter* Create() { return new Counter(); }
  int Increment(int x) { return value += x; }
  int value = 0;
};
RAY_REMOTE(Counter::Create, &Counter::Increment);

TEST(Idle, NoThreadOfARuntimeWakesWhileThereIsNothingToDo) {
  ray::Init();
  const auto counter = ray::Actor(Counter::Create).Remote();
  for (int i = 0; i < 1000; ++i) {
    ray::Get(ray::Task(Echo).Remote(i));
    ray::Get(counter.Task(&Counter::Increment).Remote(1));
  }
  // Workers look for more work for some microseconds, on a busy machine for longer. What wakes again and again, such as
  // a timer, has no interval of this length without a switch.
  long switches = 1;
  for (int attempt = 0; attempt < 50 && switches != 0; ++attempt) {
    const long before = ContextSwitchesOfOthers();
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    switches = ContextSwitchesOfOthers() - before;
  }
  EXPECT_EQ(switches, 0);
  ray::Shutdown();
}

TEST(Idle, TheCountSeesAThreadThatWakes) {
  std::atomic<bool> stop{false};
  std::thread waker([&] {
    while (!stop.load()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  });
  const long before = ContextSwitchesOfOthers();
  long seen = 0;
  for (int attempt = 0; attempt < 1000 && seen < 5; ++attempt) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    seen = ContextSwitchesOfOthers() - before;
  }
  stop.store(true);
  waker.join();
  EXPECT_GE(seen, 5);
}

}  // namespace
