// The contract: lifetimes, ids, eviction, pins.

#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/error.h"
#include "core/id.h"
#include "core/object_ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "object_store/object_store.h"
#include "object_store/object_store_contract.h"

namespace rustyray::object_store {
namespace {

using core::AccountId;
using core::ErrorKind;
using core::ObjectId;
using core::ObjectRef;

PutOptions CachedAs(const ObjectId& id) { return {.lifetime = Lifetime::kCache, .id = id}; }

TEST_P(ObjectStoreContract, AnOwnedObjectGoesWithItsLastRef) {
  const auto store = Make();
  ObjectRef a = store->Put(Block()).value();
  ObjectRef b = a;
  a = ObjectRef();
  EXPECT_EQ(store->Statistics().objects, 1);
  b = ObjectRef();
  EXPECT_EQ(store->Statistics().objects, 0);
  EXPECT_EQ(store->Statistics().bytes, 0);
}

TEST_P(ObjectStoreContract, AnOwnedObjectIsFoundByItsIdWhileSomethingRefersToIt) {
  const auto store = Make();
  ObjectRef ref = store->Put(42).value();
  const ObjectId id = ref.Id();
  EXPECT_FALSE(id.IsNil());
  EXPECT_EQ(ref.Id(), id);
  EXPECT_TRUE(store->Contains(id));
  ObjectRef found = store->Find(id).value();
  EXPECT_EQ(found, ref);
  ref = ObjectRef();
  EXPECT_EQ(*store->Find(id).value().Get<int>(), 42);
  found = ObjectRef();
  EXPECT_FALSE(store->Contains(id));
  EXPECT_TRUE(absl::IsNotFound(store->Find(id).status()));
  EXPECT_EQ(store->Statistics().hits, 2);
  EXPECT_EQ(store->Statistics().misses, 1);
}

TEST_P(ObjectStoreContract, AnIdThatIsTakenIsNamed) {
  const auto store = Make();
  const ObjectId id = ObjectId::Random();
  ObjectRef first = store->Put(1, {.id = id}).value();
  EXPECT_EQ(first.Id(), id);
  EXPECT_THAT(store->Put(2, {.id = id}), FailsWith(absl::StatusCode::kAlreadyExists, ErrorKind::kInvalid, id.Hex()));
  std::string value = Block();
  EXPECT_FALSE(store->Put(std::move(value), CachedAs(id)).ok());
  EXPECT_EQ(value, Block());
  EXPECT_EQ(store->Statistics().objects, 1);
  first = ObjectRef();
  EXPECT_THAT(store->Put(2, {.id = id}), IsOk());
  EXPECT_FALSE(store->Put(3, {.id = ObjectId::Nil()}).ok());
}

TEST_P(ObjectStoreContract, ARejectedPutLeavesItsIdFree) {
  const auto store = MakeWithLimit(block_size() - 1);
  const ObjectId id = ObjectId::Random();
  EXPECT_THAT(store->Put(Block(), {.id = id}), IsFull());
  EXPECT_FALSE(store->Contains(id));
  EXPECT_THAT(store->Put(1, {.id = id}), IsOk());
}

TEST_P(ObjectStoreContract, ACacheObjectIsFoundWithoutAnyRef) {
  const auto store = Make();
  const ObjectId id = store->Put(Block(), kCached).value().Id();
  EXPECT_FALSE(id.IsNil());
  EXPECT_EQ(store->Statistics().cache_objects, 1);
  EXPECT_EQ(store->Statistics().cache_bytes, store->Statistics().bytes);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(*store->Find(id).value().Get<std::string>(), Block());
}

TEST_P(ObjectStoreContract, TheStoreMayMakeCacheObjectsByDefault) {
  const auto store = Make({.default_lifetime = Lifetime::kCache});
  const ObjectId id = store->Put(1).value().Id();
  EXPECT_TRUE(store->Contains(id));
  const ObjectId owned = store->Put(1, {.lifetime = Lifetime::kOwned}).value().Id();
  EXPECT_FALSE(store->Contains(owned));
}

TEST_P(ObjectStoreContract, EvictsTheLeastRecentlyUsedFirst) {
  const auto store = MakeWithLimit(3 * block_size());
  std::vector<ObjectId> ids;
  for (int i = 0; i < 3; ++i) ids.push_back(store->Put(Block(), kCached).value().Id());
  ASSERT_THAT(store->Find(ids[0]), IsOk());  // now 1 is the oldest
  ASSERT_THAT(store->Put(Block()), IsOk());
  EXPECT_TRUE(store->Contains(ids[0]));
  EXPECT_FALSE(store->Contains(ids[1]));
  EXPECT_TRUE(store->Contains(ids[2]));
  EXPECT_EQ(store->Statistics().evictions, 1);
}

TEST_P(ObjectStoreContract, TheOrderOfEvictionIsExact) {
  constexpr int kObjects = 20;
  const auto store = MakeWithLimit(kObjects * block_size());
  std::vector<ObjectId> ids;
  for (int i = 0; i < kObjects; ++i) ids.push_back(store->Put(Block(), kCached).value().Id());
  std::vector<int> order;  // of the last use
  for (int i = 0; i < kObjects; ++i) {
    const int used = (i * 7 + 3) % kObjects;
    ASSERT_THAT(store->Find(ids[static_cast<std::size_t>(used)]), IsOk());
    order.push_back(used);
  }
  std::vector<ObjectRef> owned;
  for (int i = 0; i < kObjects; ++i) {
    owned.push_back(store->Put(Block()).value());
    for (int j = 0; j < kObjects; ++j) {
      const auto id = ids[static_cast<std::size_t>(order[static_cast<std::size_t>(j)])];
      EXPECT_EQ(store->Contains(id), j > i) << i << " " << j;
    }
  }
}

TEST_P(ObjectStoreContract, BatchReadsAreUses) {
  const auto store = MakeWithLimit(2 * block_size());
  const std::vector<ObjectRef> first{store->Put(Block('a'), kCached).value()};
  const ObjectRef second = store->Put(Block('b'), kCached).value();
  ASSERT_THAT(store->GetBatch<std::string>(first), IsOk());
  ASSERT_THAT(store->Put(Block()), IsOk());
  EXPECT_EQ(*first[0].Get<std::string>(), Block('a'));
  EXPECT_THAT(second.Get<std::string>(), FailsWith(absl::StatusCode::kNotFound, ErrorKind::kEvicted, "evicted"));
}

TEST_P(ObjectStoreContract, ReadingAnEvictedObjectSaysSo) {
  const auto store = MakeWithLimit(block_size());
  const ObjectRef ref = store->Put(Block(), kCached).value();
  const ObjectId id = ref.Id();
  ASSERT_THAT(store->Put(Block()), IsOk());
  EXPECT_THAT(ref.Get<std::string>(), FailsWith(absl::StatusCode::kNotFound, ErrorKind::kEvicted, "evicted"));
  EXPECT_THAT(ref.View<std::string>(), FailsWith(absl::StatusCode::kNotFound, ErrorKind::kEvicted, "evicted"));
  EXPECT_TRUE(absl::IsNotFound(store->Find(id).status()));
  EXPECT_EQ(ref.Id(), id);
  EXPECT_THAT(store->Put(1, {.id = id}), IsOk());
}

TEST_P(ObjectStoreContract, EvictsNoMoreThanIsNeededAndNothingInVain) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(4 * size);
  const ObjectRef owned = store->Put(Block()).value();
  for (int i = 0; i < 3; ++i) ASSERT_THAT(store->Put(Block(), kCached), IsOk());
  EXPECT_THAT(store->Put(std::string(4 * size, 'x')), IsFull());
  EXPECT_THAT(store->PutBatch(std::vector<std::string>(4, Block())), IsFull());
  EXPECT_EQ(store->Statistics().evictions, 0);
  ASSERT_THAT(store->PutBatch(std::vector<std::string>(2, Block())), IsOk());
  EXPECT_EQ(store->Statistics().evictions, 2);
}

TEST_P(ObjectStoreContract, OwnedObjectsAreNeverEvicted) {
  const auto store = MakeWithLimit(2 * block_size());
  const ObjectRef owned = store->Put(Block('o')).value();
  for (int i = 0; i < 10; ++i) ASSERT_THAT(store->Put(Block(), kCached), IsOk());
  EXPECT_EQ(*owned.Get<std::string>(), Block('o'));
  EXPECT_EQ(store->Statistics().evictions, 9);
}

TEST_P(ObjectStoreContract, ThreadsThatPutIntoAFullCacheDoNotRejectEachOther) {
  const auto store = MakeWithLimit(2 * block_size());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 1000; ++i) {
        auto put = store->Put(Block(), {.lifetime = t == 3 ? Lifetime::kOwned : Lifetime::kCache});
        EXPECT_THAT(put, IsOk());
        if (put.ok() && t == 2) {
          const ObjectId id = put->Id();
          *put = ObjectRef();
          static_cast<void>(store->Delete(id));
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(ObjectStoreContract, AViewPinsACacheObjectAlsoWithoutRefs) {
  const auto store = MakeWithLimit(block_size());
  auto view = store->Put(Block(), kCached).value().View<std::string>().value();
  EXPECT_EQ(store->Statistics().cache_pinned_bytes, block_size());
  EXPECT_EQ(store->Statistics().pinned_bytes, block_size());
  EXPECT_THAT(store->Put(Block()), IsFull());
  EXPECT_EQ(*view, Block());
  view.reset();
  EXPECT_EQ(store->Statistics().pinned_bytes, 0);
  EXPECT_THAT(store->Put(Block()), IsOk());
}

TEST_P(ObjectStoreContract, EvictionGoesAroundPins) {
  const auto store = MakeWithLimit(2 * block_size());
  const auto view = store->Put(Block('p'), kCached).value().View<std::string>().value();
  const ObjectId second = store->Put(Block(), kCached).value().Id();
  ASSERT_THAT(store->Put(Block(), kCached), IsOk());
  EXPECT_FALSE(store->Contains(second));
  EXPECT_EQ(*view, Block('p'));
}

TEST_P(ObjectStoreContract, PinnedBytesAreThereAtOnce) {
  const auto store = Make();
  ObjectRef ref = store->Put(Block()).value();
  const ObjectRef other = store->Put(7).value();
  EXPECT_EQ(store->Statistics().pinned_bytes, 0);
  auto view = ref.View<std::string>().value();
  const std::size_t pinned = store->Statistics().pinned_bytes;
  EXPECT_GE(pinned, block_size());
  EXPECT_EQ(store->Statistics().viewed_bytes, pinned);
  auto again = ref.View<std::string>().value();
  EXPECT_EQ(again, view);
  EXPECT_EQ(store->Statistics().pinned_bytes, pinned);
  view.reset();
  EXPECT_EQ(store->Statistics().pinned_bytes, pinned);
  again.reset();
  EXPECT_EQ(store->Statistics().pinned_bytes, 0);
  view = ref.View<std::string>().value();
  ref = ObjectRef();  // the View outlives it
  EXPECT_EQ(store->Statistics().pinned_bytes, pinned);
  EXPECT_EQ(*view, Block());
  EXPECT_EQ(store->Statistics().objects, 2);
  view.reset();
  EXPECT_EQ(store->Statistics().pinned_bytes, 0);
  EXPECT_EQ(store->Statistics().objects, 1);
}

TEST_P(ObjectStoreContract, DeletingACacheObjectFreesItWhenNothingNeedsIt) {
  const auto store = Make();
  const ObjectId id = store->Put(Block(), kCached).value().Id();
  ASSERT_TRUE(store->Delete(id).ok());
  EXPECT_EQ(store->Statistics().objects, 0);
  EXPECT_FALSE(store->Contains(id));
  EXPECT_TRUE(absl::IsNotFound(store->Delete(id)));
}

TEST_P(ObjectStoreContract, ADeletedCacheObjectLastsAsLongAsItsRefsAndViews) {
  const auto store = MakeWithLimit(block_size());
  ObjectRef ref = store->Put(Block(), kCached).value();
  const ObjectId id = ref.Id();
  ASSERT_TRUE(store->Delete(id).ok());
  EXPECT_THAT(store->Put(Block()), IsFull());
  auto view = ref.View<std::string>().value();
  ref = ObjectRef();
  EXPECT_EQ(*view, Block());
  EXPECT_EQ(store->Statistics().pinned_bytes, block_size());
  view.reset();
  EXPECT_EQ(store->Statistics().objects, 0);
  EXPECT_EQ(store->Statistics().cache_objects, 0);
  EXPECT_THAT(store->Put(Block(), CachedAs(id)), IsOk());
}

TEST_P(ObjectStoreContract, DeletingAnOwnedObjectsIdLeavesTheObject) {
  const auto store = Make();
  const ObjectId id = ObjectId::Random();
  const ObjectRef ref = store->Put(5, {.id = id}).value();
  ASSERT_TRUE(store->Delete(id).ok());
  EXPECT_FALSE(store->Contains(id));
  EXPECT_EQ(*ref.Get<int>(), 5);
  EXPECT_EQ(ref.Id(), id);  // asked for, it is found again
  EXPECT_TRUE(store->Contains(id));
}

TEST_P(ObjectStoreContract, AnAccountAtItsQuotaEvictsItsOwnCacheObjectsOnly) {
  const std::size_t size = block_size();
  const auto store = Make();
  const AccountId mine = AccountId::Random(), theirs = AccountId::Random();
  ASSERT_TRUE(store->SetQuota(mine, size).ok());
  const ObjectId their_object = store->Put(Block(), {.lifetime = Lifetime::kCache, .account = theirs}).value().Id();
  const ObjectId my_object = store->Put(Block(), {.lifetime = Lifetime::kCache, .account = mine}).value().Id();
  EXPECT_THAT(store->Put(Block(), {.account = mine}), IsOk());
  EXPECT_TRUE(store->Contains(their_object));
  EXPECT_FALSE(store->Contains(my_object));
}

TEST_P(ObjectStoreContract, ACacheObjectIsNotTakenButCopied) {
  const auto store = Make();
  ObjectRef ref = store->Put(Block(), kCached).value();
  const ObjectId id = ref.Id();
  EXPECT_EQ(*std::move(ref).Take<std::string>(), Block());
  EXPECT_EQ(*store->Find(id).value().Get<std::string>(), Block());
}

}  // namespace
}  // namespace rustyray::object_store
