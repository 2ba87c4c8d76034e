// The contract: limits, quotas, statistics.

#include <algorithm>
#include <atomic>
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
#include "object_store/testing/pending_object.h"

namespace rustyray::object_store {
namespace {

using core::AccountId;
using core::ErrorKind;
using core::ObjectRef;
using testing::HasSubstr;

TEST_P(ObjectStoreContract, TakesWhatFitsToTheByteAndNoByteMore) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(3 * size);
  std::vector<ObjectRef> refs;
  for (int i = 0; i < 3; ++i) refs.push_back(store->Put(Block()).value());
  EXPECT_EQ(store->Statistics().bytes, 3 * size);
  EXPECT_THAT(store->Put(Block()), IsFull());
  EXPECT_THAT(store->Put('c'), IsFull());
  refs.pop_back();
  EXPECT_THAT(store->Put(Block()), IsOk());
}

TEST_P(ObjectStoreContract, ALimitOneByteShortOfAValueRejectsIt) {
  const std::size_t size = block_size();
  EXPECT_THAT(MakeWithLimit(size)->Put(Block()), IsOk());
  EXPECT_THAT(MakeWithLimit(size - 1)->Put(Block()), IsFull());
}

TEST_P(ObjectStoreContract, AValueOverTheLimitIsToldSoWithTheNumbers) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(size - 1);
  const ObjectRef one = store->Put('c').value();
  const auto view = one.View<char>().value();
  const absl::Status status = store->Put(Block()).status();
  const StoreStatistics now = store->Statistics();
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(core::KindOf(status), ErrorKind::kStoreFull);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr("a value of " + std::to_string(size) + " bytes can never fit"));
  EXPECT_THAT(message, HasSubstr("limit of " + std::to_string(size - 1) + " bytes"));
  EXPECT_THAT(message, HasSubstr(std::to_string(now.bytes) + " in use"));
  EXPECT_THAT(message, HasSubstr(std::to_string(now.pinned_bytes) + " pinned"));
}

TEST_P(ObjectStoreContract, AFullStoreWithEverythingReferencedSaysSo) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(2 * size);
  const ObjectRef a = store->Put(Block()).value();
  const ObjectRef b = store->Put(Block()).value();
  EXPECT_THAT(store->Put(Block()), FailsWith(absl::StatusCode::kResourceExhausted, ErrorKind::kStoreFull,
                                             "the object store is full: a value of " + std::to_string(size)));
  EXPECT_EQ(store->Statistics().rejected, 1);
  EXPECT_EQ(*a.Get<std::string>(), Block());
  EXPECT_EQ(*b.Get<std::string>(), Block());
}

TEST_P(ObjectStoreContract, ALimitOfZeroAdmitsNothing) {
  const auto store = MakeWithLimit(0);
  EXPECT_THAT(store->Put(7), IsFull());
  EXPECT_EQ(store->Statistics().objects, 0);
  EXPECT_EQ(store->Statistics().bytes, 0);
}

TEST_P(ObjectStoreContract, ARejectedPutByMoveLosesNothing) {
  const auto store = MakeWithLimit(block_size() - 1);
  std::string value = Block('v');
  const char* const characters = value.data();
  EXPECT_THAT(store->Put(std::move(value)), IsFull());
  EXPECT_EQ(value, Block('v'));
  EXPECT_EQ(value.data(), characters);
  EXPECT_EQ(store->Statistics().bytes, 0);
}

TEST_P(ObjectStoreContract, APutByCopyLeavesTheArgumentAlone) {
  const auto store = Make();
  std::string value = Block();
  const ObjectRef ref = store->Put(value).value();
  value[0] = 'y';
  EXPECT_EQ(*ref.Get<std::string>(), Block());
}

TEST_P(ObjectStoreContract, CreditOfOtherThreadsCausesNoFalseReject) {
  const std::size_t size = block_size();
  const std::size_t blocks = 300;
  const auto store = MakeWithLimit(blocks * size);
  // Others fill the store to a third each, and leave their credit behind, alive or ended.
  std::vector<std::thread> threads;
  std::atomic<int> done{0};
  std::atomic<bool> end{false};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int round = 0; round < 3; ++round) {
        std::vector<ObjectRef> refs;
        for (std::size_t i = 0; i < blocks / 3; ++i) refs.push_back(store->Put(Block()).value());
      }
      done.fetch_add(1);
      done.notify_all();
      end.wait(false);
    });
  }
  for (int seen = done; seen != 3; seen = done) done.wait(seen);
  std::vector<ObjectRef> refs;
  for (std::size_t i = 0; i < blocks; ++i) {
    auto ref = store->Put(Block());
    ASSERT_THAT(ref, IsOk()) << i;
    refs.push_back(*std::move(ref));
  }
  EXPECT_EQ(store->Statistics().bytes, store->Statistics().limit_bytes);
  end = true;
  end.notify_all();
  for (std::thread& thread : threads) thread.join();
}

TEST_P(ObjectStoreContract, NeverExceedsItsLimitWhileThreadsHammer) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(20 * size + size / 2);
  const std::size_t limit = store->Statistics().limit_bytes;
  std::atomic<std::size_t> held{0};  // counted after a put, discounted before a drop: never more than what is there
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      std::vector<ObjectRef> refs;
      for (int i = 0; i < 3000; ++i) {
        if (auto ref = store->Put(Block()); ref.ok()) {
          if (held.fetch_add(size) + size > limit) exceeded = true;
          refs.push_back(*std::move(ref));
        }
        if (refs.size() > 8 || (i % 3 == 0 && !refs.empty())) {
          held.fetch_sub(size);
          refs.pop_back();
        }
        if (i % 64 == 0 && store->Statistics().bytes > limit) exceeded = true;
      }
      held.fetch_sub(size * refs.size());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_LE(store->Statistics().peak_bytes, limit);
  EXPECT_EQ(store->Statistics().bytes, 0);
  EXPECT_EQ(store->Statistics().objects, 0);
}

TEST_P(ObjectStoreContract, ResultsCountAndOnesOverTheLimitBecomeErrors) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(size + 100);
  auto* const fits = PendingObject<std::string>::Make(*store);
  const ObjectRef fitting = fits->TakeRef();
  EXPECT_EQ(store->Statistics().objects, 0);
  fits->Seal(Block(), 60);
  EXPECT_EQ(store->Statistics().bytes, size + 60);
  EXPECT_EQ(store->Statistics().objects, 1);
  EXPECT_EQ(*fitting.Get<std::string>(), Block());

  auto* const large = PendingObject<std::string>::Make(*store);
  ObjectRef rejected = large->TakeRef();
  large->Seal(Block());
  EXPECT_THAT(rejected.Get<std::string>(), IsFull());
  EXPECT_EQ(store->Statistics().bytes, size + 60);
}

TEST_P(ObjectStoreContract, AResultNobodyWaitsForIsFreed) {
  const auto store = Make();
  auto* const orphan = PendingObject<std::string>::Make(*store);
  orphan->TakeRef();
  orphan->Seal(Block());
  EXPECT_EQ(store->Statistics().objects, 0);
  EXPECT_EQ(store->Statistics().bytes, 0);
}

TEST_P(ObjectStoreContract, AnAccountOverItsQuotaIsToldSo) {
  const std::size_t size = block_size();
  const auto store = Make();
  const AccountId account = AccountId::Random();
  ASSERT_TRUE(store->SetQuota(account, size + 10).ok());
  const ObjectRef first = store->Put(Block(), {.account = account}).value();
  EXPECT_EQ(store->AccountBytes(account), size);
  const auto second = store->Put(Block(), {.account = account});
  EXPECT_THAT(second, FailsWith(absl::StatusCode::kResourceExhausted, ErrorKind::kStoreFull, account.Hex()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(std::to_string(size + 10)));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("a value of " + std::to_string(size)));
}

TEST_P(ObjectStoreContract, QuotasHoldForTheirAccountAlone) {
  const std::size_t size = block_size();
  const auto store = Make();
  const AccountId poor = AccountId::Random(), rich = AccountId::Random();
  ASSERT_TRUE(store->SetQuota(poor, 0).ok());
  EXPECT_THAT(store->Put(Block(), {.account = poor}), IsFull());
  const ObjectRef theirs = store->Put(Block(), {.account = rich}).value();
  const ObjectRef nobodys = store->Put(Block()).value();
  EXPECT_EQ(store->AccountBytes(rich), size);
  EXPECT_EQ(store->AccountBytes(AccountId::Nil()), size);
  EXPECT_EQ(store->AccountBytes(poor), 0);
  EXPECT_FALSE(store->SetQuota(AccountId::Nil(), 1).ok());
}

TEST_P(ObjectStoreContract, WhatGoesIsOffTheAccount) {
  const std::size_t size = block_size();
  const auto store = Make();
  const AccountId account = AccountId::Random();
  ASSERT_TRUE(store->SetQuota(account, size).ok());
  for (int i = 0; i < 3; ++i) EXPECT_THAT(store->Put(Block(), {.account = account}), IsOk());
  auto* const pending = PendingObject<std::string>::Make(*store, account);
  ObjectRef ref = pending->TakeRef();
  pending->Seal(Block());
  EXPECT_EQ(store->AccountBytes(account), size);
  ref = ObjectRef();
  EXPECT_EQ(store->AccountBytes(account), 0);
}

TEST_P(ObjectStoreContract, ARejectedPutChargesNobody) {
  const auto store = MakeWithLimit(block_size() - 1);
  const AccountId account = AccountId::Random();
  EXPECT_THAT(store->Put(Block(), {.account = account}), IsFull());
  EXPECT_EQ(store->AccountBytes(account), 0);
}

TEST_P(ObjectStoreContract, StatisticsCountObjectsBytesAndThePeak) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(100 * size);
  EXPECT_EQ(store->Statistics().limit_bytes, 100 * size);
  {
    std::vector<ObjectRef> refs;
    for (int i = 0; i < 10; ++i) refs.push_back(store->Put(Block()).value());
    EXPECT_EQ(store->Statistics().objects, 10);
    EXPECT_EQ(store->Statistics().bytes, 10 * size);
  }
  const ObjectRef last = store->Put(Block()).value();
  const StoreStatistics now = store->Statistics();
  EXPECT_EQ(now.objects, 1);
  EXPECT_EQ(now.bytes, size);
  EXPECT_EQ(now.peak_bytes, 10 * size);
  EXPECT_EQ(now.rejected, 0);
}

TEST_P(ObjectStoreContract, BorrowsArePinnedBytes) {
  const auto store = Make();
  const ObjectRef ref = store->Put(Block()).value();
  store->owner().OnBorrow(*ref.record(), true);
  EXPECT_EQ(store->Statistics().borrowed_bytes, store->Statistics().bytes);
  EXPECT_EQ(store->Statistics().pinned_bytes, store->Statistics().bytes);
  store->owner().OnBorrow(*ref.record(), false);
  EXPECT_EQ(store->Statistics().pinned_bytes, 0);
}

TEST_P(ObjectStoreContract, KeptDecodesAreWithinTheLimitAndGoWithTheObject) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(size + 100);
  ObjectRef ref = store->Put(Block()).value();
  std::shared_ptr<const std::string> view = ref.View<std::string>().value();
  EXPECT_EQ(*view, Block());
  EXPECT_LE(store->Statistics().bytes, store->Statistics().limit_bytes);
  view.reset();
  ref = ObjectRef();
  EXPECT_EQ(store->Statistics().bytes, 0);
}

TEST_P(ObjectStoreContract, ABatchIsPutWholeOrNotAtAll) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(5 * size);
  std::vector<std::string> values(3, Block());
  const auto three = store->PutBatch(std::move(values));
  ASSERT_THAT(three, IsOk());
  EXPECT_EQ(three->size(), 3);
  EXPECT_EQ(store->GetBatch<std::string>(*three).value(), std::vector<std::string>(3, Block()));

  std::vector<std::string> more(3, Block('m'));
  EXPECT_THAT(store->PutBatch(std::move(more)), IsFull());
  EXPECT_EQ(more, std::vector<std::string>(3, Block('m')));
  EXPECT_EQ(store->Statistics().objects, 3);
  more.pop_back();
  EXPECT_THAT(store->PutBatch(std::move(more)), IsOk());
  EXPECT_THAT(store->PutBatch(std::vector<int>()), IsOk());
  EXPECT_FALSE(store->PutBatch(std::vector<int>{1, 2}, {.id = core::ObjectId::Random()}).ok());
}

}  // namespace
}  // namespace rustyray::object_store
