// The contract: values of types without a codec. They stay as they are, on every backend, and all else holds for them.

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/codec.h"
#include "core/error.h"
#include "core/id.h"
#include "core/object_ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "object_store/object_store.h"
#include "object_store/object_store_contract.h"
#include "object_store/testing/pending_object.h"

namespace rustyray::object_store {
namespace {

using core::AccountId;
using core::ErrorKind;
using core::ObjectId;
using core::ObjectRef;

using Table = std::map<std::string, int>;
static_assert(!core::kHasCodec<Table>);
Table SomeTable(int size = 10) {
  Table table;
  for (int i = 0; i < size; ++i) table[std::to_string(i)] = i;
  return table;
}

using Owner = std::unique_ptr<int>;
static_assert(!core::kHasCodec<Owner>);

// May own what nobody sees.
class Opaque {
 public:
  Opaque() : text_(std::make_shared<std::string>("text")) {}
  const std::string& text() const { return *text_; }

 private:
  std::shared_ptr<std::string> text_;
};
static_assert(!core::kHasCodec<Opaque>);

TEST_P(ObjectStoreContract, AValueWithoutACodecIsKeptAndRead) {
  const auto store = Make();
  ObjectRef ref = store->Put(SomeTable()).value();
  EXPECT_EQ(*ref.Get<Table>(), SomeTable());
  EXPECT_EQ(store->GetBatch<Table>(std::vector<ObjectRef>{ref}).value(), std::vector<Table>{SomeTable()});
  {
    const auto view = ref.View<Table>().value();
    EXPECT_EQ(*view, SomeTable());
    EXPECT_EQ(view, ref.View<Table>().value());
    EXPECT_EQ(store->Statistics().pinned_bytes, store->Statistics().bytes);
  }
  EXPECT_THAT(ref.Get<int>(), FailsWith(absl::StatusCode::kInvalidArgument, ErrorKind::kTypeMismatch, "std::map"));
  EXPECT_EQ(*std::move(ref).Take<Table>(), SomeTable());
  EXPECT_EQ(store->Statistics().objects, 0);
  EXPECT_EQ(store->Statistics().bytes, 0);
}

TEST_P(ObjectStoreContract, AMoveOnlyValueIsViewedAndTaken) {
  const auto store = Make();
  Owner value = std::make_unique<int>(3);
  const int* const there = value.get();
  ObjectRef ref = store->Put(std::move(value)).value();
  EXPECT_EQ(***ref.View<Owner>(), 3);
  ObjectRef other = ref;
  EXPECT_THAT(std::move(other).Take<Owner>(),
              FailsWith(absl::StatusCode::kFailedPrecondition, ErrorKind::kInvalid, ""));
  other = ObjectRef();
  EXPECT_EQ(std::move(ref).Take<Owner>()->get(), there);
  EXPECT_EQ(store->Statistics().objects, 0);
}

TEST_P(ObjectStoreContract, AValueWithoutACodecIsFoundByItsId) {
  const auto store = Make();
  const ObjectId id = ObjectId::Random();
  {
    const ObjectRef named = store->Put(SomeTable(), {.id = id}).value();
    EXPECT_EQ(store->Find(id).value(), named);
    EXPECT_THAT(store->Put(1, {.id = id}), FailsWith(absl::StatusCode::kAlreadyExists, ErrorKind::kInvalid, id.Hex()));
    EXPECT_THAT(store->Put(SomeTable(), {.id = id}),
                FailsWith(absl::StatusCode::kAlreadyExists, ErrorKind::kInvalid, id.Hex()));
    const ObjectRef asked = store->Put(SomeTable(3)).value();
    EXPECT_EQ(store->Find(asked.Id()).value(), asked);
  }
  EXPECT_FALSE(store->Contains(id));
  ASSERT_THAT(store->Put(SomeTable(), {.lifetime = Lifetime::kCache, .id = id}), IsOk());
  EXPECT_EQ(*store->Find(id).value().Get<Table>(), SomeTable());
  ASSERT_TRUE(store->Delete(id).ok());
  EXPECT_FALSE(store->Contains(id));
  EXPECT_EQ(store->Statistics().objects, 0);
  const ObjectRef encoded = store->Put(1, {.id = id}).value();
  EXPECT_THAT(store->Put(SomeTable(), {.id = id}),
              FailsWith(absl::StatusCode::kAlreadyExists, ErrorKind::kInvalid, id.Hex()));
}

TEST_P(ObjectStoreContract, ValuesWithAndWithoutACodecShareTheLimit) {
  const std::size_t table = SizeOf(SomeTable());
  const std::size_t block = block_size();
  EXPECT_GT(table, SizeOf(SomeTable(9)));
  const auto store = MakeWithLimit(table + block);
  ObjectRef a = store->Put(SomeTable()).value();
  const ObjectRef b = store->Put(Block()).value();
  EXPECT_EQ(store->Statistics().bytes, table + block);
  Table rejected = SomeTable();
  EXPECT_THAT(store->Put(std::move(rejected)), IsFull());
  EXPECT_EQ(rejected, SomeTable());
  EXPECT_THAT(store->Put('c'), IsFull());
  a = ObjectRef();
  EXPECT_THAT(store->Put(std::move(rejected)), IsOk());
  EXPECT_EQ(store->Statistics().peak_bytes, table + block);
  const AccountId account = AccountId::Random();
  ASSERT_TRUE(store->SetQuota(account, table - 1).ok());
  EXPECT_THAT(store->Put(SomeTable(), {.account = account}), IsFull());
}

TEST_P(ObjectStoreContract, ValuesWithAndWithoutACodecAreEvictedInTheirTurn) {
  const std::size_t table = SizeOf(SomeTable(1));
  const auto store = MakeWithLimit(2 * table + 2 * block_size());
  std::vector<ObjectRef> refs;
  for (int i = 0; i < 2; ++i) {
    refs.push_back(store->Put(SomeTable(1), kCached).value());
    refs.push_back(store->Put(Block(), kCached).value());
  }
  const auto is_evicted = FailsWith(absl::StatusCode::kNotFound, ErrorKind::kEvicted, "evicted");
  ASSERT_THAT(store->Find(refs[0].Id()), IsOk());  // now 1 is the oldest, then 2
  ASSERT_THAT(store->Put(Block(), kCached), IsOk());
  EXPECT_THAT(refs[1].Get<std::string>(), is_evicted);
  EXPECT_EQ(*refs[2].Get<Table>(), SomeTable(1));
  ASSERT_THAT(store->Put(SomeTable(1), kCached), IsOk());
  EXPECT_THAT(refs[2].Get<Table>(), is_evicted);
  EXPECT_FALSE(store->Contains(refs[2].Id()));
  EXPECT_EQ(*refs[0].Get<Table>(), SomeTable(1));
  EXPECT_EQ(*refs[3].Get<std::string>(), Block());
  EXPECT_EQ(store->Statistics().evictions, 2);
  EXPECT_EQ(store->Statistics().cache_objects, 4);
}

TEST_P(ObjectStoreContract, AResultWithoutACodecIsAValue) {
  const std::size_t size = SizeOf(SomeTable());
  const auto store = MakeWithLimit(size);
  auto* const fits = PendingObject<Table>::Make(*store);
  ObjectRef ref = fits->TakeRef();
  fits->Seal(SomeTable());
  EXPECT_EQ(store->Statistics().bytes, size);
  auto* const too_much = PendingObject<Table>::Make(*store);
  const ObjectRef rejected = too_much->TakeRef();
  too_much->Seal(SomeTable());
  EXPECT_THAT(rejected.Get<Table>(), IsFull());
  EXPECT_EQ(*ref.Get<Table>(), SomeTable());
  store->owner().OnBorrow(*ref.record(), true);
  EXPECT_EQ(store->Statistics().borrowed_bytes, size);
  store->owner().OnBorrow(*ref.record(), false);
  ref = ObjectRef();
  EXPECT_EQ(store->Statistics().bytes, 0);
}

TEST_P(ObjectStoreContract, WhatOwnsWhatNobodySeesIsCountedApart) {
  const auto store = Make();
  ObjectRef ref = store->Put(Opaque()).value();
  const ObjectRef clear = store->Put(SomeTable()).value();
  EXPECT_EQ(store->Statistics().opaque_objects, 1);
  EXPECT_EQ(store->Statistics().opaque_bytes, sizeof(Opaque));
  EXPECT_EQ((*ref.View<Opaque>())->text(), "text");
  ref = ObjectRef();
  EXPECT_EQ(store->Statistics().opaque_objects, 0);
}

TEST_P(ObjectStoreContract, ABatchWithoutACodecIsPutWholeOrNotAtAll) {
  const auto store = MakeWithLimit(3 * SizeOf(SomeTable()));
  std::vector<Table> values(4, SomeTable());
  EXPECT_THAT(store->PutBatch(std::move(values)), IsFull());
  EXPECT_EQ(values, std::vector<Table>(4, SomeTable()));
  EXPECT_EQ(store->Statistics().bytes, 0);
  values.pop_back();
  const auto refs = store->PutBatch(std::move(values), {.lifetime = Lifetime::kCache});
  ASSERT_THAT(refs, IsOk());
  EXPECT_EQ(store->GetBatch<Table>(*refs).value(), std::vector<Table>(3, SomeTable()));
}

TEST_P(ObjectStoreContract, ViewsOfValuesWithoutACodecOutliveTheStore) {
  auto store = Make();
  ObjectRef owned = store->Put(SomeTable()).value();
  ObjectRef cached = store->Put(SomeTable(3), kCached).value();
  const auto owned_view = owned.View<Table>().value();
  const auto cached_view = cached.View<Table>().value();
  store.reset();
  EXPECT_THAT(owned.Get<Table>(), FailsWith(absl::StatusCode::kFailedPrecondition, ErrorKind::kShutdown, ""));
  owned = ObjectRef();
  cached = ObjectRef();
  EXPECT_EQ(*owned_view, SomeTable());
  EXPECT_EQ(*cached_view, SomeTable(3));
}

}  // namespace
}  // namespace rustyray::object_store
