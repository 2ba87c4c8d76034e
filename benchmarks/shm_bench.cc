// What the shared-memory store costs, alone and between processes. `names` as in shm_rows.py.
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/id.h"
#include "object_store/shm/shm_store.h"
#include "timeit.h"

namespace {

using rustyray::core::ObjectId;
using rustyray::object_store::ShmObject;
using rustyray::object_store::ShmStore;
using rustyray::object_store::ShmStoreOptions;
using rustyray::object_store::ShmWriter;
using Clock = std::chrono::steady_clock;

constexpr std::size_t k100MiB = 100 << 20;
constexpr std::size_t kLimit = 2'000'000'000;    // bytes; the peer's, too
constexpr std::size_t kSmallLimit = 64 << 20;    // of a store that is soon full
constexpr std::uint64_t kPutsInAll = 1'000'000;  // what the large store has room for without evicting
constexpr int kProcesses = 4;
constexpr int kSlices = 2;  // what is compared with each other runs in turn, so often

[[noreturn]] void Fail(const absl::Status& status) {
  std::fprintf(stderr, "shm_bench: %s\n", std::string(status.message()).c_str());
  std::abort();
}

template <class T>
T Must(absl::StatusOr<T> result) {
  if (!result.ok()) Fail(result.status());
  return *std::move(result);
}

ShmStore Make(std::size_t limit_bytes) { return Must(ShmStore::Create({.limit_bytes = limit_bytes})); }

double Since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

bool AnyWanted(std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [](const char* name) { return IsWanted(name); });
}

void PrintWanted(const char* name, double value) {
  if (IsWanted(name)) PrintRow(name, value);
}

// Create, write, seal, release.
void Put(ShmStore& store, const ObjectId& id, std::span<const std::byte> bytes) {
  ShmWriter writer = Must(store.Create(id, bytes.size()));
  std::memcpy(writer.bytes().data(), bytes.data(), bytes.size());
  Must(std::move(writer).Seal());
}

ObjectId PutNew(ShmStore& store, std::span<const std::byte> bytes) {
  const ObjectId id = ObjectId::Random();
  Put(store, id, bytes);
  return id;
}

const std::vector<std::byte>& Small() {
  static const std::vector<std::byte> bytes(64, std::byte{1});
  return bytes;
}

void FillUp(ShmStore& store) {
  while (Must(store.Statistics()).evictions == 0) {
    for (int i = 0; i < 10'000; ++i) PutNew(store, Small());
  }
}

// --- One process.

void SmallObjects() {
  if (!AnyWanted({"put_64B", "get_64B"})) return;
  ShmStore store = Make(kLimit);
  TimeIt("put_64B", 100, [&] {
    for (int i = 0; i < 100; ++i) PutNew(store, Small());
  });
  const ObjectId id = PutNew(store, Small());
  TimeIt("get_64B", 100, [&] {
    for (int i = 0; i < 100; ++i) Must(store.Get(id));
  });
}

void LargeObjects() {
  if (!AnyWanted({"put_100MiB_gigabytes", "memcpy_100MiB_gigabytes", "get_100MiB"})) return;
  const std::vector<std::byte> large(k100MiB, std::byte{1});
  std::vector<std::byte> copy(k100MiB, std::byte{2});
  ShmStore store = Make(5 * k100MiB);
  const auto put = [&] { return PutNew(store, large); };
  for (int i = 0; i < 10; ++i) put();  // each page was written, by this process
  double putting = 0;
  double copying = 0;
  int rounds = 0;
  for (; putting + copying < 2 * SecondsToRun(); ++rounds) {
    auto start = Clock::now();
    put();
    putting += Since(start);
    start = Clock::now();
    std::memcpy(copy.data(), large.data(), large.size());
    asm volatile("" : : "r"(copy.data()) : "memory");
    copying += Since(start);
  }
  const double gigabytes = static_cast<double>(k100MiB) * rounds / 1e9;
  PrintWanted("put_100MiB_gigabytes", gigabytes / putting);
  PrintWanted("memcpy_100MiB_gigabytes", gigabytes / copying);
  const ObjectId id = put();
  TimeIt("get_100MiB", 100, [&] {
    for (int i = 0; i < 100; ++i) Must(store.Get(id));
  });
}

// --- Several processes.

struct alignas(64) Shared {
  std::atomic<int> ready{0};
  std::atomic<bool> go{false};
  struct alignas(64) Result {
    std::uint64_t calls;
    Clock::time_point begun, ended;  // one clock for all processes
  };
  std::array<Result, kProcesses> results;
};

template <class T>
T* NewShared() {
  void* const memory = mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  return new (memory) T;
}

pid_t InChild(const std::function<void()>& work) {
  const pid_t child = fork();
  if (child < 0) std::abort();
  if (child > 0) return child;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  alarm(300);
  work();
  _exit(0);
}

void AwaitChild(pid_t child) {
  int status = 0;
  if (waitpid(child, &status, 0) != child || status != 0) {
    std::fprintf(stderr, "shm_bench: a process ended with %d\n", status);
    std::abort();
  }
}

// Calls a second of `processes` that begin together, each with a store of its own mapping, until each is done.
// `work(store)` returns how many calls it did.
double RateOf(int processes, const std::string& name, const std::function<std::uint64_t(ShmStore&)>& work) {
  Shared* const shared = NewShared<Shared>();
  std::vector<pid_t> children;
  for (int i = 0; i < processes; ++i) {
    children.push_back(InChild([&, i] {
      ShmStore store = Must(ShmStore::Open(name));
      shared->ready.fetch_add(1);
      while (!shared->go.load()) usleep(100);
      Shared::Result& result = shared->results[i];
      result.begun = Clock::now();
      result.calls = work(store);
      result.ended = Clock::now();
    }));
  }
  while (shared->ready.load() < processes) usleep(100);
  shared->go.store(true);
  for (const pid_t child : children) AwaitChild(child);
  std::uint64_t calls = 0;
  Clock::time_point begun = Clock::time_point::max();
  Clock::time_point ended = Clock::time_point::min();
  for (int i = 0; i < processes; ++i) {
    calls += shared->results[i].calls;
    begun = std::min(begun, shared->results[i].begun);
    ended = std::max(ended, shared->results[i].ended);
  }
  munmap(shared, sizeof(Shared));
  return static_cast<double>(calls) / std::chrono::duration<double>(ended - begun).count();
}

// Alone and at once, in turn: NAME_alone and NAME_4_processes.
void AloneAndAtOnce(const std::string& name, const std::function<double(int processes)>& rate_of) {
  const std::string alone_name = name + "_alone";
  const std::string at_once_name = name + "_4_processes";
  if (!AnyWanted({alone_name.c_str(), at_once_name.c_str()})) return;
  double alone = 0;
  double at_once = 0;
  for (int slice = 0; slice < kSlices; ++slice) {
    alone += rate_of(1) / kSlices;
    at_once += rate_of(kProcesses) / kSlices;
  }
  PrintWanted(alone_name.c_str(), alone);
  PrintWanted(at_once_name.c_str(), at_once);
}

// For `seconds`, a hundred at a time.
std::uint64_t Repeat(double seconds, const std::function<void()>& body) {
  const auto start = Clock::now();
  std::uint64_t calls = 0;
  for (; Since(start) < seconds; calls += 100) {
    for (int i = 0; i < 100; ++i) body();
  }
  return calls;
}

void ManyProcesses() {
  const double slice = SecondsToRun() / kSlices;
  AloneAndAtOnce("put_64B", [](int processes) {
    ShmStore store = Make(kLimit);
    return RateOf(processes, store.name(), [processes](ShmStore& mine) {
      const std::uint64_t puts = kPutsInAll / static_cast<std::uint64_t>(processes);
      for (std::uint64_t i = 0; i < puts; ++i) PutNew(mine, Small());
      return puts;
    });
  });
  AloneAndAtOnce("put_64B_full", [slice](int processes) {
    ShmStore store = Make(kSmallLimit);
    FillUp(store);
    return RateOf(processes, store.name(),
                  [slice](ShmStore& mine) { return Repeat(slice, [&] { PutNew(mine, Small()); }); });
  });
  AloneAndAtOnce("get_64B", [slice](int processes) {
    ShmStore store = Make(kSmallLimit);
    const ObjectId id = PutNew(store, Small());  // all read the same
    return RateOf(processes, store.name(),
                  [slice, id](ShmStore& mine) { return Repeat(slice, [&] { Must(mine.Get(id)); }); });
  });
}

// --- Waking.

// The id of message `number` in one of two directions.
ObjectId IdOf(std::uint64_t number, std::uint64_t direction) {
  const std::array<std::uint64_t, 2> words = {direction + 1, number};
  return Must(ObjectId::FromBinary({reinterpret_cast<const char*>(words.data()), sizeof(words)}));
}

void PutTime(ShmStore& store, const ObjectId& id) {
  const Clock::time_point now = Clock::now();
  Put(store, id, std::as_bytes(std::span(&now, 1)));
}

double MicrosecondsSince(const ShmObject& object) {
  Clock::time_point then;
  std::memcpy(&then, object.bytes().data(), sizeof(then));
  return Since(then) * 1e6;
}

// From before the seal in one process until a waiter in the other has read the bytes; and there and back.
void SealToWaiter(double seconds, std::vector<double>& one_way, std::vector<double>& round_trip) {
  ShmStore store = Make(kSmallLimit);
  const std::string name = store.name();
  const pid_t child = InChild([&name] {
    ShmStore mine = Must(ShmStore::Open(name));
    for (std::uint64_t i = 0;; ++i) {
      const ShmObject message = Must(mine.Wait(IdOf(i, 0)));
      if (message.bytes().empty()) return;
      PutTime(mine, IdOf(i, 1));
    }
  });
  const auto start = Clock::now();
  std::uint64_t i = 0;
  for (; Since(start) < seconds; ++i) {
    const auto sent = Clock::now();
    PutTime(store, IdOf(i, 0));
    const ShmObject answer = Must(store.Wait(IdOf(i, 1)));
    one_way.push_back(MicrosecondsSince(answer));
    round_trip.push_back(Since(sent) * 1e6);
  }
  Put(store, IdOf(i, 0), {});
  AwaitChild(child);
}

void Futex(std::atomic<std::uint32_t>& word, int operation, std::uint32_t value) {
  syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0);
}

void FutexRoundTrip(double seconds, std::vector<double>& round_trip) {
  struct Words {
    alignas(64) std::atomic<std::uint32_t> question{0};
    alignas(64) std::atomic<std::uint32_t> answer{0};
  };
  Words* const words = NewShared<Words>();
  constexpr std::uint32_t kEnd = 0xffff'ffff;
  const auto tell = [](std::atomic<std::uint32_t>& word, std::uint32_t value) {
    word.store(value);
    Futex(word, FUTEX_WAKE, 1);
  };
  const auto await = [](std::atomic<std::uint32_t>& word, std::uint32_t last) {
    while (word.load() == last) Futex(word, FUTEX_WAIT, last);
    return word.load();
  };
  const pid_t child = InChild([&] {
    for (std::uint32_t last = 0; (last = await(words->question, last)) != kEnd;) tell(words->answer, last);
  });
  const auto start = Clock::now();
  for (std::uint32_t i = 0; Since(start) < seconds; ++i) {
    const auto sent = Clock::now();
    tell(words->question, i + 1);
    await(words->answer, i);
    round_trip.push_back(Since(sent) * 1e6);
  }
  tell(words->question, kEnd);
  AwaitChild(child);
  munmap(words, sizeof(Words));
}

void Waking() {
  if (!AnyWanted({"seal_to_waiter", "seal_round_trip", "futex_round_trip"})) return;
  std::vector<double> one_way;
  std::vector<double> round_trip;
  std::vector<double> futex;
  const double slice = SecondsToRun() / kSlices;
  for (int i = 0; i < kSlices; ++i) {
    SealToWaiter(slice, one_way, round_trip);
    FutexRoundTrip(slice, futex);
  }
  // As rates, like all else.
  PrintWanted("seal_to_waiter", 1e6 / Median(std::move(one_way)));
  PrintWanted("seal_round_trip", 1e6 / Median(std::move(round_trip)));
  PrintWanted("futex_round_trip", 1e6 / Median(std::move(futex)));
}

// --- Memory.

std::size_t PrivateBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::strtoull(line.c_str() + 8, nullptr, 10) * 1024;
  }
  std::abort();
}

// Of the segment's file and of this process, for 1,000,000 objects of 64 bytes, beside their bytes; for each.
void Memory() {
  if (!IsWanted("memory_object_bytes")) return;
  constexpr std::size_t kObjects = 1'000'000;
  const std::size_t before = PrivateBytes();
  ShmStore store = Make(kObjects * 256);
  for (std::size_t i = 0; i < kObjects; ++i) PutNew(store, Small());
  if (Must(store.Statistics()).objects != kObjects) std::abort();
  struct stat file = {};
  if (stat(("/dev/shm/rustyray." + store.name()).c_str(), &file) != 0) std::abort();
  const double all =
      static_cast<double>(file.st_blocks) * 512 + static_cast<double>(PrivateBytes()) - static_cast<double>(before);
  PrintRow("memory_object_bytes", all / kObjects - 64);
}

}  // namespace

int main() {
  SmallObjects();
  LargeObjects();
  ManyProcesses();
  Waking();
  Memory();
}
