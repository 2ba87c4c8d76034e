#include "object_store/shm/shm_store.h"

#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rustyray::object_store {
namespace {

using core::ObjectId;
using testing::HasSubstr;

std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text.data(), text.size())); }
std::string Text(const ShmObject& object) {
  return {reinterpret_cast<const char*>(object.bytes().data()), object.bytes().size()};
}

ShmStore Make(std::size_t limit_bytes = 1 << 20) { return ShmStore::Create({.limit_bytes = limit_bytes}).value(); }

// Runs `work` in a child process and returns how it ended.
template <class F>
int InChild(F work) {
  const pid_t child = fork();
  if (child == 0) {
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status;
}

TEST(ShmStore, ReadsInPlaceWhatWasWrittenInPlace) {
  ShmStore store = Make();
  const ObjectId id = ObjectId::Random();
  ShmWriter writer = store.Create(id, 5).value();
  EXPECT_FALSE(store.Contains(id));
  EXPECT_EQ(store.Get(id).status().code(), absl::StatusCode::kNotFound);
  std::memcpy(writer.bytes().data(), "hello", 5);
  const ShmObject written = std::move(writer).Seal().value();
  const ShmObject read = store.Get(id).value();
  EXPECT_EQ(Text(read), "hello");
  EXPECT_EQ(read.bytes().data(), written.bytes().data());
  EXPECT_EQ(read.type_name(), "bytes");
  EXPECT_TRUE(store.Contains(id));
}

TEST(ShmStore, AnAbortedObjectLeavesItsIdAndItsBytes) {
  ShmStore store = Make();
  const ObjectId id = ObjectId::Random();
  { const ShmWriter dropped = store.Create(id, 5000).value(); }
  EXPECT_EQ(store.Statistics()->being_written, 0u);
  EXPECT_TRUE(store.Create(id, 5000).ok());
}

TEST(ShmStore, DeletedBytesStayForWhoHasThemPinned) {
  ShmStore store = Make();
  const ObjectId id = ObjectId::Random();
  ShmObject object = store.Put(id, Bytes("abc")).value();
  ASSERT_TRUE(store.Delete(id).ok());
  EXPECT_FALSE(store.Contains(id));
  EXPECT_EQ(store.Statistics()->deleted_but_pinned, 1u);
  const ShmObject other = store.Put(id, Bytes("new")).value();
  EXPECT_EQ(Text(object), "abc");
  object = ShmObject();
  EXPECT_EQ(store.Statistics()->deleted_but_pinned, 0u);
  EXPECT_EQ(Text(other), "new");
}

TEST(ShmStore, EvictsTheLeastRecentlyUsedThatNobodyHasPinned) {
  ShmStore store = Make(4 * 1024);
  std::vector<ObjectId> ids;
  std::vector<ShmObject> pinned;
  for (int i = 0; i < 4; ++i) {
    ids.push_back(ObjectId::Random());
    ShmObject object = store.Put(ids.back(), Bytes(std::string(1024, static_cast<char>('a' + i)))).value();
    if (i == 0) pinned.push_back(std::move(object));
  }
  store.Get(ids[1]).value();
  store.Put(ObjectId::Random(), Bytes(std::string(1024, 'z'))).value();
  EXPECT_TRUE(store.Contains(ids[0]));
  EXPECT_TRUE(store.Contains(ids[1]));
  EXPECT_FALSE(store.Contains(ids[2]));
  EXPECT_EQ(store.Statistics()->evictions, 1u);
}

TEST(ShmStore, AnotherProcessReadsAndWrites) {
  ShmStore store = Make();
  const ObjectId id = ObjectId::Random();
  const ObjectId answer = ObjectId::Random();
  store.Put(id, Bytes("question")).value();
  const std::string name = store.name();
  EXPECT_EQ(InChild([&] {
              absl::StatusOr<ShmStore> mine = ShmStore::Open(name);
              if (!mine.ok()) _exit(1);
              if (Text(mine->Get(id).value()) != "question") _exit(2);
              if (!mine->Put(answer, Bytes("answer")).ok()) _exit(3);
            }),
            0);
  EXPECT_EQ(Text(store.Get(answer).value()), "answer");
}

TEST(ShmStore, WhatAKilledProcessHadComesBack) {
  ShmStore store = Make();
  const ObjectId id = ObjectId::Random();
  store.Put(id, Bytes("x")).value();
  const ShmStatistics before = store.Statistics().value();
  const std::string name = store.name();
  EXPECT_EQ(InChild([&] {
              ShmStore mine = ShmStore::Open(name).value();
              const ShmObject pin = mine.Get(id).value();
              if (!mine.Delete(id).ok()) _exit(1);
              const ShmWriter half = mine.Create(ObjectId::Random(), 10'000).value();
              kill(getpid(), SIGKILL);
            }),
            SIGKILL);
  const ShmStatistics after = store.Statistics().value();
  EXPECT_EQ(after.objects, 0u);
  EXPECT_EQ(after.being_written, 0u);
  EXPECT_EQ(after.deleted_but_pinned, 0u);
  EXPECT_EQ(after.free_bytes, before.free_bytes + 64);
  EXPECT_EQ(after.recoveries, before.recoveries + 1);
}

TEST(ShmStore, AWaiterIsToldBySealing) {
  ShmStore store = Make();
  const ObjectId id = ObjectId::Random();
  std::thread waiter([&] { EXPECT_EQ(Text(store.Wait(id).value()), "now"); });
  store.Put(id, Bytes("now")).value();
  waiter.join();
}

}  // namespace
}  // namespace rustyray::object_store
