#include "object_store/shm/shm_object_store.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/id.h"
#include "core/object_ref.h"
#include "gtest/gtest.h"
#include "object_store/object_store.h"
#include "object_store/object_store_contract.h"
#include "object_store/object_store_stress.h"
#include "object_store/shm/shm_store.h"
#include "object_store/testing/backend.h"

namespace rustyray::object_store {
namespace {

using core::ObjectId;
using core::ObjectRef;

std::unique_ptr<ObjectStore> Make(const StoreOptions& options) { return MakeShmObjectStore({}, options).value(); }

INSTANTIATE_TEST_SUITE_P(Backends, ObjectStoreContract, testing::Values(Backend{"shm", &Make}), NameOfBackend);
INSTANTIATE_TEST_SUITE_P(Backends, ObjectStoreStress, testing::Values(Backend{"shm", &Make}), NameOfBackend);

// A name of its own for each test; a pid would not do: tests that run side by side may each be the same one.
std::string Name() { return "test-" + ObjectId::Random().Hex(); }

// Runs `work` in a child process; what it returns is how it ended.
template <class F>
int InChild(F work) {
  const pid_t child = fork();
  if (child == 0) _exit(work());
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(ShmObjectStore, AnotherProcessFindsByIdWhatWasPut) {
  const std::string name = Name();
  const auto store = MakeShmObjectStore({.name = name}).value();
  const ObjectRef numbers = store->Put(std::vector<int>{1, 2, 3}).value();
  const ObjectId id = numbers.Id();
  EXPECT_EQ(InChild([&] {
              const auto mine = MakeShmObjectStore({.name = name}).value();
              if (!mine->Contains(id)) return 1;
              const ObjectRef found = mine->Find(id).value();
              if (*found.Get<std::vector<int>>() != std::vector<int>{1, 2, 3}) return 2;
              if (**found.View<std::vector<int>>() != std::vector<int>{1, 2, 3}) return 3;
              const absl::Status wrong = found.Get<std::string>().status();
              if (wrong.message().find("vector<int") == absl::string_view::npos) return 4;
              if (mine->Find(ObjectId::Random()).ok()) return 5;
              return 0;
            }),
            0);
}

TEST(ShmObjectStore, ACacheObjectOutlivesItsProcessAndAnOwnedOneDoesNot) {
  const std::string name = Name();
  const auto store = MakeShmObjectStore({.name = name}).value();
  const ObjectId cached = ObjectId::Random();
  const ObjectId owned = ObjectId::Random();
  EXPECT_EQ(InChild([&] {
              const auto mine = MakeShmObjectStore({.name = name}).value();
              static ObjectRef kept;
              kept = mine->Put(std::string("owned"), {.lifetime = Lifetime::kOwned, .id = owned}).value();
              mine->Put(std::string("cached"), {.lifetime = Lifetime::kCache, .id = cached}).value();
              kill(getpid(), SIGKILL);
              return 0;
            }),
            -SIGKILL);
  ShmStore segment = ShmStore::Open(name).value();
  ASSERT_TRUE(segment.ReclaimDead().ok());
  EXPECT_EQ(*store->Find(cached).value().Get<std::string>(), "cached");
  EXPECT_EQ(store->Find(owned).status().code(), absl::StatusCode::kNotFound);
}

TEST(ShmObjectStore, AnIdTakenByAnotherProcessIsTaken) {
  const std::string name = Name();
  const auto store = MakeShmObjectStore({.name = name}).value();
  ShmStore other = ShmStore::Open(name).value();
  const ObjectId id = ObjectId::Random();
  ASSERT_TRUE(other.Put(id, {}).ok());
  EXPECT_THAT(store->Put(1, {.id = id}),
              FailsWith(absl::StatusCode::kAlreadyExists, core::ErrorKind::kInvalid, id.Hex()));
  ASSERT_TRUE(store->Delete(id).ok());
  EXPECT_FALSE(other.Contains(id));
  EXPECT_THAT(store->Put(1, {.id = id}), IsOk());
}

TEST(ShmObjectStore, ItsArraysAreReadInPlaceThroughTheSegment) {
  const std::string name = Name();
  const auto store = MakeShmObjectStore({.name = name}).value();
  const ObjectRef ref = store->Put(std::vector<double>(1000, 0.5)).value();
  ShmStore other = ShmStore::Open(name).value();
  const ShmObject object = other.Get(ref.Id()).value();
  EXPECT_EQ(object.As<double>()->size(), 1000u);
  EXPECT_EQ(object.As<double>()->back(), 0.5);
  EXPECT_EQ(object.As<float>().status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ShmObjectStore, RoomThatOthersFilledIsMadeByEvictingWhatIsHere) {
  const std::string name = Name();
  const auto store = MakeShmObjectStore({.name = name}, {.limit_bytes = 8192}).value();
  ShmStore other = ShmStore::Open(name).value();
  const ObjectId mine = ObjectId::Random();
  store->Put(std::string(4096, 'a'), {.lifetime = Lifetime::kCache, .id = mine}).value();
  const ShmObject theirs = other.Put(ObjectId::Random(), std::vector<std::byte>(2048)).value();
  EXPECT_THAT(store->Put(std::string(4000, 'b')), IsOk());
  EXPECT_FALSE(store->Contains(mine));
  EXPECT_THAT(store->Put(std::string(8000, 'c')), IsFull());
}

bool IsThere(const std::string& name) { return access(("/dev/shm/rustyray." + name).c_str(), F_OK) == 0; }

TEST(ShmObjectStore, WhatIsReferredToWhenAProcessExitsLeavesNoFile) {
  const std::string name = Name();
  EXPECT_EQ(InChild([&] {
              auto store = MakeShmObjectStore({.name = name}).value();
              static auto* const kept = new ObjectRef(store->Put(std::string("kept")).value());
              store.reset();
              std::exit(*kept && IsThere(name) ? 0 : 1);
              return 2;
            }),
            0);
  EXPECT_FALSE(IsThere(name));
}

TEST(ShmObjectStore, ASegmentThatAProcessHasTwiceWhenItExitsLeavesNoFile) {
  const std::string name = Name();
  EXPECT_EQ(InChild([&] {
              static auto* const one = MakeShmObjectStore({.name = name}).value().release();
              static auto* const other = MakeShmObjectStore({.name = name}).value().release();
              std::exit(one != other && IsThere(name) ? 0 : 1);
              return 2;
            }),
            0);
  EXPECT_FALSE(IsThere(name));
}

TEST(ShmObjectStore, TheFileStaysForOthersWhenAProcessExits) {
  const std::string name = Name();
  auto mine = MakeShmObjectStore({.name = name}).value();
  const ObjectRef before = mine->Put(1).value();
  EXPECT_EQ(InChild([&] {
              static auto* const theirs = MakeShmObjectStore({.name = name}).value().release();
              std::exit(theirs != nullptr && IsThere(name) ? 0 : 1);
              return 2;
            }),
            0);
  EXPECT_TRUE(IsThere(name));
  EXPECT_TRUE(MakeShmObjectStore({.name = name}).value()->Contains(before.Id()));
}

TEST(ShmObjectStore, AKeptFileStaysWhenAProcessExits) {
  const std::string name = Name();
  EXPECT_EQ(InChild([&] {
              static auto* const kept = new ShmStore(ShmStore::Create({.name = name, .keep = true}).value());
              std::exit(kept->name() == name ? 0 : 1);
              return 2;
            }),
            0);
  EXPECT_TRUE(IsThere(name));
  EXPECT_TRUE(ShmStore::Remove(name).ok());
}

TEST(ShmObjectStore, AStoreWithNothingLeftLetsGoOfItsSegmentAlsoWhenCallsWereMadeForIt) {
  const std::string name = Name();
  auto store = MakeShmObjectStore({.name = name}).value();
  static_cast<void>(store->owner());  // from now on records may point at the store that it does not see
  store->Put(1).value();
  EXPECT_TRUE(IsThere(name));
  store.reset();
  EXPECT_FALSE(IsThere(name));
}

TEST(ShmObjectStore, AValueWithoutACodecStaysInItsProcess) {
  const std::string name = Name();
  const auto store = MakeShmObjectStore({.name = name}).value();
  ShmStore other = ShmStore::Open(name).value();
  const ObjectId id = ObjectId::Random();
  const ObjectId cached = ObjectId::Random();
  const ObjectRef ref = store->Put(std::make_unique<int>(1), {.id = id}).value();
  store->Put(std::make_unique<int>(2), {.lifetime = Lifetime::kCache, .id = cached}).value();
  EXPECT_GT(store->Statistics().bytes, 0);
  EXPECT_EQ(other.Statistics()->objects, 0);
  EXPECT_FALSE(other.Contains(id));
  EXPECT_TRUE(absl::IsNotFound(other.Get(cached).status()));
  EXPECT_EQ(***store->Find(cached).value().View<std::unique_ptr<int>>(), 2);
}

TEST(ShmObjectStore, AnIdTakenByAnotherProcessIsTakenAlsoForWhatHasNoCodec) {
  const std::string name = Name();
  const auto store = MakeShmObjectStore({.name = name}).value();
  ShmStore other = ShmStore::Open(name).value();
  const ObjectId id = ObjectId::Random();
  ASSERT_TRUE(other.Put(id, {}).ok());
  auto value = std::make_unique<int>(1);
  EXPECT_THAT(store->Put(std::move(value), {.id = id}),
              FailsWith(absl::StatusCode::kAlreadyExists, core::ErrorKind::kInvalid, id.Hex()));
  EXPECT_EQ(*value, 1);
  EXPECT_EQ(store->Statistics().bytes, 0);
  EXPECT_TRUE(other.Contains(id));
}

TEST(ShmObjectStore, RoomThatOthersFilledIsNotMadeByEvictingWhatIsElsewhere) {
  const std::string name = Name();
  const auto store = MakeShmObjectStore({.name = name}, {.limit_bytes = 8192}).value();
  ShmStore other = ShmStore::Open(name).value();
  const ObjectId mine = ObjectId::Random();
  store->Put(std::make_unique<std::string>(3000, 'a'), {.lifetime = Lifetime::kCache, .id = mine}).value();
  const ShmObject theirs = other.Put(ObjectId::Random(), std::vector<std::byte>(6000)).value();
  EXPECT_THAT(store->Put(std::string(3000, 'b')), IsFull());
  EXPECT_TRUE(store->Contains(mine));
}

}  // namespace
}  // namespace rustyray::object_store
