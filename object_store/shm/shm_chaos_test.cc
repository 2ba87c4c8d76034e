// Processes work on one store and are killed, and the others go on: nothing wrong is ever read, nothing hangs, and in
// the end all bytes are there again.
#include <chrono>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/testing/seeds.h"
#include "gtest/gtest.h"
#include "object_store/shm/chaos.h"
#include "object_store/shm/chaos_worker.h"
#include "object_store/shm/segment.h"
#include "object_store/shm/segment_file.h"
#include "object_store/shm/shm_store.h"

namespace rustyray::object_store {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kLimit = 24 << 20;  // so that processes keep blocks at hand

std::string WorkFor(const std::string& name, std::uint64_t seed) {
  absl::StatusOr<ShmStore> store = ShmStore::Open(name);
  if (!store.ok()) return "open: " + store.status().ToString();
  Chaos chaos(*store, seed, kLimit / 128);
  for (;;) {
    if (std::string wrong = chaos.Step(); !wrong.empty()) return wrong;
  }
}

std::string RebuildForEver(const std::string& name) {
  absl::StatusOr<shm::SegmentFile::Found> file =
      shm::SegmentFile::Attach({.path = *shm::SegmentPath("/dev/shm", name), .mode = shm::SegmentFile::Mode::kOpen});
  if (!file.ok()) return file.status().ToString();
  const std::shared_ptr<shm::Segment> segment = *shm::Segment::Make(std::move(file->file));
  for (;;) {
    if (absl::Status status = segment->RebuildNow(); !status.ok()) return status.ToString();
    std::this_thread::sleep_for(milliseconds(1));
  }
}

TEST(ShmChaos, RecoveriesWhileOthersWorkChangeNothing) {
  ShmStore store = ShmStore::Create({.limit_bytes = kLimit}).value();
  std::vector<Worker> workers;
  for (std::uint64_t i = 0; i < 3; ++i) workers.emplace_back([&] { return WorkFor(store.name(), i); });
  workers.emplace_back([&] { return RebuildForEver(store.name()); });
  std::this_thread::sleep_for(std::chrono::seconds(core::IsSoak() ? 60 : 2));
  for (Worker& worker : workers) {
    EXPECT_FALSE(worker.Ended());
    EXPECT_EQ(worker.Kill(), "");
  }
  EXPECT_GT(store.Statistics()->recoveries, 100u);
  ExpectAllComesBack(store);
}

TEST(ShmChaos, KillsUnderLoadHarmNobodyElse) {
  ShmStore store = ShmStore::Create({.limit_bytes = kLimit}).value();
  const int kills = core::IsSoak() ? 1000 : 30;
  std::mt19937_64 random(7);
  std::uint64_t seed = 0;
  std::vector<Worker> workers;
  const auto start = [&] { return Worker([&, mine = ++seed] { return WorkFor(store.name(), mine); }); };
  for (int i = 0; i < 3; ++i) workers.push_back(start());
  Chaos here(store, 99, kLimit / 128);
  for (int killed = 0; killed < kills; ++killed) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(random() % 40'000);
    do {
      ASSERT_EQ(here.Step(), "");
    } while (std::chrono::steady_clock::now() < until);
    Worker& victim = workers[random() % workers.size()];
    ASSERT_EQ(victim.Kill(), "") << "after " << killed << " kills";
    victim = start();
  }
  for (Worker& worker : workers) EXPECT_EQ(worker.Kill(), "");
  here.DropAll();
  const std::vector<ShmObjectInfo> all = store.List().value();
  for (const ShmObjectInfo& object : all) {
    if (object.lifetime != Lifetime::kOwned) continue;
    EXPECT_TRUE(store.Delete(object.id).ok());  // of this process
  }
  ExpectAllComesBack(store);
  const std::string name = store.name();
  store = ShmStore::Create({.limit_bytes = 4096}).value();
  EXPECT_EQ(ShmStore::Open(name).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace rustyray::object_store
