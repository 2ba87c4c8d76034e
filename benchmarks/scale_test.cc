// Cost grows with the number of things, and no faster: each case runs at three sizes, each four times the one before,
// the largest of which its name says, and compares what one item costs.
//
// Memory is what malloc has handed out. Time is the process's own, so that a busy machine does not count; it is
// printed, and held only to a bound that growth with the square would break. All runs on a small stack: nothing may
// recurse.
#include <malloc.h>
#include <ray/api.h>
#include <time.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <thread>
#include <vector>

#include "core/testing/small_stack.h"
#include "gtest/gtest.h"

namespace {

std::atomic<bool> gate{true};

int Echo(int x) { return x; }
int Add(int x, int y) { return x + y; }
// Takes a place until the gate opens, and next to no time. (A sleep that lasts would be found out, and its place lent.)
int AfterGate(int x) {
  while (!gate.load()) std::this_thread::sleep_for(std::chrono::microseconds(200));
  return x;
}
long Sum(const std::vector<ray::ObjectRef<int>>& refs) {
  long sum = 0;
  for (const auto& value : ray::Get(refs)) sum += *value;
  return sum;
}
RAY_REMOTE(Echo, Add, AfterGate, Sum);

struct Counter {
  static Counter* Create() { return new Counter(); }
  int Increment(int x) { return value += x; }
  int value = 0;
};
RAY_REMOTE(Counter::Create, &Counter::Increment);

std::size_t BytesInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

double CpuSeconds() {
  timespec time;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// What stands while a case looks at its memory.
class Scale : public ::testing::Test {
 protected:
  struct Each {
    double bytes = 0;
    double nanoseconds = 0;
  };

  // Measures `body(n, peak)` for three n up to `largest`; `peak` is called when all items are there.
  // Enough for waits to run calls, and for no recursion over what waits.
  static constexpr std::size_t kStack = 768 * 1024;

  template <class Body>
  static void Grows(const char* name, int largest, Body body) {
    std::array<Each, 3> each;
    rustyray::core::OnAStackOf(kStack, [&] {
      for (std::size_t i = 0; i < each.size(); ++i) {
        const int n = largest >> (2 * (each.size() - 1 - i));
        ray::Init();
        ray::Get(ray::Task(Echo).Remote(1));
        const std::size_t before = BytesInUse();
        const double start = CpuSeconds();
        body(n, [&] { each[i].bytes = static_cast<double>(BytesInUse() - before) / n; });
        each[i].nanoseconds = 1e9 * (CpuSeconds() - start) / n;
        ray::Shutdown();
        std::printf("%-24s %9d items: %8.1f bytes, %8.1f ns each\n", name, n, each[i].bytes, each[i].nanoseconds);
      }
    });
    EXPECT_LE(each[2].bytes, 1.3 * each[0].bytes + 64) << "memory grows faster than the number of items";
    EXPECT_LE(each[2].nanoseconds, 6 * each[0].nanoseconds + 1000) << "time grows faster than the number of items";
  }

  static void CloseGate() { gate.store(false); }
  static void OpenGate() { gate.store(true); }
};

TEST_F(Scale, AMillionPendingTasks) {
  Grows("pending tasks", 1'000'000, [](int n, auto peak) {
    CloseGate();
    std::vector<ray::ObjectRef<int>> refs;
    refs.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) refs.push_back(ray::Task(AfterGate).Remote(i));
    peak();
    OpenGate();
    const auto values = ray::Get(refs);
    for (int i = 0; i < n; ++i) ASSERT_EQ(*values[static_cast<std::size_t>(i)], i);
  });
}

TEST_F(Scale, AMillionObjects) {
  Grows("objects", 1'000'000, [](int n, auto peak) {
    std::vector<ray::ObjectRef<int>> refs;
    refs.reserve(static_cast<std::size_t>(n));
    for (int i = 0; i < n; ++i) refs.push_back(ray::Put(i));
    peak();
    for (int i = 0; i < n; ++i) ASSERT_EQ(*ray::Get(refs[static_cast<std::size_t>(i)]), i);
  });
}

TEST_F(Scale, AHundredThousandActors) {
  Grows("actors", 100'000, [](int n, auto peak) {
    std::vector<ray::ActorHandle<Counter>> actors;
    std::vector<ray::ObjectRef<int>> counts;
    for (int i = 0; i < n; ++i) {
      actors.push_back(ray::Actor(Counter::Create).Remote());
      counts.push_back(actors.back().Task(&Counter::Increment).Remote(i));
    }
    for (int i = 0; i < n; ++i) ASSERT_EQ(*ray::Get(counts[static_cast<std::size_t>(i)]), i);
    peak();
  });
}

TEST_F(Scale, AChainOfAMillionThatRunsFromItsBeginning) {
  Grows("chain, pending", 1'000'000, [](int n, auto peak) {
    CloseGate();
    auto ref = ray::Task(AfterGate).Remote(0);
    for (int i = 0; i < n; ++i) ref = ray::Task(Add).Remote(ref, 1);
    peak();
    OpenGate();
    ASSERT_EQ(*ray::Get(ref), n);
  });
}

TEST_F(Scale, AChainOfAMillionThatIsDroppedUnread) {
  Grows("chain, dropped", 1'000'000, [](int n, auto peak) {
    CloseGate();
    const auto first = ray::Task(AfterGate).Remote(0);
    auto ref = first;
    for (int i = 0; i < n; ++i) ref = ray::Task(Add).Remote(ref, 1);
    peak();
    ray::Cancel(first);  // the error runs along the chain
    ASSERT_FALSE(ray::TryGet(ref).ok());
    OpenGate();
  });
}

TEST_F(Scale, AFanInOfAHundredThousand) {
  Grows("fan-in", 100'000, [](int n, auto peak) {
    std::vector<ray::ObjectRef<int>> refs;
    for (int i = 0; i < n; ++i) refs.push_back(ray::Task(Echo).Remote(1));
    const auto sum = ray::Task(Sum).Remote(refs);
    peak();
    ASSERT_EQ(*ray::Get(sum), n);
  });
}

TEST_F(Scale, AWaitForHalfOfAHundredThousand) {
  Grows("wait for half", 100'000, [](int n, auto peak) {
    CloseGate();
    std::vector<ray::ObjectRef<int>> refs;
    for (int i = 0; i < n; ++i) refs.push_back(ray::Task(AfterGate).Remote(i));
    const auto none = ray::Wait(refs, n / 2, 0);
    ASSERT_EQ(none.ready.size(), 0u);
    peak();
    OpenGate();
    const auto some = ray::Wait(refs, n / 2, -1);
    ASSERT_GE(some.ready.size(), static_cast<std::size_t>(n / 2));
    ASSERT_EQ(some.ready.size() + some.unready.size(), refs.size());
  });
}

}  // namespace
