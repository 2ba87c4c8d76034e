#include "object_store/memory_object_store.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/testing/allocation_count.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "object_store/object_store.h"
#include "object_store/object_store_contract.h"
#include "object_store/testing/backend.h"

namespace rustyray::object_store {
namespace {

using core::ObjectRef;

INSTANTIATE_TEST_SUITE_P(Backends, ObjectStoreContract, testing::Values(Backend{"memory", &MakeMemoryObjectStore}),
                         NameOfBackend);

// What `work` costs this thread.
template <class Work>
std::pair<std::uint64_t, std::uint64_t> AllocationsAndLocks(Work work) {
  const std::uint64_t allocations = core::AllocationsOfThisThread();
  const std::uint64_t locks = core::locks_taken_by_this_thread;
  work();
  return {core::AllocationsOfThisThread() - allocations, core::locks_taken_by_this_thread - locks};
}

TEST(MemoryObjectStore, APutIsOneAllocationAndNoLock) {
  const auto store = MakeMemoryObjectStore();
  { const auto warm = store->Put(1); }
  const auto [allocations, locks] = AllocationsAndLocks([&] {
    for (int i = 0; i < 1000; ++i) ASSERT_TRUE(store->Put(i).ok());
  });
  EXPECT_EQ(allocations, core::AllocationsAreCounted() ? 1000 : 0);
  EXPECT_EQ(locks, 0);
}

TEST(MemoryObjectStore, AViewIsNoLockAndAfterTheFirstNoAllocation) {
  const auto store = MakeMemoryObjectStore();
  const ObjectRef ref = store->Put(std::string(100, 'x')).value();
  const auto first = ref.View<std::string>().value();
  const auto [allocations, locks] = AllocationsAndLocks([&] {
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(ref.View<std::string>().value(), first);
  });
  EXPECT_EQ(allocations, 0);
  EXPECT_EQ(locks, 0);
}

TEST(MemoryObjectStore, APrivateCopyOfANumberIsNoAllocationAndNoLock) {
  const auto store = MakeMemoryObjectStore();
  const ObjectRef ref = store->Put(1).value();
  const auto cost = AllocationsAndLocks([&] { ASSERT_EQ(*ref.Get<int>(), 1); });
  EXPECT_EQ(cost, std::make_pair(std::uint64_t{0}, std::uint64_t{0}));
}

TEST(MemoryObjectStore, TakesMoveOnlyValuesAndGivesThemBackByMove) {
  const auto store = MakeMemoryObjectStore();
  auto number = std::make_unique<int>(5);
  const int* const address = number.get();
  ObjectRef ref = store->Put(std::move(number)).value();
  EXPECT_EQ(ref.View<std::unique_ptr<int>>().value()->get(), address);
  const ObjectRef other = ref;
  const auto shared = std::move(ref).Take<std::unique_ptr<int>>();
  EXPECT_TRUE(absl::IsFailedPrecondition(shared.status())) << shared.status();
  ObjectRef last = other;
  const_cast<ObjectRef&>(other) = ObjectRef();
  ref = ObjectRef();
  const auto taken = std::move(last).Take<std::unique_ptr<int>>();
  ASSERT_THAT(taken, IsOk());
  EXPECT_EQ(taken->get(), address);
  EXPECT_EQ(store->Statistics().objects, 0);
}

TEST(MemoryObjectStore, GivesARejectedMoveOnlyValueBack) {
  const auto store = MakeMemoryObjectStore({.limit_bytes = 1});
  auto number = std::make_unique<int>(5);
  EXPECT_THAT(store->Put(std::move(number)), IsFull());
  ASSERT_NE(number, nullptr);
  EXPECT_EQ(*number, 5);
}

struct Constant {
  explicit Constant(int number) : number(number) {}
  Constant(Constant&& other) noexcept : number(other.number) {}
  const int number;
};

TEST(MemoryObjectStore, GivesARejectedValueBackThatCannotBeAssigned) {
  const auto store = MakeMemoryObjectStore({.limit_bytes = 1});
  Constant constant(7);
  EXPECT_THAT(store->Put(std::move(constant)), IsFull());
  EXPECT_EQ(constant.number, 7);
}

TEST(MemoryObjectStore, TakesValuesWithoutACodec) {
  const auto store = MakeMemoryObjectStore();
  const ObjectRef ref = store->Put(std::map<std::string, int>{{"a", 1}}).value();
  EXPECT_EQ((ref.View<std::map<std::string, int>>().value()->at("a")), 1);
}

TEST(MemoryObjectStore, TakingTheOnlyRefMovesTheValueOut) {
  const auto store = MakeMemoryObjectStore();
  std::string text(1000, 'x');
  const char* const characters = text.data();
  ObjectRef ref = store->Put(std::move(text)).value();
  EXPECT_EQ(ref.View<std::string>().value()->data(), characters);
  EXPECT_FALSE(ref.Id().IsNil());
  EXPECT_EQ(std::move(ref).Take<std::string>().value().data(), characters);
}

class Opaque {
 public:
  Opaque() = default;
  Opaque(Opaque&&) noexcept {}
  ~Opaque() {}

 private:
  void* hidden_ = nullptr;
};

TEST(MemoryObjectStore, CountsOpaqueObjects) {
  const auto store = MakeMemoryObjectStore();
  const ObjectRef clear = store->Put(1).value();
  {
    const ObjectRef opaque = store->Put(Opaque()).value();
    EXPECT_EQ(store->Statistics().opaque_objects, 1);
    EXPECT_EQ(store->Statistics().opaque_bytes, sizeof(Opaque));
  }
  EXPECT_EQ(store->Statistics().opaque_objects, 0);
  EXPECT_EQ(store->Statistics().opaque_bytes, 0);
}

TEST(MemoryObjectStore, ADestructorThatEvictionRunsMayPut) {
  const auto store = MakeMemoryObjectStore({.limit_bytes = 200});
  struct Puts {
    explicit Puts(ObjectStore* store) : store(store) {}
    Puts(Puts&& other) noexcept : store(std::exchange(other.store, nullptr)) {}
    ~Puts() {
      if (store != nullptr) static_cast<void>(store->Put(std::string(50, 'd'), {.lifetime = Lifetime::kCache}));
    }
    ObjectStore* store;
  };
  ASSERT_THAT(store->Put(Puts(store.get()), {.lifetime = Lifetime::kCache}), IsOk());
  const auto put = store->Put(std::string(160, 'x'));  // has room once both are gone
  EXPECT_THAT(put, IsOk());
  EXPECT_EQ(store->Statistics().evictions, 2);
}

TEST(MemoryObjectStore, AChainOfRefsInsideObjectsIsDroppedWithoutRecursion) {
  struct Link {
    ObjectRef next;
  };
  const auto store = MakeMemoryObjectStore();
  ObjectRef head;
  for (int i = 0; i < 200'000; ++i) head = store->Put(Link{std::move(head)}).value();
  head = ObjectRef();
  EXPECT_EQ(store->Statistics().objects, 0);
}

TEST(MemoryObjectStore, ReportsWhatAPutCosts) {
  const auto store = MakeMemoryObjectStore();
  constexpr int kPuts = 20'000;
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kPuts; ++i) static_cast<void>(store->Put(i));
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count() / kPuts);
  }
  RecordProperty("put_and_drop_of_int_ns", static_cast<int>(best));
}

// Which of them a file has depends on how it meets the type first.
TEST(MemoryObjectStore, ATypeIsItselfHoweverTheCompilerSpellsIt) {
  const auto store = MakeMemoryObjectStore();
  const ObjectRef ref = store->Put(std::make_unique<int>(1)).value();
  EXPECT_TRUE(ref.AwaitType("std::unique_ptr<int>").ok());
  EXPECT_TRUE(ref.AwaitType("std::unique_ptr<int, std::default_delete<int> >").ok());
  EXPECT_FALSE(ref.AwaitType("std::unique_ptr<int, Deleter>").ok());
  EXPECT_FALSE(ref.AwaitType("std::unique_ptr<long>").ok());
}

}  // namespace
}  // namespace rustyray::object_store
