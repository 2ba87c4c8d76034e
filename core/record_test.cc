// Records and refs: counts, sealing, waiters, Views, moving out, encoded values, eviction, and deep chains.
#include "core/record.h"

#include <atomic>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/stored.h"
#include "core/testing/allocation_count.h"
#include "core/testing/seeds.h"
#include "core/testing/small_stack.h"
#include "core/testing/test_owner.h"
#include "core/waiting.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace rustyray::core {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// Says how many of it there are.
struct Counted {
  static inline std::atomic<int> alive{0};
  explicit Counted(int value) : value(value) { ++alive; }
  Counted(const Counted& other) : value(other.value) { ++alive; }
  Counted(Counted&& other) noexcept : value(other.value) { ++alive; }
  Counted& operator=(const Counted&) = default;
  ~Counted() { --alive; }
  int value;
};

ErrorPtr Boo() { return MakeError({.code = absl::StatusCode::kAborted, .kind = ErrorKind::kTask, .message = "boo"}); }

class RecordTest : public testing::Test {
 protected:
  ~RecordTest() override {
    EXPECT_EQ(owner.values(), 0);
    EXPECT_EQ(owner.bytes(), 0);
    EXPECT_EQ(Counted::alive.load(), 0);
  }
  ManualClock clock;
  Waiting waiting{clock};
  TestOwner owner{waiting};
};

// --- Counts.

TEST_F(RecordTest, TheValueGoesWithTheLastHandle) {
  ObjectRef a = owner.Put(Counted(1));
  ObjectRef b = a;
  ObjectRef c = std::move(a);
  EXPECT_EQ(c.record()->handles(), 2u);
  EXPECT_FALSE(a);
  b = ObjectRef();
  EXPECT_EQ(Counted::alive.load(), 1);
  c = ObjectRef();
  EXPECT_EQ(Counted::alive.load(), 0);
  EXPECT_EQ(owner.gone(), 1);
}

TEST_F(RecordTest, AHoldKeepsTheStorageAndNotTheValue) {
  ObjectRef ref = owner.Put(Counted(1));
  const RecordHold hold(*ref.record());
  ref = ObjectRef();
  EXPECT_EQ(Counted::alive.load(), 0);
  EXPECT_EQ(hold->handles(), 0u);
  EXPECT_TRUE(hold->ready());
}

TEST_F(RecordTest, SelfAssignmentKeepsTheObject) {
  ObjectRef ref = owner.Put(Counted(1));
  ObjectRef& same = ref;
  ref = same;
  EXPECT_EQ(ref.record()->handles(), 1u);
}

TEST_F(RecordTest, AnObserverHearsOfTheFirstAndTheLastHandle) {
  struct Observer final : HandleObserver {
    void OnFirstHandle(Record&) override { ++first; }
    void OnLastHandle(Record&) override { ++last; }
    void OnSubmitted(Record&) override {}
    void OnArgumentReleased(Record&) override {}
    int first = 0, last = 0;
  } observer;
  TestOwner observed(waiting, &observer);
  ObjectRef ref = observed.Put(1);
  ObjectRef copy = ref;
  EXPECT_EQ(observer.first, 1);
  ref = ObjectRef();
  EXPECT_EQ(observer.last, 0);
  copy = ObjectRef();
  EXPECT_EQ(observer.last, 1);
  ObjectRef late = observed.Put(1);
  observed.CloseForTest();
  late = ObjectRef();
  EXPECT_EQ(observer.last, 1) << "told until Close";
}

TEST_F(RecordTest, AnIdFindsTheObjectWhileThereIsAHandle) {
  ObjectRef ref = owner.Put(Counted(1));
  EXPECT_TRUE(ref.record()->IdOrNil().IsNil());
  const ObjectId id = ref.Id();
  EXPECT_EQ(ref.Id(), id);
  EXPECT_EQ(owner.Find(id), ref);
  ref = ObjectRef();
  EXPECT_FALSE(owner.Find(id));
  EXPECT_EQ(owner.indexed(), 0u);
}

// --- Sealing.

TEST_F(RecordTest, SealingHappensOnce) {
  auto* const promised = new Promised<Counted>(owner);
  const ObjectRef ref = ObjectRef::Adopt(promised);
  EXPECT_FALSE(ref.ready());
  EXPECT_TRUE(promised->Seal(Counted(1)));
  EXPECT_FALSE(promised->Seal(Counted(2)));
  EXPECT_FALSE(promised->SealError(Boo()));
  EXPECT_EQ((*ref.View<Counted>())->value, 1);
}

TEST_F(RecordTest, ASealedErrorStaysAndIsReadAfresh) {
  auto* const promised = new Promised<int>(owner);
  const ObjectRef ref = ObjectRef::Adopt(promised);
  EXPECT_TRUE(promised->SealError(Boo()));
  EXPECT_FALSE(promised->Seal(1));
  EXPECT_THAT(std::string(ref.Wait().message()), HasSubstr("boo"));
  EXPECT_EQ(ref.Get<int>().status().code(), absl::StatusCode::kAborted);
}

TEST_F(RecordTest, ARejectedValueBecomesTheOwnersError) {
  owner.set_largest(1);
  auto* const promised = new Promised<Counted>(owner);
  const ObjectRef ref = ObjectRef::Adopt(promised);
  EXPECT_TRUE(promised->Seal(Counted(1)));
  EXPECT_EQ(Counted::alive.load(), 0);
  EXPECT_EQ(KindOf(ref.Wait()), ErrorKind::kStoreFull);
}

TEST_F(RecordTest, AValueSealedAfterTheLastHandleIsFreedAtOnce) {
  auto* const promised = new Promised<Counted>(owner);
  const RecordHold hold(*promised);
  { const ObjectRef ref = ObjectRef::Adopt(promised); }
  EXPECT_TRUE(promised->Seal(Counted(1)));
  EXPECT_EQ(Counted::alive.load(), 0);
  EXPECT_EQ(owner.values(), 0);
}

TEST_F(RecordTest, AnErrorSealedAfterTheLastHandleIsFreedWithTheRecord) {
  auto* const promised = new Promised<Counted>(owner);
  const RecordHold hold(*promised);
  { const ObjectRef ref = ObjectRef::Adopt(promised); }
  EXPECT_TRUE(promised->SealError(Boo()));
}

TEST_F(RecordTest, SealersRaceAndOneWinsAndTheLastHandleMayGoMeanwhile) {
  ForSeeds(Sized(2000, 50'000), [&](std::uint64_t seed) {
    auto* const promised = new Promised<Counted>(owner);
    ObjectRef ref = ObjectRef::Adopt(promised);
    const RecordHold hold(*promised);
    std::atomic<int> at_the_line{0}, won{0};
    const auto line_up = [&](std::uint64_t delay) {
      ++at_the_line;
      while (at_the_line.load() < 3) std::this_thread::yield();
      for (std::uint64_t i = 0; i < delay; ++i) at_the_line.load();
    };
    std::thread value([&] {
      line_up(seed % 7);
      won += promised->Seal(Counted(1));
    });
    std::thread error([&] {
      line_up(seed % 11);
      won += promised->SealError(Boo());
    });
    line_up(seed % 13);
    ref = ObjectRef();
    value.join();
    error.join();
    ASSERT_EQ(won.load(), 1);
    ASSERT_EQ(Counted::alive.load(), 0);
    ASSERT_EQ(owner.values(), 0);
  });
}

// --- Waiters.

struct Noting final : Waiter {
  Noting() : Waiter([](Waiter& waiter) { static_cast<Noting&>(waiter).fired.fetch_add(1); }) {}
  std::atomic<int> fired{0};
};

TEST_F(RecordTest, WaitersFireOnceAtTheSeal) {
  auto* const promised = new Promised<int>(owner);
  const ObjectRef ref = ObjectRef::Adopt(promised);
  Noting first, second, removed, late;
  EXPECT_TRUE(promised->AddWaiter(first));
  EXPECT_TRUE(promised->AddWaiter(removed));
  EXPECT_TRUE(promised->AddWaiter(second));
  EXPECT_TRUE(promised->RemoveWaiter(removed));
  promised->Seal(1);
  EXPECT_FALSE(promised->AddWaiter(late));
  EXPECT_FALSE(promised->RemoveWaiter(first));
  EXPECT_EQ(first.fired.load(), 1);
  EXPECT_EQ(second.fired.load(), 1);
  EXPECT_EQ(removed.fired.load(), 0);
  EXPECT_EQ(late.fired.load(), 0);
}

TEST_F(RecordTest, AWaiterRacedAgainstTheSealFiresOrWasRemovedOrWasTooLate) {
  ForSeeds(Sized(1500, 50'000), [&](std::uint64_t seed) {
    auto* const promised = new Promised<int>(owner);
    const ObjectRef ref = ObjectRef::Adopt(promised);
    std::atomic<int> at_the_line{0};
    std::thread waits([&] {
      std::mt19937_64 random(seed);
      Noting node, stays;
      ++at_the_line;
      while (at_the_line.load() < 2) std::this_thread::yield();
      const bool stays_added = promised->AddWaiter(stays);
      const bool added = promised->AddWaiter(node);
      for (std::uint64_t i = random() % 100; i > 0; --i) at_the_line.load();
      const bool removed = added && promised->RemoveWaiter(node);
      while (added && !removed && node.fired.load() == 0) std::this_thread::yield();
      while (stays_added && stays.fired.load() == 0) std::this_thread::yield();
      EXPECT_EQ(node.fired.load(), added && !removed ? 1 : 0);
      EXPECT_EQ(stays.fired.load(), stays_added ? 1 : 0);
    });
    ++at_the_line;
    while (at_the_line.load() < 2) std::this_thread::yield();
    for (std::uint64_t i = seed % 64; i > 0; --i) at_the_line.load();
    promised->Seal(1);
    waits.join();
  });
}

// --- Views.

TEST_F(RecordTest, AViewIsTheStoredObjectAndOutlivesTheHandles) {
  ObjectRef ref = owner.Put(Counted(5));
  const void* const stored = ref.record()->value().data;
  std::shared_ptr<const Counted> view = *ref.View<Counted>();
  std::shared_ptr<const Counted> again = *ref.View<Counted>();
  EXPECT_EQ(view.get(), stored);
  EXPECT_EQ(again.get(), stored);
  EXPECT_TRUE(ref.record()->HasViews());
  EXPECT_EQ(owner.first_views(), 1);
  ref = ObjectRef();
  EXPECT_EQ(Counted::alive.load(), 1);
  EXPECT_EQ(owner.values(), 1);
  again.reset();
  EXPECT_EQ(view->value, 5);
  view.reset();
  EXPECT_EQ(Counted::alive.load(), 0);
}

TEST_F(RecordTest, AViewThatIsGoneKeepsNothing) {
  ObjectRef ref = owner.Put(Counted(5));
  { const auto view = *ref.View<Counted>(); }
  EXPECT_FALSE(ref.record()->HasViews());
  ref = ObjectRef();
  EXPECT_EQ(Counted::alive.load(), 0);
}

TEST_F(RecordTest, AfterTheFirstAViewTakesNoLockAndAllocatesNothing) {
  const ObjectRef ref = owner.Put(std::vector<int>(1000, 1));
  ASSERT_TRUE(ref.View<std::vector<int>>().ok());
  const std::uint64_t locks = locks_taken_by_this_thread, allocations = AllocationsOfThisThread();
  for (int i = 0; i < 100; ++i) {
    const auto view = ref.View<std::vector<int>>();
    ASSERT_EQ((*view)->size(), 1000u);
  }
  EXPECT_EQ(locks_taken_by_this_thread, locks);
  EXPECT_EQ(AllocationsOfThisThread(), allocations);
}

TEST_F(RecordTest, APutIsOneAllocation) {
  if (!AllocationsAreCounted()) GTEST_SKIP() << "a sanitizer has its own allocator";
  const std::uint64_t before = AllocationsOfThisThread();
  ObjectRef ref = owner.Put(1);
  EXPECT_EQ(AllocationsOfThisThread() - before, 1u);
  ref = ObjectRef();
  EXPECT_EQ(AllocationsOfThisThread() - before, 1u);
  const ObjectRef other = owner.Put(2);
  const std::uint64_t put = AllocationsOfThisThread();
  EXPECT_EQ(*other.Get<int>(), 2);
  EXPECT_EQ(AllocationsOfThisThread() - put, 0u) << "an int's private copy needs none";
}

TEST_F(RecordTest, FirstViewsAndDropsRaceAndNothingIsLeft) {
  ForSeeds(Sized(500, 20'000), [&](std::uint64_t seed) {
    ObjectRef ref = owner.Put(Counted(7));
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([mine = ref, keep = (seed >> i) & 1]() mutable {
        std::shared_ptr<const Counted> view = *mine.View<Counted>();
        if (keep) mine = ObjectRef();
        EXPECT_EQ(view->value, 7);
        EXPECT_GE(Counted::alive.load(), 1);
      });
    }
    ref = ObjectRef();
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(Counted::alive.load(), 0);
  });
}

// --- Moving out.

TEST_F(RecordTest, TheOnlyHandleMovesTheObjectOut) {
  ObjectRef ref = owner.Put(std::make_unique<int>(3));
  absl::StatusOr<std::unique_ptr<int>> taken = std::move(ref).Take<std::unique_ptr<int>>();
  ASSERT_TRUE(taken.ok());
  EXPECT_EQ(**taken, 3);
  EXPECT_FALSE(ref);
  EXPECT_EQ(owner.values(), 0);
}

TEST_F(RecordTest, TakeCopiesWhileThereIsAnotherHandleOrAView) {
  const std::string text(100, 'x');
  ObjectRef ref = owner.Put(text);
  ObjectRef other = ref;
  EXPECT_EQ(*std::move(ref).Take<std::string>(), text);
  const auto view = *other.View<std::string>();
  EXPECT_EQ(*std::move(other).Take<std::string>(), text);
  EXPECT_EQ(*view, text);
}

TEST_F(RecordTest, AViewThatIsGoneDoesNotKeepTakeFromMoving) {
  ObjectRef ref = owner.Put(std::make_unique<int>(3));
  { const auto view = *ref.View<std::unique_ptr<int>>(); }
  EXPECT_TRUE(std::move(ref).Take<std::unique_ptr<int>>().ok());
}

TEST_F(RecordTest, ASharedMoveOnlyObjectIsRefusedAndTheRefKept) {
  ObjectRef ref = owner.Put(std::make_unique<int>(3));
  ObjectRef other = ref;
  const absl::StatusOr<std::unique_ptr<int>> taken = std::move(ref).Take<std::unique_ptr<int>>();
  EXPECT_EQ(taken.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_TRUE(ref) << "not moved from when it fails";
  other = ObjectRef();
  EXPECT_TRUE(std::move(ref).Take<std::unique_ptr<int>>().ok());
}

TEST_F(RecordTest, AnIndexEntryDoesNotKeepTakeFromMovingAndGoes) {
  ObjectRef ref = owner.Put(std::make_unique<int>(3));
  const ObjectId id = ref.Id();
  EXPECT_TRUE(std::move(ref).Take<std::unique_ptr<int>>().ok());
  EXPECT_FALSE(owner.Find(id));
}

TEST_F(RecordTest, ATakeRefusedForAViewStaysInTheIndex) {
  ObjectRef ref = owner.Put(std::make_unique<int>(3));
  const ObjectId id = ref.Id();
  const auto view = *ref.View<std::unique_ptr<int>>();
  EXPECT_FALSE(std::move(ref).Take<std::unique_ptr<int>>().ok());
  EXPECT_EQ(owner.Find(id), ref);
}

// A hold, such as the queue's of a call that has just run, says nothing of who may see the value.
TEST_F(RecordTest, HoldsDoNotKeepTakeFromMoving) {
  ObjectRef ref = owner.Put(std::make_unique<int>(3));
  const RecordHold hold(*ref.record());
  EXPECT_TRUE(std::move(ref).Take<std::unique_ptr<int>>().ok());
}

TEST_F(RecordTest, TakeRacesLookupsByIdAndNeverMovesWhatWasFound) {
  ForSeeds(Sized(1500, 50'000), [&](std::uint64_t seed) {
    ObjectRef ref = owner.Put(std::make_unique<int>(3));
    const ObjectId id = ref.Id();
    std::atomic<int> at_the_line{0};
    std::thread finder([&] {
      ++at_the_line;
      while (at_the_line.load() < 2) std::this_thread::yield();
      for (std::uint64_t i = seed % 32; i > 0; --i) at_the_line.load();
      if (const ObjectRef found = owner.Find(id)) {
        const auto view = found.View<std::unique_ptr<int>>();
        ASSERT_TRUE(view.ok());
        ASSERT_NE(**view, nullptr);
        EXPECT_EQ(***view, 3);
      }
    });
    ++at_the_line;
    while (at_the_line.load() < 2) std::this_thread::yield();
    absl::StatusOr<std::unique_ptr<int>> taken = std::move(ref).Take<std::unique_ptr<int>>();
    EXPECT_EQ(taken.ok() ? **taken : 3, 3);
    finder.join();
  });
}

TEST_F(RecordTest, TakeRacesTheLastViewAndMovesOnlyWithoutIt) {
  ForSeeds(Sized(1500, 50'000), [&](std::uint64_t) {
    ObjectRef ref = owner.Put(std::vector<int>(10, 1));
    std::shared_ptr<const std::vector<int>> view = *ref.View<std::vector<int>>();
    std::atomic<bool> go{false};
    std::thread viewer([&, view = std::move(view)]() mutable {
      while (!go.load()) std::this_thread::yield();
      EXPECT_EQ(view->size(), 10u);
      view.reset();
    });
    go.store(true);
    EXPECT_EQ(std::move(ref).Take<std::vector<int>>()->size(), 10u);
    viewer.join();
  });
}

// --- Reading.

TEST_F(RecordTest, AWrongTypeNamesBoth) {
  const ObjectRef ref = owner.Put(std::vector<int>{1});
  const absl::Status status = ref.Get<std::string>().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(KindOf(status), ErrorKind::kTypeMismatch);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("std::vector<int>"), HasSubstr("std::string")));
}

TEST_F(RecordTest, AnEmptyRefAndOneFromBeforeAShutdownAreErrors) {
  EXPECT_EQ(KindOf(ObjectRef().Wait()), ErrorKind::kInvalid);
  const ObjectRef ref = owner.Put(1);
  const std::shared_ptr<const int> view = *ref.View<int>();
  owner.CloseForTest();
  EXPECT_EQ(KindOf(ref.Get<int>().status()), ErrorKind::kShutdown);
  EXPECT_EQ(*view, 1) << "Views stay valid";
}

TEST_F(RecordTest, TwoReadersGetTwoPrivateCopies) {
  const ObjectRef ref = owner.Put(std::make_shared<int>(1));
  *(*ref.Get<std::shared_ptr<int>>()) = 2;
  EXPECT_EQ(**ref.Get<std::shared_ptr<int>>(), 1);
}

// --- Encoded values.

TEST_F(RecordTest, ViewsOfBytesShareOneDecodeThatIsAccounted) {
  owner.set_encodes(true);
  ObjectRef ref = owner.Put(std::vector<int>{1, 2, 3});
  const std::int64_t before = owner.bytes();
  auto first = *ref.View<std::vector<int>>();
  auto second = *ref.View<std::vector<int>>();
  EXPECT_EQ(first, second);
  EXPECT_EQ(owner.decodes_kept(), 1);
  EXPECT_GT(owner.bytes(), before);
  ref = ObjectRef();
  EXPECT_EQ((*second)[2], 3) << "the decode outlives the handles";
}

TEST_F(RecordTest, GetDecodesIntoItsOwnCopyAndKeepsNothing) {
  owner.set_encodes(true);
  ObjectRef ref = owner.Put(std::string("text"));
  EXPECT_EQ(*ref.Get<std::string>(), "text");
  EXPECT_EQ(*std::move(ref).Take<std::string>(), "text");
  EXPECT_EQ(owner.decodes_kept(), 0);
}

TEST_F(RecordTest, WithNoRoomToKeepADecodeEachViewHasItsOwn) {
  owner.set_encodes(true);
  owner.set_keeps_decodes(false);
  ObjectRef ref = owner.Put(std::string("text"));
  auto first = *ref.View<std::string>();
  auto second = *ref.View<std::string>();
  EXPECT_NE(first, second);
  ref = ObjectRef();
  EXPECT_EQ(*first, "text");
}

TEST_F(RecordTest, FirstViewsOfBytesRaceAndOneDecodeIsKept) {
  owner.set_encodes(true);
  ForSeeds(Sized(300, 10'000), [&](std::uint64_t) {
    ObjectRef ref = owner.Put(std::vector<int>(10, 1));
    std::vector<std::shared_ptr<const std::vector<int>>> views(3);
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back([&, i] { views[i] = *ref.View<std::vector<int>>(); });
    for (std::thread& thread : threads) thread.join();
    ASSERT_EQ(views[0], views[1]);
    ASSERT_EQ(views[1], views[2]);
    views.clear();
    ref = ObjectRef();
    ASSERT_EQ(owner.bytes(), 0);
  });
}

// A type whose bytes do not decode.
struct Fragile {
  int value = 0;
};
struct FragileCodecs {
  static inline constexpr Codec kCodec{
      .name = "fragile",
      .in_place = false,
      .encode = [](const void*, EncodeSink& sink) { return sink.bytes.append("x"), absl::OkStatus(); },
      .decode = [](std::string_view, std::span<const ObjectRef>, void*) -> absl::Status {
        return absl::DataLossError("torn bytes");
      }};
  template <class T>
  static constexpr const Codec* CodecFor() {
    return &kCodec;
  }
};

TEST_F(RecordTest, BytesThatDoNotDecodeAreAnErrorOfEachRead) {
  owner.set_encodes(true);
  auto* const stored = new Stored<Fragile, FragileCodecs>(Fragile());
  stored->Adopt(owner);
  EXPECT_EQ(owner.Admit(*stored), nullptr);
  stored->PublishUnshared();
  ObjectRef ref = ObjectRef::Adopt(stored);
  EXPECT_EQ(ref.View<Fragile>().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(ref.Get<Fragile>().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(std::move(ref).Take<Fragile>().status().code(), absl::StatusCode::kDataLoss);
  EXPECT_TRUE(ref);
}

// --- Cache objects.

TEST_F(RecordTest, ACacheObjectOutlivesItsHandlesAndIsFoundAgain) {
  ObjectRef ref = owner.PutCache(Counted(1));
  const ObjectId id = ref.record()->IdOrNil();
  ref = ObjectRef();
  EXPECT_EQ(Counted::alive.load(), 1);
  ref = owner.Find(id);
  EXPECT_EQ((*ref.View<Counted>())->value, 1);
  EXPECT_TRUE(owner.Evict(id));
  EXPECT_EQ(Counted::alive.load(), 0);
  EXPECT_EQ(KindOf(ref.View<Counted>().status()), ErrorKind::kEvicted);
  EXPECT_EQ(KindOf(ref.Get<Counted>().status()), ErrorKind::kEvicted);
  EXPECT_EQ(KindOf(std::move(ref).Take<Counted>().status()), ErrorKind::kEvicted);
}

TEST_F(RecordTest, APinnedCacheObjectIsNotEvictedAndItsUnpinIsHeard) {
  ObjectRef ref = owner.PutCache(Counted(1));
  const ObjectId id = ref.record()->IdOrNil();
  auto view = *ref.View<Counted>();
  EXPECT_TRUE(ref.record()->pinned_in_cache());
  EXPECT_FALSE(owner.Evict(id));
  ref = ObjectRef();
  EXPECT_FALSE(owner.Evict(id));
  const int unpinned = owner.unpinned();
  view.reset();
  EXPECT_GT(owner.unpinned(), unpinned);
  EXPECT_TRUE(owner.Evict(id));
}

TEST_F(RecordTest, EvictionRacesPinsAndNeverTakesWhatIsPinned) {
  ForSeeds(Sized(1000, 30'000), [&](std::uint64_t seed) {
    ObjectRef ref = owner.PutCache(std::vector<int>(10, 1));
    const ObjectId id = ref.record()->IdOrNil();
    std::atomic<int> at_the_line{0};
    const auto line_up = [&](std::uint64_t delay) {
      ++at_the_line;
      while (at_the_line.load() < 3) std::this_thread::yield();
      for (; delay > 0; --delay) at_the_line.load();
    };
    const auto read = [&](std::uint64_t delay, bool by_view) {
      line_up(delay);
      for (int i = 0; i < 3; ++i) {
        if (by_view) {
          const auto view = ref.View<std::vector<int>>();
          EXPECT_EQ(view.ok() ? (*view)->at(9) : 1, 1);
        } else {
          const auto copy = ref.Get<std::vector<int>>();
          EXPECT_EQ(copy.ok() ? copy->at(9) : 1, 1);
        }
      }
    };
    std::thread a(read, seed % 17, true), b(read, seed % 23, false);
    line_up(seed % 13);
    bool evicted = false;
    for (int i = 0; i < 4 && !evicted; ++i) evicted = owner.Evict(id);
    a.join();
    b.join();
    if (!evicted) {
      ASSERT_TRUE(owner.Evict(id));
    }
    ASSERT_EQ(owner.values(), 0);
  });
}

// --- Deep chains, on a stack too small for recursion.

constexpr std::size_t kSmallStack = 256 * 1024;
constexpr int kChain = kSanitized ? 100'000 : 1'000'000;

TEST_F(RecordTest, AChainOfAMillionObjectsThatHoldEachOtherIsDroppedWithoutRecursion) {
  OnAStackOf(kSmallStack, [&] {
    ObjectRef head = owner.Put(ObjectRef());
    for (int i = 1; i < kChain; ++i) head = owner.Put(std::move(head));
  });
  EXPECT_EQ(owner.gone(), kChain);
}

TEST_F(RecordTest, AChainOfAMillionEncodedObjectsIsDroppedWithoutRecursion) {
  OnAStackOf(kSmallStack, [&] {
    ObjectRef head = owner.Put(0);
    for (int i = 1; i < kChain; ++i) {
      auto* const stored = new Stored<int, CoreCodecs>(i);
      stored->Adopt(owner);
      (void)owner.Admit(*stored);
      std::vector<ObjectRef> inner;
      inner.push_back(std::move(head));
      stored->MoveToBytes(new char[1], 1, std::move(inner));
      stored->PublishUnshared();
      head = ObjectRef::Adopt(stored);
    }
  });
  EXPECT_EQ(owner.gone(), kChain);
}

TEST_F(RecordTest, AChainHeldByAViewIsDroppedWithoutRecursion) {
  OnAStackOf(kSmallStack, [&] {
    ObjectRef head = owner.Put(ObjectRef());
    for (int i = 1; i < kChain; ++i) head = owner.Put(std::move(head));
    auto view = *head.View<ObjectRef>();
    head = ObjectRef();
    EXPECT_EQ(owner.gone(), 0);
    view.reset();
  });
  EXPECT_EQ(owner.gone(), kChain);
}

TEST_F(RecordTest, AnOrphanSealedWithAChainDropsItWithoutRecursion) {
  OnAStackOf(kSmallStack, [&] {
    ObjectRef head = owner.Put(ObjectRef());
    for (int i = 1; i < kChain; ++i) head = owner.Put(std::move(head));
    auto* const promised = new Promised<ObjectRef>(owner);
    const RecordHold hold(*promised);
    { const ObjectRef ref = ObjectRef::Adopt(promised); }
    promised->Seal(std::move(head));
  });
  EXPECT_EQ(owner.values(), 0);
}

TEST(Record, AValueIsNotTakenUnderAViewThatCameWithAHandleThatWent) {
  std::unique_ptr<Clock> clock = MakeRealClock();
  Waiting waiting(*clock);
  TestOwner owner(waiting);
  for (int round = 0; round < 500; ++round) {
    ObjectRef ref = owner.Put(std::vector<int>(8, round));
    std::atomic<bool> go{false};
    std::shared_ptr<const std::vector<int>> view;
    std::thread viewer([&, other = ref]() mutable {
      go.store(true);
      view = other.View<std::vector<int>>().value();
      other = ObjectRef();
    });
    while (!go.load()) std::this_thread::yield();
    EXPECT_EQ(std::move(ref).Take<std::vector<int>>().value(), std::vector<int>(8, round));
    viewer.join();
    EXPECT_EQ(*view, std::vector<int>(8, round));
  }
}

}  // namespace
}  // namespace rustyray::core
