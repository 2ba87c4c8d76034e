#include "core/id.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <unordered_set>
#include <vector>

#include "absl/hash/hash.h"
#include "absl/status/status.h"

namespace rustyray::core {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;

static_assert(sizeof(ObjectId) == 16 && std::is_trivially_copyable_v<ObjectId>);
static_assert(!std::is_convertible_v<ObjectId, TaskId> && !std::is_constructible_v<TaskId, ObjectId>);
static_assert(ObjectId::Nil().IsNil());

TEST(Id, IsNilUntilSet) {
  EXPECT_TRUE(ObjectId().IsNil());
  EXPECT_EQ(ObjectId().Hex(), std::string(32, '0'));
  EXPECT_FALSE(ObjectId::Random().IsNil());
}

TEST(Id, RandomIsAVersion4Uuid) {
  for (int i = 0; i < 100; ++i) {
    EXPECT_THAT(ObjectId::Random().Hex(), MatchesRegex("[0-9a-f]{12}4[0-9a-f]{3}[89ab][0-9a-f]{15}"));
  }
}

TEST(Id, EveryRandomBitChanges) {
  std::string ored(16, '\0');
  std::string anded(16, '\xff');
  for (int i = 0; i < 200; ++i) {
    const std::string bytes = ObjectId::Random().Binary();
    for (size_t b = 0; b < 16; ++b) {
      ored[b] = static_cast<char>(ored[b] | bytes[b]);
      anded[b] = static_cast<char>(anded[b] & bytes[b]);
    }
  }
  for (size_t b = 0; b < 16; ++b) {
    const int changing = (ored[b] & ~anded[b]) & 0xff;
    EXPECT_EQ(changing, b == 6 ? 0x0f : b == 8 ? 0x3f : 0xff) << "byte " << b;
  }
}

TEST(Id, HexAndBinaryRoundTrip) {
  for (int i = 0; i < 100; ++i) {
    const TaskId id = TaskId::Random();
    EXPECT_EQ(*TaskId::FromHex(id.Hex()), id);
    EXPECT_EQ(*TaskId::FromBinary(id.Binary()), id);
  }
}

TEST(Id, ReadsEveryFormOfHex) {
  const std::string hex = "0123456789abcdef0f1e2d3c4b5a6978";
  const auto id = ObjectId::FromHex(hex);
  ASSERT_TRUE(id.ok());
  EXPECT_EQ(id->Hex(), hex);
  EXPECT_EQ(id->Binary(), "\x01\x23\x45\x67\x89\xab\xcd\xef\x0f\x1e\x2d\x3c\x4b\x5a\x69\x78");
  EXPECT_EQ(*ObjectId::FromHex("0123456789ABCDEF0F1E2D3C4B5A6978"), *id);
  EXPECT_EQ(*ObjectId::FromHex("01234567-89ab-cdef-0f1e-2d3c4b5a6978"), *id);
}

TEST(Id, RejectsWhatIsNoId) {
  const std::string dashed = "01234567-89ab-cdef-0f1e-2d3c4b5a6978";
  std::vector<std::string> bad = {"",
                                  "0",
                                  std::string(31, 'a'),
                                  std::string(33, 'a'),
                                  std::string(31, 'a') + "g",
                                  std::string(36, 'a'),
                                  dashed + "0",
                                  "{" + dashed + "}",
                                  "0123456789ab-cdef-0f1e-2d3c-4b5a6978",
                                  std::string(32, '\0')};
  for (size_t i = 0; i < dashed.size(); ++i) {
    std::string changed = dashed;
    changed[i] = changed[i] == '-' ? '0' : '-';
    bad.push_back(changed);
  }
  for (const std::string& hex : bad) {
    const auto id = ObjectId::FromHex(hex);
    EXPECT_EQ(id.status().code(), absl::StatusCode::kInvalidArgument) << hex;
  }
  EXPECT_THAT(std::string(ObjectId::FromHex(std::string(1000, 'x')).status().message()), HasSubstr("xxx..."));
  for (const size_t size : {0, 15, 17}) {
    EXPECT_EQ(ObjectId::FromBinary(std::string(size, 'a')).status().code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(Id, OrdersAsItsHex) {
  std::vector<ObjectId> ids;
  for (int i = 0; i < 100; ++i) ids.push_back(ObjectId::Random());
  std::sort(ids.begin(), ids.end());
  EXPECT_TRUE(
      std::is_sorted(ids.begin(), ids.end(), [](const ObjectId& a, const ObjectId& b) { return a.Hex() < b.Hex(); }));
}

TEST(Id, HashesSpreadIdsThatDifferInOneBit) {
  std::vector<ObjectId> ids = {ObjectId::Nil()};
  for (size_t bit = 0; bit < 128; ++bit) {
    std::string bytes(16, '\0');
    bytes[bit / 8] = static_cast<char>(1 << bit % 8);
    ids.push_back(*ObjectId::FromBinary(bytes));
  }
  std::set<size_t> hashes, absl_hashes;
  for (const ObjectId& id : ids) {
    hashes.insert(std::hash<ObjectId>()(id));
    absl_hashes.insert(absl::Hash<ObjectId>()(id));
  }
  EXPECT_EQ(absl_hashes.size(), ids.size());
  // Halves are combined, so that a bit of one may meet a bit of the other.
  EXPECT_GE(hashes.size(), 65u);
}

TEST(Id, ThreadsDrawDifferentIds) {
  constexpr size_t kThreads = 4, kIds = 50'000;
  std::vector<std::vector<ObjectId>> drawn(kThreads);
  std::vector<std::thread> threads;
  for (auto& ids : drawn) {
    threads.emplace_back([&ids] {
      for (size_t i = 0; i < kIds; ++i) ids.push_back(ObjectId::Random());
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::unordered_set<ObjectId> all;
  for (const auto& ids : drawn) all.insert(ids.begin(), ids.end());
  EXPECT_EQ(all.size(), kThreads * kIds);
}

// Draws ids in a child process, whose own child draws some too if `generations` is 2.
std::string IdsOfChild(int generations, size_t count) {
  int ends[2];
  if (pipe(ends) != 0) return "";
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    std::string bytes;
    for (size_t i = 0; i < count; ++i) bytes += ObjectId::Random().Binary();
    if (generations > 1) bytes += IdsOfChild(generations - 1, count);
    const bool written = write(ends[1], bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size());
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  std::string bytes;
  char buffer[4096];
  for (ssize_t got; (got = read(ends[0], buffer, sizeof(buffer))) > 0;) bytes.append(buffer, static_cast<size_t>(got));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? bytes : "";
}

TEST(Id, ChildrenOfForkDrawOtherIdsThanTheirParents) {
  constexpr size_t kIds = 50;
  ObjectId::Random();  // The generator that the child inherits has been seeded.
  std::string bytes = IdsOfChild(2, kIds) + IdsOfChild(1, kIds);
  ASSERT_EQ(bytes.size(), 3 * kIds * 16);
  for (size_t i = 0; i < kIds; ++i) bytes += ObjectId::Random().Binary();
  std::unordered_set<ObjectId> all;
  for (size_t i = 0; i < bytes.size(); i += 16) all.insert(*ObjectId::FromBinary(bytes.substr(i, 16)));
  EXPECT_EQ(all.size(), 4 * kIds);
}

}  // namespace
}  // namespace rustyray::core
