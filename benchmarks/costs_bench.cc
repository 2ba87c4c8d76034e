// The rows of the comparison that Ray's API has no word for: Views, memory, idleness, what the owner service costs, and
// actors that call actors. `names` as in compare_rows.py.
#include <malloc.h>
#include <ray/api.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "context_switches.h"
#include "core/call.h"
#include "core/object_ref.h"
#include "runtime/embedded_runtime.h"
#include "timeit.h"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t k100MiB = 100 << 20;

std::atomic<bool> gate{true};

int Echo(int x) { return x; }
std::size_t Length(const std::string& s) { return s.size(); }
int HoldGate() {
  while (!gate.load()) std::this_thread::yield();
  return 0;
}
RAY_REMOTE(Echo, Length, HoldGate);

struct Counter {
  static Counter* Create() { return new Counter(); }
  int Increment(int x) { return value += x; }
  int value = 0;
};
// Calls another actor, each time waiting for its answer, or all at once.
struct Caller {
  static Caller* Create(ray::ActorHandle<Counter> target) { return new Caller{std::move(target)}; }
  int PingPong(int calls) {
    int last = 0;
    for (int i = 0; i < calls; ++i) last = *ray::Get(target.Task(&Counter::Increment).Remote(1));
    return last;
  }
  int Burst(int calls) {
    std::vector<ray::ObjectRef<int>> refs;
    for (int i = 0; i < calls; ++i) refs.push_back(target.Task(&Counter::Increment).Remote(1));
    return *ray::Get(refs).back();
  }
  ray::ActorHandle<Counter> target;
};
RAY_REMOTE(Counter::Create, &Counter::Increment, Caller::Create, &Caller::PingPong, &Caller::Burst);

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

template <class Body>
double Seconds(Body body) {
  const auto start = Clock::now();
  body();
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::size_t BytesInUse() {
  const struct mallinfo2 info = mallinfo2();
  return info.uordblks + info.hblkhd;
}

void ReadingAndPassing() {
  auto small = ray::Put(std::string(64, 'x'));
  auto large = ray::Put(std::string(k100MiB, 'x'));
  TimeIt("view_64B", 1000, [&] {
    for (int i = 0; i < 1000; ++i) ray::View(small);
  });
  // What no View can be faster than, as long as it is a std::shared_ptr that shares a count.
  const std::shared_ptr<const std::string> shared = ray::View(small);
  TimeIt("shared_ptr_copy", 1000, [&] {
    for (int i = 0; i < 1000; ++i) {
      const std::shared_ptr<const std::string> copy = shared;
      asm volatile("" : : "r"(copy.get()) : "memory");
    }
  });
  TimeIt("view_100MiB", 1000, [&] {
    for (int i = 0; i < 1000; ++i) ray::View(large);
  });
  TimeIt("pass_64B_to_task", 100, [&] {
    for (int i = 0; i < 100; ++i) ray::Get(ray::Task(Length).Remote(small));
  });
  TimeIt("pass_100MiB_to_task", 100, [&] {
    for (int i = 0; i < 100; ++i) ray::Get(ray::Task(Length).Remote(large));
  });
}

void Putting() {
  if (IsWanted("put_100MiB_by_move_bytes_copied")) {
    std::string bytes(k100MiB, 'x');
    const void* const before = bytes.data();
    const auto ref = ray::Put(std::move(bytes));
    PrintRow("put_100MiB_by_move_bytes_copied", ray::View(ref)->data() == before ? 0 : k100MiB);
  }
  const std::string bytes(k100MiB, 'x');
  TimeIt("put_100MiB_by_copy_gigabytes", k100MiB / 1e9, [&] { ray::Put(bytes); });
  // Into memory that is as new as what a put copies to: pages that the system gives and clears at the first touch.
  TimeIt("memcpy_100MiB_same_age_gigabytes", k100MiB / 1e9, [&] {
    const std::unique_ptr<char[]> fresh(new char[k100MiB]);
    std::memcpy(fresh.get(), bytes.data(), k100MiB);
    asm volatile("" : : "r"(fresh.get()) : "memory");
  });
}

void ActorsThatCallActors() {
  auto counter = ray::Actor(Counter::Create).Remote();
  auto caller = ray::Actor(Caller::Create).Remote(counter);
  TimeIt("actor_to_actor_in_flight", 1000, [&] { ray::Get(caller.Task(&Caller::Burst).Remote(1000)); });
  TimeIt("actor_to_actor_ping_pong", 1000, [&] { ray::Get(caller.Task(&Caller::PingPong).Remote(1000)); });
}

void Memory() {
  constexpr int kCount = 100'000;
  const auto each = [](std::size_t before, std::size_t payload) {
    return static_cast<double>(BytesInUse() - before) / kCount - static_cast<double>(payload);
  };
  std::vector<ray::ObjectRef<int>> refs;
  refs.reserve(kCount);  // the refs themselves are their user's
  if (IsWanted("memory_object_bytes")) {
    const std::size_t before = BytesInUse();
    for (int i = 0; i < kCount; ++i) refs.push_back(ray::Put(i));
    PrintRow("memory_object_bytes", each(before, sizeof(int)));
    refs.clear();
  }
  if (IsWanted("memory_task_pending_bytes") || IsWanted("memory_task_done_bytes")) {
    // Every place is taken, so that nothing begins.
    gate.store(false);
    std::vector<ray::ObjectRef<int>> holding;
    for (unsigned i = 0; i < std::thread::hardware_concurrency(); ++i) {
      holding.push_back(ray::Task(HoldGate).Remote());
    }
    const std::size_t before = BytesInUse();
    for (int i = 0; i < kCount; ++i) refs.push_back(ray::Task(Echo).Remote(i));
    if (IsWanted("memory_task_pending_bytes")) PrintRow("memory_task_pending_bytes", each(before, 0));
    gate.store(true);
    ray::Wait(refs, kCount, -1);
    if (IsWanted("memory_task_done_bytes")) PrintRow("memory_task_done_bytes", each(before, 0));
    refs.clear();
  }
  if (IsWanted("memory_idle_actor_bytes")) {
    std::vector<ray::ActorHandle<Counter>> actors;
    actors.reserve(kCount);
    const std::size_t before = BytesInUse();
    for (int i = 0; i < kCount; ++i) {
      actors.push_back(ray::Actor(Counter::Create).Remote());
      ray::Get(actors.back().Task(&Counter::Increment).Remote(1));
    }
    PrintRow("memory_idle_actor_bytes", each(before, 0));
  }
}

void Idleness() {
  if (!IsWanted("idle_context_switches_a_second")) return;
  for (int i = 0; i < 1000; ++i) ray::Get(ray::Task(Echo).Remote(i));
  std::this_thread::sleep_for(std::chrono::milliseconds(100));  // workers look for more for a while
  const long before = ContextSwitchesOfOthers();
  const double seconds = Seconds([] { std::this_thread::sleep_for(std::chrono::seconds(2)); });
  PrintRow("idle_context_switches_a_second", static_cast<double>(ContextSwitchesOfOthers() - before) / seconds);
}

void Beginnings() {
  if (!IsWanted("init_and_shutdown_milliseconds")) return;
  std::vector<double> times;
  for (int i = 0; i < 21; ++i) {
    double seconds = Seconds([] { ray::Init(); });
    for (int task = 0; task < 100; ++task) ray::Get(ray::Task(Echo).Remote(task));  // threads to end
    seconds += Seconds([] { ray::Shutdown(); });
    times.push_back(1e3 * seconds);
  }
  std::printf("%-36s %14.3f\n", "init_and_shutdown_milliseconds", Median(times));
}

// Two runtimes of one process, with and without the owner service, take turns. Each pair is made anew: where their
// threads and stores come to lie is worth several percent, for as long as they live. On one place all work is done by
// the thread that submits, and the ratio says what the service costs; on more, how much of the work the others take
// depends on the pace of the submitter, and the ratio swings by more than the cost, either way.
void OwnerService(const char* name, int places) {
  if (!IsWanted(name)) return;
  using rustyray::runtime::MakeEmbeddedRuntime;
  using rustyray::runtime::Runtime;
  static constexpr rustyray::core::FunctionInfo kEcho{"Echo"};
  const auto run = [](Runtime& runtime) {
    return Seconds([&] {
      for (int round = 0; round < 20; ++round) {
        std::vector<rustyray::core::ObjectRef> refs;
        refs.reserve(1000);
        for (int i = 0; i < 1000; ++i) refs.push_back(runtime.tasks().Run(kEcho, &Echo, i));
        if (!runtime.objects().GetBatch<int>(refs).ok()) std::abort();
      }
    });
  };
  std::vector<double> percents;
  bool with_is_older = false;
  for (const auto end = Clock::now() + std::chrono::duration<double>(2 * SecondsToRun()); Clock::now() < end;) {
    with_is_older = !with_is_older;
    const auto make = [&](bool track_owners) {
      return MakeEmbeddedRuntime({.threads = places, .track_owners = track_owners}).value();
    };
    const std::unique_ptr<Runtime> older = make(with_is_older), younger = make(!with_is_older);
    Runtime& with = with_is_older ? *older : *younger;
    Runtime& without = with_is_older ? *younger : *older;
    run(with), run(without);
    // First one, then the other, then the other way round: who comes second has the warmer cache.
    const double with_first = run(with), without_second = run(without);
    const double without_first = run(without), with_second = run(with);
    percents.push_back(100 * ((with_first + with_second) / (without_first + without_second) - 1));
    for (Runtime* const runtime : {older.get(), younger.get()}) runtime->Shutdown(rustyray::core::kNever);
  }
  PrintRow(name, Median(percents));
}

}  // namespace

int main() {
  Beginnings();
  OwnerService("owner_service_cost_percent", 1);
  OwnerService("owner_service_all_places_percent", 0);
  ray::Init();
  Memory();
  ReadingAndPassing();
  Putting();
  ActorsThatCallActors();
  Idleness();
  ray::Shutdown();
}
