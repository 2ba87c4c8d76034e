// The contract: reading, waiting, the end of a store.

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/clock.h"
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
using std::chrono::seconds;
using testing::HasSubstr;

struct Point {
  int x = 0;
  double y = 0;
  friend bool operator==(const Point&, const Point&) = default;
};

TEST_P(ObjectStoreContract, GivesBackWhatWasPut) {
  const auto store = Make();
  EXPECT_EQ(*store->Put(42).value().Get<int>(), 42);
  EXPECT_EQ(*store->Put(Block()).value().Get<std::string>(), Block());
  EXPECT_EQ(*store->Put(Point{1, 2.5}).value().Get<Point>(), (Point{1, 2.5}));
  const std::vector<double> numbers{1, 2, 3};
  EXPECT_EQ(*store->Put(numbers).value().Get<std::vector<double>>(), numbers);
  EXPECT_EQ(*store->Put(std::vector<std::string>{"a", "", "c"}).value().View<std::vector<std::string>>().value(),
            (std::vector<std::string>{"a", "", "c"}));
}

TEST_P(ObjectStoreContract, EmptyValuesAreValues) {
  const auto store = Make();
  const ObjectRef text = store->Put(std::string()).value();
  const ObjectRef list = store->Put(std::vector<int>(), kCached).value();
  EXPECT_EQ(*text.Get<std::string>(), "");
  EXPECT_EQ(**text.View<std::string>(), "");
  EXPECT_TRUE(list.Get<std::vector<int>>()->empty());
  EXPECT_TRUE((*list.View<std::vector<int>>())->empty());
  EXPECT_EQ(store->Statistics().objects, 2);
}

TEST_P(ObjectStoreContract, CopiesArePrivate) {
  const auto store = Make();
  const ObjectRef ref = store->Put(std::vector<int>{1, 2, 3}).value();
  std::vector<int> copy = ref.Get<std::vector<int>>().value();
  copy[0] = 99;
  EXPECT_EQ(ref.Get<std::vector<int>>().value(), (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(*ref.View<std::vector<int>>().value(), (std::vector<int>{1, 2, 3}));
}

TEST_P(ObjectStoreContract, ViewsShareOneObject) {
  const auto store = Make();
  const ObjectRef ref = store->Put(Block()).value();
  EXPECT_EQ(ref.View<std::string>().value(), ref.View<std::string>().value());
}

TEST_P(ObjectStoreContract, AWrongTypeIsAnErrorThatNamesBoth) {
  const auto store = Make();
  const ObjectRef ref = store->Put(std::vector<int>{1}).value();
  const auto wrong = ref.Get<std::string>();
  EXPECT_THAT(wrong, FailsWith(absl::StatusCode::kInvalidArgument, ErrorKind::kTypeMismatch, "std::vector<int>"));
  EXPECT_THAT(std::string(wrong.status().message()), HasSubstr("std::string"));
  EXPECT_FALSE(ref.View<int>().ok());
  EXPECT_FALSE(store->GetBatch<int>(std::vector<ObjectRef>{ref}).ok());
  ObjectRef copy = ref;
  EXPECT_FALSE(std::move(copy).Take<int>().ok());
  EXPECT_TRUE(copy);
}

TEST_P(ObjectStoreContract, TakingTheOnlyRefGivesTheValueAndEndsTheObject) {
  const auto store = Make();
  ObjectRef ref = store->Put(Block()).value();
  EXPECT_EQ(*std::move(ref).Take<std::string>(), Block());
  EXPECT_FALSE(ref);
  EXPECT_EQ(store->Statistics().objects, 0);
}

TEST_P(ObjectStoreContract, TakingASharedObjectCopiesIt) {
  const auto store = Make();
  ObjectRef ref = store->Put(Block()).value();
  const ObjectRef other = ref;
  std::string taken = std::move(ref).Take<std::string>().value();
  EXPECT_FALSE(ref);
  taken[0] = '!';
  EXPECT_EQ(*other.Get<std::string>(), Block());
}

TEST_P(ObjectStoreContract, TakingAViewedObjectCopiesIt) {
  const auto store = Make();
  ObjectRef ref = store->Put(Block()).value();
  const auto view = ref.View<std::string>().value();
  std::string taken = std::move(ref).Take<std::string>().value();
  taken[0] = '!';
  EXPECT_EQ(*view, Block());
}

TEST_P(ObjectStoreContract, AnIdDoesNotKeepAnObjectFromBeingTaken) {
  const auto store = Make();
  ObjectRef ref = store->Put(Block()).value();
  const ObjectId id = ref.Id();
  { const auto view = ref.View<std::string>(); }
  EXPECT_EQ(*std::move(ref).Take<std::string>(), Block());
  EXPECT_FALSE(store->Contains(id));
  EXPECT_EQ(store->Statistics().objects, 0);
}

TEST_P(ObjectStoreContract, ATimedReadOfAPendingObjectEndsAtItsDeadline) {
  const auto store = Make();
  auto* const pending = PendingObject<int>::Make(*store);
  const ObjectRef ref = pending->TakeRef();
  EXPECT_THAT(ref.Get<int>(clock().Now()), FailsWith(absl::StatusCode::kDeadlineExceeded, ErrorKind::kTimeout, ""));
  std::thread reader([&, deadline = In(seconds(5))] {
    EXPECT_THAT(ref.Get<int>(deadline), FailsWith(absl::StatusCode::kDeadlineExceeded, ErrorKind::kTimeout, ""));
  });
  clock().AwaitSleepers(1);
  clock().Advance(seconds(5));
  reader.join();
  pending->Seal(3);
  EXPECT_EQ(*ref.Get<int>(clock().Now()), 3);
}

TEST_P(ObjectStoreContract, ABlockedReadGetsTheValueWhenItComes) {
  const auto store = Make();
  auto* const pending = PendingObject<std::string>::Make(*store);
  const ObjectRef ref = pending->TakeRef();
  std::thread timed([&, deadline = In(seconds(5))] { EXPECT_EQ(*ref.Get<std::string>(deadline), Block()); });
  std::thread untimed([&] { EXPECT_EQ(**ref.View<std::string>(), Block()); });
  clock().AwaitSleepers(2);
  pending->Seal(Block());
  timed.join();
  untimed.join();
}

TEST_P(ObjectStoreContract, WaitsForSomeOfMany) {
  const auto store = Make();
  std::vector<PendingObject<int>*> pending;
  std::vector<ObjectRef> refs{store->Put(0).value()};
  for (int i = 1; i < 5; ++i) {
    pending.push_back(PendingObject<int>::Make(*store));
    refs.push_back(pending.back()->TakeRef());
  }
  EXPECT_EQ(*store->WaitForSome(refs, 1), 1);
  EXPECT_EQ(*store->WaitForSome(refs, 3, clock().Now()), 1);
  std::thread waiter([&] { EXPECT_GE(*store->WaitForSome(refs, 3), 3); });
  clock().AwaitSleepers(1);
  pending[3]->Seal(1);
  pending[0]->Seal(1);
  waiter.join();
  std::thread late([&, deadline = In(seconds(1))] { EXPECT_EQ(*store->WaitForSome(refs, 5, deadline), 3); });
  clock().AwaitSleepers(1);
  clock().Advance(seconds(1));
  late.join();
  pending[1]->Seal(1);
  pending[2]->Seal(1);
  EXPECT_EQ(*store->WaitForSome(refs, 5), 5);
  refs.emplace_back();
  EXPECT_TRUE(absl::IsInvalidArgument(store->WaitForSome(refs, 1).status()));
}

TEST_P(ObjectStoreContract, BatchReadsWaitForAllAndGiveTheFirstError) {
  const auto store = Make();
  auto* const pending = PendingObject<int>::Make(*store);
  const std::vector<ObjectRef> refs{store->Put(1).value(), pending->TakeRef()};
  EXPECT_TRUE(absl::IsDeadlineExceeded(store->GetBatch<int>(refs, clock().Now()).status()));
  std::thread reader([&] { EXPECT_EQ(store->GetBatch<int>(refs).value(), (std::vector<int>{1, 2})); });
  clock().AwaitSleepers(1);
  pending->Seal(2);
  reader.join();
  const auto views = store->ViewBatch<int>(refs).value();
  EXPECT_EQ(*views[0] + *views[1], 3);
  EXPECT_TRUE(absl::IsInvalidArgument(store->GetBatch<int>(std::vector<ObjectRef>(2)).status()));
  EXPECT_TRUE(store->GetBatch<int>({})->empty());
}

// --- Waiting at the limit.

TEST_P(ObjectStoreContract, APutThatWaitsIsWokenByARelease) {
  const auto store = MakeWithLimit(block_size());
  ObjectRef ref = store->Put(Block('a')).value();
  std::thread putter([&] {
    const auto put = store->Put(Block('b'), {.wait_until = core::kNever});
    ASSERT_THAT(put, IsOk());
    EXPECT_EQ(*put->Get<std::string>(), Block('b'));
  });
  clock().AwaitSleepers(1);
  ref = ObjectRef();
  putter.join();
}

TEST_P(ObjectStoreContract, APutThatWaitsIsRejectedAtItsDeadlineAndLosesNothing) {
  const auto store = MakeWithLimit(block_size());
  const ObjectRef ref = store->Put(Block()).value();
  std::thread putter([&, deadline = In(seconds(3))] {
    std::string value = Block('v');
    EXPECT_THAT(store->Put(std::move(value), {.wait_until = deadline}), IsFull());
    EXPECT_EQ(value, Block('v'));
  });
  clock().AwaitSleepers(1);
  clock().Advance(seconds(3));
  putter.join();
  EXPECT_EQ(store->Statistics().rejected, 1);
}

TEST_P(ObjectStoreContract, TheStoreMayLetAllPutsWait) {
  const auto store = Make({.limit_bytes = block_size(), .wait_at_limit = seconds(2)});
  const ObjectRef ref = store->Put(Block()).value();
  EXPECT_THAT(store->Put(Block(), {.wait_until = core::Time::min()}), IsFull());
  std::thread putter([&] { EXPECT_THAT(store->Put(Block()), IsFull()); });
  clock().AwaitSleepers(1);
  clock().Advance(seconds(2));
  putter.join();
}

TEST_P(ObjectStoreContract, AValueThatCanNeverFitIsNotWaitedFor) {
  const auto store = MakeWithLimit(block_size() - 1);
  EXPECT_THAT(store->Put(Block(), {.wait_until = core::kNever}), IsFull());
  const auto roomy = Make();
  const AccountId account = AccountId::Random();
  ASSERT_TRUE(roomy->SetQuota(account, 10).ok());
  EXPECT_THAT(roomy->Put(Block(), {.account = account, .wait_until = core::kNever}), IsFull());
}

TEST_P(ObjectStoreContract, WaitingPutsAreServedInTheOrderTheyCame) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(4 * size);
  std::vector<ObjectRef> refs;
  for (int i = 0; i < 4; ++i) refs.push_back(store->Put(Block()).value());
  std::vector<ObjectRef> big, small;
  std::atomic<bool> big_is_in{false};
  std::thread large([&] {
    auto put = store->PutBatch(std::vector<std::string>(3, Block()), {.wait_until = core::kNever});
    ASSERT_THAT(put, IsOk());
    big_is_in = true;
    big = *std::move(put);
  });
  clock().AwaitSleepers(1);
  std::thread little([&] {
    auto put = store->Put(Block(), {.wait_until = core::kNever});
    ASSERT_THAT(put, IsOk());
    EXPECT_GE(store->Statistics().bytes, 3 * size);  // the large one was first
    small.push_back(*std::move(put));
  });
  clock().AwaitSleepers(2);
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(big_is_in);
    refs.pop_back();
  }
  large.join();
  refs.pop_back();
  little.join();
  EXPECT_EQ(store->Statistics().bytes, 4 * size);
}

TEST_P(ObjectStoreContract, AWaiterThatGivesUpLetsTheNextOneBy) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(2 * size);
  ObjectRef a = store->Put(Block()).value();
  const ObjectRef b = store->Put(Block()).value();
  std::thread large([&, deadline = In(seconds(1))] {
    EXPECT_THAT(store->PutBatch(std::vector<std::string>(2, Block()), {.wait_until = deadline}), IsFull());
  });
  clock().AwaitSleepers(1);
  std::thread little([&] { EXPECT_THAT(store->Put(Block(), {.wait_until = core::kNever}), IsOk()); });
  clock().AwaitSleepers(2);
  a = ObjectRef();
  clock().Advance(seconds(1));
  large.join();
  little.join();
}

TEST_P(ObjectStoreContract, AWaiterHeldBackByItsQuotaHoldsBackNobody) {
  const std::size_t size = block_size();
  const auto store = MakeWithLimit(2 * size);
  const AccountId account = AccountId::Random();
  ASSERT_TRUE(store->SetQuota(account, size).ok());
  ObjectRef charged = store->Put(Block(), {.account = account}).value();
  ObjectRef other = store->Put(Block()).value();
  std::thread poor([&] { EXPECT_THAT(store->Put(Block(), {.account = account, .wait_until = core::kNever}), IsOk()); });
  clock().AwaitSleepers(1);
  std::thread rich([&] { EXPECT_THAT(store->Put(Block(), {.wait_until = core::kNever}), IsOk()); });
  clock().AwaitSleepers(2);
  other = ObjectRef();
  rich.join();
  charged = ObjectRef();
  poor.join();
}

TEST_P(ObjectStoreContract, ARaisedQuotaLetsWaitersIn) {
  const std::size_t size = block_size();
  const auto store = Make();
  const AccountId account = AccountId::Random();
  ASSERT_TRUE(store->SetQuota(account, size).ok());
  const ObjectRef charged = store->Put(Block(), {.account = account}).value();
  std::thread poor([&] { EXPECT_THAT(store->Put(Block(), {.account = account, .wait_until = core::kNever}), IsOk()); });
  clock().AwaitSleepers(1);
  ASSERT_TRUE(store->SetQuota(account, 2 * size).ok());
  poor.join();
}

TEST_P(ObjectStoreContract, AWaitingPutEvictsWhatIsUnpinnedMeanwhile) {
  const auto store = MakeWithLimit(block_size());
  auto view = store->Put(Block(), kCached).value().View<std::string>().value();
  std::thread putter([&] { EXPECT_THAT(store->Put(Block(), {.wait_until = core::kNever}), IsOk()); });
  clock().AwaitSleepers(1);
  view.reset();
  putter.join();
  EXPECT_EQ(store->Statistics().evictions, 1);
}

// --- After the store.

TEST_P(ObjectStoreContract, WhatOutlivesTheStoreIsSafe) {
  auto store = Make();
  ObjectRef owned = store->Put(Block('o')).value();
  ObjectRef cached = store->Put(Block('c'), kCached).value();
  auto* const pending = PendingObject<std::string>::Make(*store);
  ObjectRef promised = pending->TakeRef();
  const ObjectId id = cached.Id();
  const auto owned_view = owned.View<std::string>().value();
  const auto cached_view = cached.View<std::string>().value();
  store.reset();
  EXPECT_EQ(*owned_view, Block('o'));
  EXPECT_EQ(*cached_view, Block('c'));
  for (const ObjectRef& ref : {owned, cached, promised}) {
    EXPECT_THAT(ref.Get<std::string>(), FailsWith(absl::StatusCode::kFailedPrecondition, ErrorKind::kShutdown, ""));
    EXPECT_FALSE(ref.View<std::string>().ok());
  }
  EXPECT_EQ(cached.Id(), id);
  EXPECT_FALSE(owned.Id().IsNil());
  pending->Seal(Block());
  EXPECT_FALSE(promised.Get<std::string>().ok());
  owned = ObjectRef();
  cached = ObjectRef();
  EXPECT_EQ(*owned_view, Block('o'));
  EXPECT_EQ(*cached_view, Block('c'));
}

TEST_P(ObjectStoreContract, AClosedStoreRefusesPutsAlsoThoseThatWait) {
  const auto store = MakeWithLimit(block_size());
  const ObjectRef ref = store->Put(Block()).value();
  const auto view = ref.View<std::string>().value();
  std::thread putter([&] {
    EXPECT_THAT(store->Put(Block(), {.wait_until = core::kNever}),
                FailsWith(absl::StatusCode::kFailedPrecondition, ErrorKind::kShutdown, ""));
  });
  clock().AwaitSleepers(1);
  store->Close();
  store->Close();
  putter.join();
  EXPECT_THAT(store->Put(1), FailsWith(absl::StatusCode::kFailedPrecondition, ErrorKind::kShutdown, ""));
  EXPECT_THAT(ref.Get<std::string>(), FailsWith(absl::StatusCode::kFailedPrecondition, ErrorKind::kShutdown, ""));
  EXPECT_EQ(*view, Block());
}

TEST_P(ObjectStoreContract, TheObserverHearsOfFirstAndLastHandles) {
  class Watch final : public core::HandleObserver {
   public:
    void OnFirstHandle(core::Record&) override { ++handles; }
    void OnLastHandle(core::Record&) override { --handles; }
    void OnSubmitted(core::Record&) override {}
    void OnArgumentReleased(core::Record&) override {}
    int handles = 0;
  };
  const auto watch = std::make_shared<Watch>();
  auto store = Make({.observer = watch});
  const ObjectRef owned = store->Put(1).value();
  const ObjectId id = store->Put(2, kCached).value().Id();
  EXPECT_EQ(watch->handles, 1);
  {
    const ObjectRef revived = store->Find(id).value();
    const ObjectRef again = store->Find(id).value();
    EXPECT_EQ(watch->handles, 2);
  }
  EXPECT_EQ(watch->handles, 1);
  EXPECT_THAT(store->Put(Block(), {.id = id}), FailsWith(absl::StatusCode::kAlreadyExists, ErrorKind::kInvalid, ""));
  EXPECT_EQ(watch->handles, 1);
  store.reset();
}

}  // namespace
}  // namespace rustyray::object_store
