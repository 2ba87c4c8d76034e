// A process stops dead at each step of each operation, while two others work: they go on, nothing wrong is read, and in
// the end all bytes are there again. Built with crash points.
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "core/testing/seeds.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "object_store/shm/chaos.h"
#include "object_store/shm/chaos_worker.h"
#include "object_store/shm/crash_point.h"
#include "object_store/shm/segment.h"
#include "object_store/shm/segment_file.h"
#include "object_store/shm/shm_store.h"

namespace rustyray::object_store {
namespace {

constexpr std::size_t kLimit = 8 << 20;

// All points; the first test holds the list to what is met.
const std::vector<std::string>& Points() {
  static const auto* const points = new std::vector<std::string>{
      "abort.locked",    "abort.unlocked", "create.block",    "create.entry",     "create.fields",    "create.locked",
      "create.next",     "create.state",   "create.unlocked", "delete.condemned", "delete.freed",     "delete.locked",
      "delete.unlocked", "free.state",     "get.pinned",      "give.locked",      "give.unlocked",    "heap.locked",
      "heap.taken",      "recover.closed", "recover.done",    "recover.entries",  "recover.heap",     "recover.shards",
      "recover.slot",    "refill.locked",  "refill.taken",    "release.free",     "release.unpinned", "seal.pinned",
      "seal.state",      "seal.told",      "unlink.version"};
  return *points;
}

std::string armed;
int visits_left = 0;

void DieWhenArmed(const char* name) {
  if (armed == name && --visits_left == 0) kill(getpid(), SIGKILL);
}

// Works on the store for ever; for points of recoveries it recovers all the time, and its own children die for it.
std::string Work(const std::string& name, std::uint64_t seed, bool recover) {
  absl::StatusOr<ShmStore> store = ShmStore::Open(name);
  if (!store.ok()) return "open: " + store.status().ToString();
  Chaos chaos(*store, seed, kLimit / 128);
  std::shared_ptr<shm::Segment> segment;
  if (recover) {
    absl::StatusOr<shm::SegmentFile::Found> file =
        shm::SegmentFile::Attach({.path = *shm::SegmentPath("/dev/shm", name), .mode = shm::SegmentFile::Mode::kOpen});
    if (!file.ok()) return file.status().ToString();
    segment = *shm::Segment::Make(std::move(file->file));
  }
  for (;;) {
    if (std::string wrong = chaos.Step(); !wrong.empty()) return wrong;
    if (!recover) continue;
    // A death to recover from: its slot is met, too.
    Worker([&]() -> std::string {
      armed.clear();
      ShmStore mine = ShmStore::Open(name).value();
      const absl::StatusOr<ShmWriter> half = mine.Create(core::ObjectId::Random(), 100);
      kill(getpid(), SIGKILL);
      return "";
    }).WaitFor();
    if (absl::Status status = segment->RebuildNow(); !status.ok()) return status.ToString();
  }
}

bool IsOfRecovery(const std::string& point) { return point.rfind("recover.", 0) == 0; }

TEST(ShmCrash, EveryPointIsKnown) {
  ShmStore store = ShmStore::Create({.limit_bytes = kLimit}).value();
  static std::set<std::string>* met = new std::set<std::string>;
  shm::crash_point_hook = [](const char* name) { met->insert(name); };
  Chaos chaos(store, 1, kLimit / 128);
  for (int i = 0; i < 20'000; ++i) ASSERT_EQ(chaos.Step(), "");
  Worker([&]() -> std::string {
    shm::crash_point_hook = nullptr;
    ShmStore mine = ShmStore::Open(store.name()).value();
    kill(getpid(), SIGKILL);
    return "";
  }).WaitFor();
  ASSERT_TRUE(store.ReclaimDead().ok());
  shm::crash_point_hook = nullptr;
  EXPECT_THAT(std::vector<std::string>(met->begin(), met->end()), testing::ElementsAreArray(Points()));
}

TEST(ShmCrash, OthersGoOnWhereverOneDies) {
  ShmStore store = ShmStore::Create({.limit_bytes = kLimit}).value();
  const std::string name = store.name();
  Worker other([&] { return Work(name, 5, false); });
  Chaos here(store, 6, kLimit / 128);
  std::mt19937_64 random(3);
  for (const std::string& point : Points()) {
    for (int time = 0; time < core::Sized(2, 20); ++time) {
      SCOPED_TRACE(point);
      Worker victim([&] {
        shm::crash_point_hook = DieWhenArmed;
        armed = point;
        visits_left = 1 + static_cast<int>(random() % 10);
        return Work(name, random(), IsOfRecovery(point));
      });
      random.discard(2);
      const auto patience = std::chrono::steady_clock::now() + std::chrono::seconds(30);
      while (!victim.Ended()) {
        ASSERT_EQ(here.Step(), "");
        ASSERT_LT(std::chrono::steady_clock::now(), patience) << "the point is not met";
      }
      ASSERT_TRUE(victim.WasKilled()) << victim.Kill();
      for (int i = 0; i < 100; ++i) ASSERT_EQ(here.Step(), "");
      const absl::StatusOr<ShmStatistics> now = store.Statistics();
      ASSERT_TRUE(now.ok()) << now.status();
      ASSERT_EQ(now->lost, 0u);
      ASSERT_FALSE(other.Ended()) << other.Kill();
    }
  }
  ASSERT_EQ(other.Kill(), "");
  here.DropAll();
  const std::vector<ShmObjectInfo> all = store.List().value();
  for (const ShmObjectInfo& object : all) {
    if (object.lifetime != Lifetime::kOwned) continue;
    EXPECT_TRUE(store.Delete(object.id).ok());  // of this process
  }
  ExpectAllComesBack(store);
}

}  // namespace
}  // namespace rustyray::object_store
