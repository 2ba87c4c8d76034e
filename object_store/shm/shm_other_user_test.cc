// Stores of another user. As root the test becomes one; else it looks at a file of root's under the name of a store.
// Not for a sandbox that has one user only: there, no file is another's.
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/id.h"
#include "gtest/gtest.h"
#include "object_store/shm/shm_store.h"

namespace rustyray::object_store {
namespace {

using core::ObjectId;

constexpr uid_t kOther = 12345;

std::string PathOf(const std::string& name) { return "/dev/shm/rustyray." + name; }
std::string Message(const absl::Status& status) { return std::string(status.message()); }

void InChild(const std::function<void()>& work) {
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    alarm(50);
    work();
    _exit(testing::Test::HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0) << "what the child expected is above";
}

void As(uid_t user, const std::function<void()>& work) {
  InChild([&] {
    ASSERT_EQ(setresuid(user, user, user), 0) << std::strerror(errno);
    work();
  });
}

TEST(ShmOtherUser, CannotOpenAFileOfRoots) {
  if (geteuid() == 0) return;  // the other tests are about root and others
  const std::string name = ObjectId::Random().Hex();
  std::ofstream(PathOf(name)).flush();
  InChild([&] {
    const uid_t user = geteuid();
    ASSERT_EQ(unshare(CLONE_NEWUSER | CLONE_NEWNS), 0) << std::strerror(errno);
    std::ofstream("/proc/self/uid_map") << user << " " << user << " 1";
    ASSERT_EQ(mount("/proc/version", PathOf(name).c_str(), nullptr, MS_BIND, nullptr), 0) << std::strerror(errno);
    const absl::Status opened = ShmStore::Open(name).status();
    EXPECT_EQ(opened.code(), absl::StatusCode::kPermissionDenied);
    EXPECT_EQ(Message(opened), "cannot open the shared-memory store " + PathOf(name) + ": Permission denied");
    const absl::Status removed = ShmStore::Remove(name);
    EXPECT_EQ(removed.code(), absl::StatusCode::kPermissionDenied);
  });
  unlink(PathOf(name).c_str());
}

TEST(ShmOtherUser, CannotOpenOrRemoveAStoreOfRoots) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  ShmStore store = ShmStore::Create({.limit_bytes = 1 << 20}).value();
  const std::string path = PathOf(store.name());
  As(kOther, [&] {
    const absl::Status opened = ShmStore::Open(store.name()).status();
    EXPECT_EQ(opened.code(), absl::StatusCode::kPermissionDenied);
    EXPECT_EQ(Message(opened), "cannot open the shared-memory store " + path + ": Permission denied");
    const absl::Status removed = ShmStore::Remove(store.name());
    EXPECT_EQ(removed.code(), absl::StatusCode::kPermissionDenied);
    EXPECT_EQ(Message(removed), "the shared-memory store " + path + " belongs to user 0, and this is user 12345");
    EXPECT_EQ(ShmStore::Create({.name = store.name(), .limit_bytes = 64}).status().code(),
              absl::StatusCode::kAlreadyExists);
    for (const std::string& name : ShmStore::Names()) EXPECT_NE(name, store.name());
  });
  EXPECT_TRUE(ShmStore::Open(store.name()).ok());
}

// Root could open any file, and does not.
TEST(ShmOtherUser, IsNotTrustedByRoot) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const std::string name = ObjectId::Random().Hex();
  As(kOther, [&] { EXPECT_TRUE(ShmStore::Create({.name = name, .limit_bytes = 1 << 20, .keep = true}).ok()); });
  const absl::Status opened = ShmStore::Open(name).status();
  EXPECT_EQ(opened.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Message(opened), absl::StrCat("the shared-memory store ", PathOf(name), " belongs to user 12345, and this ",
                                          "is user 0: stores are not shared between users"));
  EXPECT_EQ(ShmStore::Remove(name).code(), absl::StatusCode::kPermissionDenied);
  As(kOther, [&] { EXPECT_TRUE(ShmStore::Remove(name).ok()); });
}

}  // namespace
}  // namespace rustyray::object_store
