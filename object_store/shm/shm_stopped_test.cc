// A process that lives but does not go on, in the middle of something that others need: they say which one it is,
// within the bound, and go on when it does, or when it is killed.
#include <fcntl.h>
#include <signal.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/id.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "object_store/shm/gate.h"
#include "object_store/shm/layout.h"
#include "object_store/shm/segment.h"
#include "object_store/shm/segment_file.h"

namespace rustyray::object_store::shm {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// Nobody may hang for longer, whatever others do; what a program waits is less.
constexpr auto kBound = seconds(5);
static_assert(SegmentFile::kPatience < kBound);
// What these tests wait.
constexpr auto kPatience = milliseconds(200);

// The test's own, with processes that have it open at its end gone.
class Store {
 public:
  absl::StatusOr<std::shared_ptr<Segment>> Open() const {
    absl::StatusOr<SegmentFile::Found> found =
        SegmentFile::Attach({.path = path_, .geometry = Geometry::For(1 << 20, 0, 0).value(), .patience = kPatience});
    if (!found.ok()) return found.status();
    return Segment::Make(std::move(found->file));
  }
  const std::string& path() const { return path_; }

 private:
  const std::string path_ = SegmentPath("/dev/shm", "test-" + core::ObjectId::Random().Hex()).value();
};

// A child process.
class Child {
 public:
  template <class F>
  explicit Child(F work) : pid_(fork()) {
    if (pid_ != 0) return;
    work();
    _exit(0);
  }
  ~Child() {
    if (pid_ != 0) KillAndAwait();
  }
  pid_t pid() const { return pid_; }
  // Returns once it has stopped itself.
  void AwaitStop() const {
    int status = 0;
    ASSERT_EQ(waitpid(pid_, &status, WUNTRACED), pid_);
    ASSERT_TRUE(WIFSTOPPED(status)) << status;
  }
  void GoOnAndEnd() {
    kill(pid_, SIGCONT);
    int status = 0;
    ASSERT_EQ(waitpid(pid_, &status, 0), pid_);
    pid_ = 0;
  }
  void KillAndAwait() {
    kill(pid_, SIGKILL);
    int status = 0;
    waitpid(std::exchange(pid_, 0), &status, 0);
  }

 private:
  pid_t pid_;
};

// A process that stops itself inside an operation; with the heap's lock, or with the gate closed as recoveries have it.
enum class Where { kInside, kWithTheHeap, kRecovering };
void StopAt(const Store& store, Where where) {
  const std::shared_ptr<Segment> segment = store.Open().value();
  Gate gate(segment->file());
  LockWord& heap = segment->file().header().heap_lock;
  if (where == Where::kRecovering) {
    bool taken_over = false;
    gate.Close(false, taken_over);
    raise(SIGSTOP);
    gate.Open();
    return;
  }
  gate.Enter();
  if (where == Where::kWithTheHeap) gate.Lock(heap);
  raise(SIGSTOP);
  if (where == Where::kWithTheHeap) gate.Unlock(heap);
  gate.Leave();
}

// What `operation` says. It may not take longer than the bound.
template <class F>
absl::Status Bounded(F operation) {
  const auto begun = std::chrono::steady_clock::now();
  absl::Status status = operation();
  EXPECT_LT(std::chrono::steady_clock::now() - begun, kBound);
  return status;
}

// An object that takes a block from the heap: no process keeps such large ones at hand.
absl::Status PutLarge(Segment& segment) {
  absl::StatusOr<SegmentObject> object =
      segment.Create({.id = core::ObjectId::Random(), .size = 1 << 16, .type_name = "bytes"});
  if (!object.ok()) return object.status();
  if (absl::Status status = segment.Seal(*object, false); !status.ok()) return status;
  segment.Unpin(object->entry);
  return segment.DeleteEntry(object->entry);
}

void ExpectNamed(const absl::Status& status, const Store& store, const Child& stopped) {
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
  EXPECT_EQ(std::string(status.message()),
            absl::StrCat("the shared-memory store ", store.path(), " cannot be used: process ", stopped.pid(),
                         " is in the middle of an operation on it and has not gone on for 0.2 s (is it stopped?)"));
}

TEST(ShmStopped, AHolderOfALockIsNamedAndOthersGoOnWithIt) {
  const Store store;
  const std::shared_ptr<Segment> segment = store.Open().value();
  const core::ObjectId id = core::ObjectId::Random();
  SegmentObject there = segment->Create({.id = id, .size = 100, .type_name = "bytes"}).value();
  ASSERT_TRUE(segment->Seal(there, false).ok());
  Child stopped([&] { StopAt(store, Where::kWithTheHeap); });
  stopped.AwaitStop();
  for (int i = 0; i < 2; ++i) ExpectNamed(Bounded([&] { return PutLarge(*segment); }), store, stopped);
  EXPECT_TRUE(segment->Contains(id)) << "who does not need the lock goes on";
  EXPECT_TRUE(segment->Get(id).ok());
  stopped.GoOnAndEnd();
  EXPECT_TRUE(PutLarge(*segment).ok());
  EXPECT_EQ(segment->Measure()->lost, 0u);
}

TEST(ShmStopped, AHolderOfALockThatIsKilledIsRecoveredFrom) {
  const Store store;
  const std::shared_ptr<Segment> segment = store.Open().value();
  Child stopped([&] { StopAt(store, Where::kWithTheHeap); });
  stopped.AwaitStop();
  ExpectNamed(Bounded([&] { return PutLarge(*segment); }), store, stopped);
  stopped.KillAndAwait();
  const absl::Status after = Bounded([&] { return PutLarge(*segment); });
  EXPECT_TRUE(after.ok()) << after;
  EXPECT_GE(segment->Measure()->recoveries, 1u);
}

TEST(ShmStopped, WhoStandsInTheWayOfARecoveryIsNamed) {
  const Store store;
  const std::shared_ptr<Segment> segment = store.Open().value();
  Child stopped([&] { StopAt(store, Where::kInside); });
  stopped.AwaitStop();
  EXPECT_TRUE(PutLarge(*segment).ok()) << "nobody waits for it yet";
  Child dead([&] { StopAt(store, Where::kWithTheHeap); });
  dead.AwaitStop();
  dead.KillAndAwait();
  ExpectNamed(Bounded([&] { return PutLarge(*segment); }), store, stopped);
  EXPECT_TRUE(segment->Get(core::ObjectId::Random()).status().code() == absl::StatusCode::kNotFound)
      << "the gate is open again";
  stopped.GoOnAndEnd();
  const absl::Status after = Bounded([&] { return PutLarge(*segment); });
  EXPECT_TRUE(after.ok()) << after;
}

TEST(ShmStopped, ARecoveryThatDoesNotGoOnIsNamed) {
  const Store store;
  const std::shared_ptr<Segment> segment = store.Open().value();
  Child stopped([&] { StopAt(store, Where::kRecovering); });
  stopped.AwaitStop();
  ExpectNamed(Bounded([&] { return segment->Get(core::ObjectId::Random()).status(); }), store, stopped);
  ExpectNamed(Bounded([&] { return store.Open().status(); }), store, stopped);
  stopped.KillAndAwait();
  EXPECT_TRUE(Bounded([&] { return PutLarge(*segment); }).ok());
}

// Who holds the lock of the file cannot be told: it need not have a slot.
TEST(ShmStopped, WhoStopsWhileItAttachesKeepsOthersOutWithAnError) {
  const Store store;
  const std::shared_ptr<Segment> segment = store.Open().value();
  Child stopped([&] {
    const int fd = open(store.path().c_str(), O_RDWR | O_CLOEXEC);
    struct flock range = {};
    range.l_type = F_WRLCK;
    range.l_whence = SEEK_SET;
    range.l_start = (off_t{1} << 60) - 1;
    range.l_len = 1;
    if (fcntl(fd, F_OFD_SETLK, &range) != 0) _exit(1);
    raise(SIGSTOP);
  });
  stopped.AwaitStop();
  const absl::Status status = Bounded([&] { return store.Open().status(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("is being attached by a process that has not gone on for 0.2 s (is it stopped?)"));
  EXPECT_TRUE(PutLarge(*segment).ok()) << "who has it already goes on";
  stopped.KillAndAwait();
  EXPECT_TRUE(store.Open().ok());
}

}  // namespace
}  // namespace rustyray::object_store::shm
