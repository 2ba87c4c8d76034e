// What the store says when something cannot be: each message, from the real cause.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "core/error.h"
#include "core/id.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "object_store/shm/layout.h"
#include "object_store/shm/shm_store.h"

namespace rustyray::object_store {
namespace {

using absl::StatusCode;
using core::ErrorKind;
using core::ObjectId;
using testing::MatchesRegex;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
std::string Message(const absl::Status& status) { return std::string(status.message()); }

template <class T>
std::string Message(const absl::StatusOr<T>& result) {
  return Message(result.status());
}

#define EXPECT_ERROR(expression, expected_code, expected_message) \
  do {                                                            \
    const absl::Status error = StatusOf(expression);              \
    EXPECT_EQ(error.code(), StatusCode::expected_code) << error;  \
    EXPECT_EQ(Message(error), std::string(expected_message));     \
  } while (false)

absl::Status StatusOf(absl::Status status) { return status; }
template <class T>
absl::Status StatusOf(const absl::StatusOr<T>& result) {
  return result.status();
}

std::string PathOf(std::string_view name, const std::string& directory = "/dev/shm") {
  return absl::StrCat(directory, "/rustyray.", std::string(name));
}

// A store that stays in its file while nobody has it open; gone at the end.
class KeptStore {
 public:
  explicit KeptStore(const std::string& directory = "/dev/shm") : directory_(directory) {
    const ShmStoreOptions options{.directory = directory, .limit_bytes = 64 << 10, .keep = true};
    name_ = ShmStore::Create(options).value().name();
  }
  ~KeptStore() { unlink(path().c_str()); }
  const std::string& name() const { return name_; }
  std::string path() const { return PathOf(name_, directory_); }
  absl::StatusOr<ShmStore> Open() const { return ShmStore::Open(name_, directory_); }
  void Write(std::size_t offset, std::span<const std::byte> bytes) const {
    const int fd = open(path().c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset)), static_cast<ssize_t>(bytes.size()));
    close(fd);
  }

 private:
  const std::string directory_;
  std::string name_;
};

// --- Options and names.

TEST(ShmErrors, ALimitThatHoldsNothingOrMoreThanAStoreCanHave) {
  EXPECT_ERROR(ShmStore::Create({.limit_bytes = 0}), kInvalidArgument,
               "a limit of 0 bytes holds nothing: a shared-memory store needs at least 64 bytes");
  EXPECT_ERROR(ShmStore::Create({.limit_bytes = 63}), kInvalidArgument,
               "a limit of 63 bytes holds nothing: a shared-memory store needs at least 64 bytes");
  EXPECT_TRUE(ShmStore::Create({.limit_bytes = 64}).ok());
  // How much that is stands in the message, and is so.
  const std::string too_much = Message(ShmStore::Create({.limit_bytes = SIZE_MAX}));
  const std::string last_words = too_much.substr(too_much.rfind(',') + 1);
  const std::size_t most = std::stoull(last_words);
  const std::string rest = absl::StrCat(" bytes is more than a shared-memory store can have, ", most, " bytes");
  EXPECT_EQ(too_much, absl::StrCat("a limit of ", SIZE_MAX, rest));
  EXPECT_GE(most, std::size_t{64} << 30);
  EXPECT_ERROR(ShmStore::Create({.limit_bytes = most + 1}), kInvalidArgument,
               absl::StrCat("a limit of ", most + 1, rest));
  EXPECT_TRUE(ShmStore::Create({.limit_bytes = most}).ok());
  EXPECT_ERROR(ShmStore::Create({.limit_bytes = 1 << 20, .max_objects = 100'000'000}), kInvalidArgument,
               "100000000 objects are more than a shared-memory store can have, 67108864");
}

TEST(ShmErrors, NamesThatCannotBe) {
  const std::string long_name(201, 'x');
  for (const std::string& name : {std::string(), std::string("a/b"), std::string("../x"), std::string("a b"),
                                  std::string("a\nb"), std::string("a\0b", 3), std::string("\xc3\xa4"), long_name}) {
    const std::string message = absl::StrCat("a shared-memory store cannot be named \"", name,
                                             "\": a name has 1 to 200 letters, digits, '.', '_' and '-'");
    EXPECT_ERROR(ShmStore::Open(name), kInvalidArgument, message);
    EXPECT_ERROR(ShmStore::Remove(name), kInvalidArgument, message);
    if (name.empty()) continue;  // then it gets a random one
    EXPECT_ERROR(ShmStore::Create({.name = name, .limit_bytes = 64}), kInvalidArgument, message);
    EXPECT_ERROR(ShmStore::OpenOrCreate({.name = name, .limit_bytes = 64}), kInvalidArgument, message);
  }
  const std::string most(200, 'x');
  EXPECT_TRUE(ShmStore::Create({.name = most, .limit_bytes = 64}).ok());
}

TEST(ShmErrors, AStoreThatIsThereOrNotThere) {
  const std::string name = ObjectId::Random().Hex();
  const std::string missing = absl::StrCat("there is no shared-memory store ", PathOf(name));
  EXPECT_ERROR(ShmStore::Open(name), kNotFound, missing);
  EXPECT_ERROR(ShmStore::Remove(name), kNotFound, missing);
  const ShmStore store = ShmStore::Create({.name = name, .limit_bytes = 1 << 20}).value();
  EXPECT_ERROR(ShmStore::Create({.name = name, .limit_bytes = 1 << 20}), kAlreadyExists,
               absl::StrCat("there is a shared-memory store ", PathOf(name), " already"));
}

TEST(ShmErrors, ADirectoryThatIsNotThere) {
  EXPECT_ERROR(ShmStore::Create({.directory = "/nowhere", .limit_bytes = 64}), kNotFound,
               "cannot make a shared-memory store in /nowhere: No such file or directory");
  EXPECT_ERROR(ShmStore::Open("x", "/nowhere"), kNotFound, "there is no shared-memory store /nowhere/rustyray.x");
}

TEST(ShmErrors, MoreProcessesThanAStoreCanHave) {
  const ShmStore store = ShmStore::Create({.limit_bytes = 64}).value();
  std::vector<ShmStore> more;  // each opening counts as a process
  for (std::uint32_t i = 1; i < shm::kSlots; ++i) more.push_back(ShmStore::Open(store.name()).value());
  EXPECT_ERROR(ShmStore::Open(store.name()), kResourceExhausted,
               absl::StrCat("the shared-memory store ", PathOf(store.name()),
                            " is used by 64 processes, as many as it can have"));
  more.pop_back();
  EXPECT_TRUE(ShmStore::Open(store.name()).ok());
}

// --- Files that are no store of this program's.

TEST(ShmErrors, ASegmentOfAnotherLayoutVersion) {
  const KeptStore kept;
  const std::uint32_t version = shm::kLayoutVersion + 1;
  kept.Write(offsetof(shm::SegmentHeader::Fixed, version), std::as_bytes(std::span(&version, 1)));
  const std::string message = absl::StrCat(
      "the shared-memory store ", kept.path(), " has layout version ", version, ", this program reads version ",
      shm::kLayoutVersion, ": end the programs that use it and remove the file, or choose another name");
  EXPECT_ERROR(kept.Open(), kFailedPrecondition, message);
  EXPECT_ERROR(ShmStore::OpenOrCreate({.name = kept.name(), .limit_bytes = 64}), kFailedPrecondition, message);
  // It is in the way of a new one, and can be removed.
  EXPECT_EQ(ShmStore::Create({.name = kept.name(), .limit_bytes = 64}).status().code(), StatusCode::kAlreadyExists);
  EXPECT_TRUE(ShmStore::Remove(kept.name()).ok());
  EXPECT_TRUE(ShmStore::Create({.name = kept.name(), .limit_bytes = 64}).ok());
}

TEST(ShmErrors, AHeaderThatIsDamaged) {
  for (const std::size_t offset :
       {offsetof(shm::SegmentHeader::Fixed, keep), offsetof(shm::SegmentHeader::Fixed, key),
        offsetof(shm::SegmentHeader::Fixed, limit_bytes), offsetof(shm::SegmentHeader::Fixed, checksum)}) {
    const KeptStore kept;
    const std::byte other{0x55};
    kept.Write(offset, std::span(&other, 1));
    EXPECT_ERROR(kept.Open(), kFailedPrecondition,
                 absl::StrCat("the header of the shared-memory store ", kept.path(), " is damaged"));
  }
}

TEST(ShmErrors, AFileOfAnotherSizeThanItsHeaderSays) {
  const KeptStore kept;
  struct stat found = {};
  ASSERT_EQ(stat(kept.path().c_str(), &found), 0);
  ASSERT_EQ(truncate(kept.path().c_str(), found.st_size - 1), 0);
  EXPECT_ERROR(kept.Open(), kFailedPrecondition,
               absl::StrCat("the shared-memory store ", kept.path(), " has ", found.st_size - 1,
                            " bytes, its header says ", found.st_size));
}

TEST(ShmErrors, FilesThatAreNoStores) {
  const std::string name = ObjectId::Random().Hex();
  const std::string path = PathOf(name);
  const std::string message = path + " is not a shared-memory store";
  const auto refused = [&](const std::string& what) {
    EXPECT_ERROR(ShmStore::Open(name), kFailedPrecondition, what);
    EXPECT_ERROR(ShmStore::OpenOrCreate({.name = name, .limit_bytes = 64}), kFailedPrecondition, what);
  };
  for (const std::string& content : {std::string(), std::string("short"), std::string(100'000, 'x')}) {
    std::ofstream(path) << content;
    ASSERT_EQ(chmod(path.c_str(), 0600), 0);
    refused(message);
    unlink(path.c_str());
  }
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  refused(message);
  unlink(path.c_str());
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  EXPECT_EQ(Message(ShmStore::Open(name)), "cannot open the shared-memory store " + path + ": Is a directory");
  EXPECT_EQ(Message(ShmStore::Remove(name)), "cannot remove the shared-memory store " + path + ": Is a directory");
  rmdir(path.c_str());
}

TEST(ShmErrors, ASymbolicLink) {
  const KeptStore kept;
  const std::string name = ObjectId::Random().Hex();
  ASSERT_EQ(symlink(kept.path().c_str(), PathOf(name).c_str()), 0);
  const std::string message =
      PathOf(name) + " is a symbolic link: a shared-memory store is opened by its own name only";
  EXPECT_ERROR(ShmStore::Open(name), kPermissionDenied, message);
  EXPECT_ERROR(ShmStore::OpenOrCreate({.name = name, .limit_bytes = 64}), kPermissionDenied, message);
  unlink(PathOf(name).c_str());
}

TEST(ShmErrors, AFileThatOthersMayHaveWritten) {
  const KeptStore kept;
  struct Case {
    mode_t mode;
    const char* text;
  };
  for (const Case& each : {Case{0644, "0644"}, Case{0620, "0620"}, Case{0700, "0700"}}) {
    ASSERT_EQ(chmod(kept.path().c_str(), each.mode), 0);
    EXPECT_ERROR(kept.Open(), kPermissionDenied,
                 absl::StrCat("the shared-memory store ", kept.path(), " has mode ", each.text,
                              ", expected 0600: others may have written it"));
  }
  ASSERT_EQ(chmod(kept.path().c_str(), 0600), 0);
  EXPECT_TRUE(kept.Open().ok());
}

// --- Objects.

TEST(ShmErrors, AnObjectLargerThanTheStore) {
  ShmStore store = ShmStore::Create({.limit_bytes = 1 << 20}).value();
  const std::string message = "can never fit: it is larger than the shared-memory store's limit of 1048576 bytes";
  EXPECT_ERROR(store.Create(ObjectId::Random(), (1 << 20) + 1), kResourceExhausted,
               absl::StrCat("an object of 1048577 bytes ", message));
  EXPECT_ERROR(store.Create(ObjectId::Random(), SIZE_MAX), kResourceExhausted,
               absl::StrCat("an object of ", SIZE_MAX, " bytes ", message));
  // A long name of a type lies with the bytes.
  const std::string long_name(33, 'x');
  EXPECT_ERROR(store.Create(ObjectId::Random(), 1 << 20, {.name = long_name}), kResourceExhausted,
               absl::StrCat("an object of 1048576 bytes ", message));
  EXPECT_TRUE(store.Create(ObjectId::Random(), 1 << 20).ok());
}

TEST(ShmErrors, AStoreThatIsFullSaysWhatIsFreeAndInOnePiece) {
  ShmStore store = ShmStore::Create({.limit_bytes = 8 * 1024}).value();
  std::vector<ShmObject> pinned;
  for (int i = 0; i < 7; ++i) pinned.push_back(store.Put(ObjectId::Random(), Bytes(std::string(1024, 'x'))).value());
  const absl::Status full = store.Put(ObjectId::Random(), Bytes(std::string(2048, 'x'))).status();
  EXPECT_ERROR(full, kResourceExhausted,
               "the shared-memory store is full: an object of 2048 bytes does not fit the limit of 8192 bytes (7168 in "
               "use, 1024 free, largest hole 1024, the rest is pinned or owned)");
  EXPECT_EQ(core::KindOf(full), ErrorKind::kStoreFull);
  pinned.clear();
  EXPECT_TRUE(store.Put(ObjectId::Random(), Bytes(std::string(2048, 'x'))).ok());
}

TEST(ShmErrors, MoreObjectsThanAStoreHasEntriesFor) {
  ShmStore store = ShmStore::Create({.limit_bytes = 64 << 20, .max_objects = 2}).value();
  std::vector<ShmObject> pinned;
  for (int i = 0; i < 2; ++i) pinned.push_back(store.Put(ObjectId::Random(), Bytes("x")).value());
  EXPECT_ERROR(store.Put(ObjectId::Random(), Bytes("x")), kResourceExhausted,
               "the shared-memory store is full: it has room for 2 objects, and those in use cannot be evicted");
  pinned.pop_back();
  EXPECT_TRUE(store.Put(ObjectId::Random(), Bytes("x")).ok());
}

TEST(ShmErrors, IdsThatAreTakenOrNil) {
  ShmStore store = ShmStore::Create({.limit_bytes = 1 << 20}).value();
  const ObjectId id = ObjectId::Random();
  const std::string taken = "there is an object with the id " + id.Hex();
  std::optional<ShmWriter> writer = std::move(store.Create(id, 1)).value();
  EXPECT_ERROR(store.Create(id, 1), kAlreadyExists, taken);
  ASSERT_TRUE((*std::move(writer)).Seal().ok());
  EXPECT_ERROR(store.Create(id, 1), kAlreadyExists, taken);
  EXPECT_ERROR(ShmStore::Open(store.name())->Put(id, Bytes("x")), kAlreadyExists, taken);
  EXPECT_ERROR(store.Create(ObjectId::Nil(), 1), kInvalidArgument, "the nil id names no object");
}

TEST(ShmErrors, AlignmentsAndNamesThatTypesCannotHave) {
  ShmStore store = ShmStore::Create({.limit_bytes = 1 << 20}).value();
  for (const std::size_t align : {std::size_t{0}, std::size_t{3}, std::size_t{65}, std::size_t{128}}) {
    EXPECT_ERROR(store.Create(ObjectId::Random(), 1, {.align = align}), kInvalidArgument,
                 absl::StrCat("an alignment of ", align, " bytes: expected a power of two up to 64"));
  }
  const std::string name(4097, 'x');
  EXPECT_ERROR(store.Create(ObjectId::Random(), 1, {.name = name}), kInvalidArgument,
               "a type's name of 4097 bytes: expected at most 4096");
}

TEST(ShmErrors, AnObjectOfAnotherTypeNamesBoth) {
  ShmStore store = ShmStore::Create({.limit_bytes = 1 << 20}).value();
  const ObjectId id = ObjectId::Random();
  const std::array<double, 2> numbers = {1, 2};
  const ShmObject doubles = store.Put(id, std::as_bytes(std::span(numbers)), ShmType::ArrayOf<double>()).value();
  ASSERT_TRUE(doubles.As<double>().ok());
  EXPECT_EQ(doubles.As<double>()->back(), 2);
  const absl::Status wrong = doubles.As<int>().status();
  EXPECT_ERROR(wrong, kInvalidArgument, "the object " + id.Hex() + " is a std::vector<double>, not a std::vector<int>");
  EXPECT_EQ(core::KindOf(wrong), ErrorKind::kTypeMismatch);
  const ShmObject bytes = store.Put(ObjectId::Random(), Bytes("12345678")).value();
  EXPECT_ERROR(bytes.As<double>(), kInvalidArgument,
               "the object " + bytes.id().Hex() + " is a bytes, not a std::vector<double>");
  // The right name with another fingerprint is another type.
  const ShmObject posing =
      store.Put(ObjectId::Random(), Bytes("12345678"), {.name = ShmType::ArrayOf<double>().name}).value();
  EXPECT_EQ(posing.As<double>().status().code(), StatusCode::kInvalidArgument);
  const ShmObject odd = store.Put(ObjectId::Random(), Bytes("123456789"), ShmType::ArrayOf<double>()).value();
  EXPECT_ERROR(
      odd.As<double>(), kInvalidArgument,
      "the object " + odd.id().Hex() + " has 9 bytes, which are no whole number of elements of 8 bytes aligned to 8");
  EXPECT_ERROR(ShmObject().As<double>(), kInvalidArgument, "there is no object to read");
}

TEST(ShmErrors, ObjectsThatAreNotThereOrNotReady) {
  ShmStore store = ShmStore::Create({.limit_bytes = 1 << 20}).value();
  const ObjectId id = ObjectId::Random();
  const std::string missing = "there is no object with the id " + id.Hex();
  EXPECT_ERROR(store.Get(id), kNotFound, missing);
  EXPECT_ERROR(store.Delete(id), kNotFound, missing);
  const absl::Status late = store.Wait(id, std::chrono::steady_clock::now()).status();
  EXPECT_ERROR(late, kDeadlineExceeded, "no object with the id " + id.Hex() + " was sealed before the deadline");
  EXPECT_EQ(core::KindOf(late), ErrorKind::kTimeout);
  ShmWriter writer = std::move(store.Create(id, 1)).value();
  EXPECT_ERROR(store.Get(id), kNotFound, missing);
  EXPECT_ERROR(store.Delete(id), kFailedPrecondition,
               "the object " + id.Hex() + " is being written: its writer must seal or abort it first");
  ASSERT_TRUE(std::move(writer).Seal().ok());
  EXPECT_ERROR(std::move(writer).Seal(), kFailedPrecondition, "the object was sealed or aborted already");
}

TEST(ShmErrors, BytesThatWereChangedOrHaveNoChecksum) {
  ShmStore store = ShmStore::Create({.limit_bytes = 1 << 20}).value();
  const ShmObject plain = store.Put(ObjectId::Random(), Bytes("abc")).value();
  EXPECT_ERROR(plain.Verify(), kFailedPrecondition,
               "the object " + plain.id().Hex() + " was sealed without a checksum of its bytes");
  const ShmObject checked = store.Put(ObjectId::Random(), Bytes("abc"), {}, {.checksum = true}).value();
  ASSERT_TRUE(checked.Verify().ok());
  const_cast<std::byte&>(checked.bytes()[1]) ^= std::byte{1};
  EXPECT_ERROR(checked.Verify(), kDataLoss,
               "the bytes of the object " + checked.id().Hex() + " are not those it was sealed with");
}

TEST(ShmErrors, MorePinsThanAProcessCanHave) {
  ShmStore store = ShmStore::Create({.limit_bytes = 1 << 20}).value();
  const ObjectId id = ObjectId::Random();
  std::vector<ShmObject> pins;
  pins.push_back(store.Put(id, Bytes("x")).value());
  while (pins.size() < shm::CountWord::kMost) pins.push_back(store.Get(id).value());
  EXPECT_ERROR(
      store.Get(id), kResourceExhausted,
      absl::StrCat("cannot pin the object ", id.Hex(), ": this process has it pinned 60000 times, or the file ",
                   "system of ", PathOf(store.name()), " is full"));
  pins.pop_back();
  EXPECT_TRUE(store.Get(id).ok());
}

// --- Processes.

// Runs `work` in a child, which fails as the test would.
void InChild(const std::function<void()>& work) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(20);
    work();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "what the child expected is above; or it was killed by signal " << (status & 0x7f);
}

TEST(ShmErrors, AStoreThatWasInheritedByAFork) {
  ShmStore store = ShmStore::Create({.limit_bytes = 1 << 20}).value();
  const ObjectId id = ObjectId::Random();
  const ShmObject object = store.Put(id, Bytes("x")).value();
  InChild([&] {
    const std::string message = "this process is the child of a fork: it must open the shared-memory store itself";
    EXPECT_ERROR(store.Get(id), kFailedPrecondition, message);
    EXPECT_ERROR(store.Put(ObjectId::Random(), Bytes("x")), kFailedPrecondition, message);
    EXPECT_TRUE(ShmStore::Open(store.name())->Get(id).ok());
  });
}

// --- File systems.

// Mounts are this process's own from here on. As root, or in a user namespace where it is.
void LeaveMountNamespace() {
  if (unshare(CLONE_NEWNS) != 0) {
    const uid_t user = geteuid();
    const gid_t group = getegid();
    ASSERT_EQ(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0) << std::strerror(errno);
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << user << " " << user << " 1";
    std::ofstream("/proc/self/gid_map") << group << " " << group << " 1";
    ASSERT_EQ(geteuid(), user);
  }
  ASSERT_EQ(mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0) << std::strerror(errno);
}

// Runs `work` in a child with a file system in memory of its own, of `size` bytes.
void OnTmpfs(std::size_t size, const std::function<void(const std::string& directory)>& work) {
  std::string directory = testing::TempDir() + "/tmpfs.XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr) << directory;
  InChild([&] {
    LeaveMountNamespace();
    const std::string options = absl::StrCat("size=", size, ",mode=700");
    ASSERT_EQ(mount("none", directory.c_str(), "tmpfs", 0, options.c_str()), 0) << std::strerror(errno);
    work(directory);
  });
  EXPECT_EQ(rmdir(directory.c_str()), 0) << std::strerror(errno);  // what was mounted went with the child
}

constexpr std::size_t kMegabyte = 1 << 20;

// Takes all that is left, page by page.
void FillUp(const std::string& directory) {
  const int fd = open((directory + "/filler").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600);
  const std::string page(4096, 'x');
  while (write(fd, page.data(), page.size()) > 0) {
  }
  ASSERT_EQ(errno, ENOSPC);
  close(fd);
}

void MakeRoomAgain(const std::string& directory) { ASSERT_EQ(unlink((directory + "/filler").c_str()), 0); }

TEST(ShmErrors, AStoreOnAFullFileSystem) {
  OnTmpfs(kMegabyte, [](const std::string& directory) {
    FillUp(directory);
    const ShmStoreOptions options{.name = "full", .directory = directory, .limit_bytes = kMegabyte};
    const std::string path = directory + "/rustyray.full";
    EXPECT_ERROR(ShmStore::Create(options), kResourceExhausted,
                 "cannot make the shared-memory store " + path + ": the file system of " + directory + " is full");
    EXPECT_NE(access(path.c_str(), F_OK), 0);
    MakeRoomAgain(directory);
    EXPECT_TRUE(ShmStore::Create(options).ok());
  });
}

TEST(ShmErrors, AnObjectThatTheFileSystemHasNoPagesFor) {
  OnTmpfs(2 * kMegabyte, [](const std::string& directory) {
    ShmStore store = ShmStore::Create({.name = "s", .directory = directory, .limit_bytes = 16 * kMegabyte}).value();
    const ShmObject held = store.Put(ObjectId::Random(), Bytes(std::string(100'000, 'x'))).value();
    const absl::Status full = store.Create(ObjectId::Random(), 8 * kMegabyte).status();
    EXPECT_ERROR(full, kResourceExhausted,
                 absl::StrCat("no memory for an object of 8388608 bytes: the file system of ", directory,
                              "/rustyray.s is full, before the store's limit of 16777216 bytes (100032 in use)"));
    EXPECT_EQ(core::KindOf(full), ErrorKind::kStoreFull);
    // What is there can be read, what fits can be put.
    EXPECT_EQ(held.bytes().back(), std::byte{'x'});
    EXPECT_TRUE(store.Put(ObjectId::Random(), Bytes(std::string(100'000, 'y'))).ok());
  });
}

TEST(ShmErrors, EachStepOnAFileSystemThatBecomesFull) {
  OnTmpfs(4 * kMegabyte, [](const std::string& directory) {
    const std::string path = directory + "/rustyray.s";
    ShmStore store = ShmStore::Create({.name = "s", .directory = directory, .limit_bytes = 16 * kMegabyte}).value();
    const ObjectId id = ObjectId::Random();
    ShmWriter first = std::move(store.Create(id, 8)).value();
    FillUp(directory);
    // This process has not pinned anything yet: it has no page for that.
    EXPECT_ERROR(std::move(first).Seal(), kResourceExhausted,
                 "the file system of " + path + " is full: no page for the pins of this process");
    MakeRoomAgain(directory);
    ASSERT_TRUE(store.Put(id, Bytes("12345678")).ok());
    ShmStore other = ShmStore::Open("s", directory).value();
    FillUp(directory);
    EXPECT_ERROR(other.Get(id), kResourceExhausted,
                 "cannot pin the object " + id.Hex() +
                     ": this process has it pinned 60000 times, or the file system of " + path + " is full");
    EXPECT_TRUE(store.Get(id).ok());
    MakeRoomAgain(directory);
    EXPECT_TRUE(other.Get(id).ok());
    // Until nothing fits: each put succeeds or says so, and no page is touched that is not there.
    FillUp(directory);
    int stored = 0;
    absl::Status status;
    for (; status.ok(); ++stored) status = other.Put(ObjectId::Random(), Bytes(std::string(1000, 'z'))).status();
    EXPECT_THAT(Message(status), MatchesRegex("no memory for an object of 1000 bytes: the file system of .* is full, "
                                              "before the store's limit of 16777216 bytes .[0-9]+ in use."));
    EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  });
}

TEST(ShmErrors, AMountThatIsReadOnly) {
  OnTmpfs(kMegabyte, [](const std::string& directory) {
    const KeptStore kept(directory);
    ASSERT_EQ(mount("none", directory.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0) << std::strerror(errno);
    EXPECT_ERROR(kept.Open(), kPermissionDenied,
                 "cannot open the shared-memory store " + kept.path() + ": Read-only file system");
    EXPECT_ERROR(ShmStore::Create({.directory = directory, .limit_bytes = 64}), kPermissionDenied,
                 "cannot make a shared-memory store in " + directory + ": Read-only file system");
    EXPECT_ERROR(ShmStore::Remove(kept.name(), directory), kPermissionDenied,
                 "cannot remove the shared-memory store " + kept.path() + ": Read-only file system");
  });
}

}  // namespace
}  // namespace rustyray::object_store
