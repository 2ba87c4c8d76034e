#include "ownership/local_owner_service.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "core/call.h"
#include "core/clock.h"
#include "core/codec.h"
#include "core/error.h"
#include "core/id.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/stored.h"
#include "core/testing/seeds.h"
#include "core/testing/test_owner.h"
#include "core/waiting.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ownership/owner_service.h"
#include "ownership/slot_pages.h"

namespace rustyray::ownership {
namespace {

using core::ObjectRef;
using core::TestOwner;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// An owner with an observer; like a store's core it is never freed, since slots may name it.
TestOwner& NewOwner(OwnerService& service) {
  static auto* const all = new std::vector<std::unique_ptr<TestOwner>>;
  static auto* const clock = new core::ManualClock;
  static auto* const waiting = new core::Waiting(*clock);
  all->push_back(std::make_unique<TestOwner>(*waiting, &service));
  return *all->back();
}

class LocalOwnerServiceTest : public testing::Test {
 protected:
  ~LocalOwnerServiceTest() override { owner_.CloseForTest(); }

  const std::shared_ptr<OwnerService> service_ = MakeLocalOwnerService();
  TestOwner& owner_ = NewOwner(*service_);
};

class IdleCall final : public core::Call {
 public:
  static ObjectRef Make(const core::FunctionInfo& function, core::RecordOwner& owner) {
    auto* const call = new IdleCall(function);
    call->Adopt(owner);
    return ObjectRef::Adopt(call);
  }
  void VisitRefs(absl::FunctionRef<void(const ObjectRef&)>) const override {}
  void TellSubmitted(core::HandleObserver&) override {}
  absl::Status Encode(core::EncodeSink&) const override { return absl::OkStatus(); }

 private:
  explicit IdleCall(const core::FunctionInfo& function) : Call(function, false, [](core::Waiter&) {}) {}
  void Execute() override {}
  void DropArguments() override {}
};

TEST_F(LocalOwnerServiceTest, CountsRefsByWhoHasThem) {
  EXPECT_EQ(service_->Of(ObjectRef()), Counts());
  ObjectRef ref = owner_.Put(1);
  EXPECT_EQ(service_->Of(ref), (Counts{.local = 1}));
  const ObjectRef argument = ref, nested = ref;
  EXPECT_EQ(service_->Of(ref), (Counts{.local = 3}));
  service_->OnSubmitted(*argument.record());
  service_->OnStoredInside(*nested.record());
  EXPECT_EQ(service_->Of(ref), (Counts{.local = 1, .submitted = 1, .nested = 1}));
  service_->OnArgumentReleased(*argument.record());
  service_->OnStoredInsideGone(*nested.record());
  service_->OnStoredInsideGone(*nested.record());
  EXPECT_EQ(service_->Of(ref), (Counts{.local = 3}));
}

TEST_F(LocalOwnerServiceTest, SaysNothingWhenNothingIsAlive) {
  { const ObjectRef ref = owner_.Put(1); }
  EXPECT_THAT(service_->LiveObjects(), IsEmpty());
  EXPECT_EQ(service_->LeakReport(), "");
}

TEST_F(LocalOwnerServiceTest, DescribesWhatIsAlive) {
  ObjectRef ref = owner_.Put(std::string(100, 'x'));
  const ObjectRef other = ref;
  service_->OnSubmitted(*other.record());
  const core::ObjectId id = ref.Id();
  const std::vector<LiveObject> live = service_->LiveObjects();
  ASSERT_THAT(live, SizeIs(1));
  EXPECT_EQ(live[0].what, "std::string");
  EXPECT_EQ(live[0].id, id);
  EXPECT_EQ(live[0].handles, 2);
  EXPECT_EQ(live[0].submitted, 1);
  EXPECT_EQ(live[0].bytes, ref.record()->accounted());
  EXPECT_TRUE(live[0].ready);
  EXPECT_EQ(service_->LeakReport(), "1 object is still referred to, " + std::to_string(live[0].bytes) +
                                        " bytes:\n  std::string: " + std::to_string(live[0].bytes) +
                                        " bytes, 2 refs (1 of calls in flight), id " + id.Hex());
  service_->OnArgumentReleased(*other.record());
}

TEST_F(LocalOwnerServiceTest, NamesTheAccount) {
  struct Named final : core::Account {
    explicit Named(const core::RecordOwner& store) : Account(core::AccountId::Random(), "", &store) {}
    void DropMaybeLastRef() override { DropRefLocked(); }
  } account(owner_);
  auto* const stored = new core::Stored<int, core::CoreCodecs>(1);
  stored->set_charge(&account);
  stored->Adopt(owner_);
  stored->PublishUnshared();
  const ObjectRef ref = ObjectRef::Adopt(stored);
  EXPECT_THAT(service_->LeakReport(), HasSubstr("account " + account.id().Hex()));
}

TEST_F(LocalOwnerServiceTest, NamesTheFunctionOfACall) {
  const core::FunctionInfo function{.name = "count_words"};
  const ObjectRef pending = IdleCall::Make(function, owner_);
  EXPECT_THAT(service_->LeakReport(), HasSubstr("\n  task count_words: 1 ref"));
  static_cast<core::Call*>(pending.record())->Cancel(core::MakeError({.message = "stop"}));
  pending.record()->DropHold();  // the queue's
  EXPECT_THAT(service_->LeakReport(), HasSubstr("\n  error of task count_words: 0 bytes, 1 ref"));
}

TEST_F(LocalOwnerServiceTest, ReportsTheLargestFirstAndHowManyMoreThereAre) {
  std::vector<ObjectRef> refs;
  for (std::size_t size = 100; size <= 1000; size += 100) refs.push_back(owner_.Put(std::string(size, 'x')));
  const std::string report = service_->LeakReport(3);
  EXPECT_THAT(report, HasSubstr("10 objects are still referred to"));
  EXPECT_THAT(report, testing::EndsWith("\n  and 7 more"));
  EXPECT_EQ(std::count(report.begin(), report.end(), '\n'), 4);
  const std::size_t largest = refs.back().record()->accounted();
  EXPECT_LT(report.find(std::to_string(largest) + " bytes, "), report.find(std::to_string(largest - 100) + " bytes, "));
}

TEST_F(LocalOwnerServiceTest, TellsServicesApart) {
  const std::shared_ptr<OwnerService> others = MakeLocalOwnerService();
  TestOwner& their_owner = NewOwner(*others);
  const ObjectRef mine = owner_.Put(1);
  const ObjectRef theirs = their_owner.Put(std::string());
  ASSERT_THAT(service_->LiveObjects(), SizeIs(1));
  EXPECT_EQ(service_->LiveObjects()[0].what, "int");
  ASSERT_THAT(others->LiveObjects(), SizeIs(1));
  EXPECT_EQ(others->LiveObjects()[0].what, "std::string");
  their_owner.CloseForTest();
}

TEST_F(LocalOwnerServiceTest, AnObjectMayGoOnAnotherThread) {
  std::vector<ObjectRef> refs;
  for (int i = 0; i < 1000; ++i) refs.push_back(owner_.Put(i));
  EXPECT_THAT(service_->LiveObjects(), SizeIs(1000));
  std::thread([&] { refs.clear(); }).join();
  EXPECT_THAT(service_->LiveObjects(), IsEmpty());
}

TEST_F(LocalOwnerServiceTest, WhatOneThreadMakesAndAnotherDropsTakesNoMoreAndMoreRoom) {
  std::vector<ObjectRef> refs(1000);
  std::atomic<int> turn{0};
  constexpr int kRounds = 200;
  std::thread dropper([&] {
    for (int round = 0; round < kRounds; ++round) {
      turn.wait(2 * round);
      for (ObjectRef& ref : refs) ref = ObjectRef();
      turn = 2 * round + 2;
      turn.notify_all();
    }
  });
  const std::size_t before = SlotPages::capacity();
  for (int round = 0; round < kRounds; ++round) {
    for (ObjectRef& ref : refs) ref = owner_.Put(round);
    turn = 2 * round + 1;
    turn.notify_all();
    turn.wait(2 * round + 1);
  }
  dropper.join();
  EXPECT_LT(SlotPages::capacity() - before, 8 * refs.size());
}

TEST_F(LocalOwnerServiceTest, ThreadsThatEndLeaveTheirRoomToOthers) {
  const auto work = [&] {
    std::vector<ObjectRef> refs;
    for (int i = 0; i < 1000; ++i) refs.push_back(owner_.Put(i));
  };
  for (int i = 0; i < 3; ++i) std::thread(work).join();
  const std::size_t before = SlotPages::capacity();
  for (int i = 0; i < 50; ++i) std::thread(work).join();
  EXPECT_LE(SlotPages::capacity(), before + 2000);
}

TEST_F(LocalOwnerServiceTest, AThreadMayMakeAndDropObjectsWhileItEnds) {
  struct AtEnd {
    TestOwner* owner = nullptr;
    ObjectRef ref;
    std::optional<ObjectRef> made;
    ~AtEnd() {
      ref = ObjectRef();
      if (owner != nullptr) made = owner->Put(std::string("made at the end"));
    }
  };
  std::thread([&] {
    thread_local AtEnd at_end;
    at_end.owner = &owner_;
    at_end.ref = owner_.Put(1);
  }).join();
  EXPECT_THAT(service_->LiveObjects(), IsEmpty());
}

TEST_F(LocalOwnerServiceTest, ObjectsOfAClosedOwnerAreNotReportedAndTheirRoomIsUsedAgain) {
  for (int round = 0; round < 20; ++round) {
    TestOwner& short_lived = NewOwner(*service_);
    std::vector<ObjectRef> refs;
    for (int i = 0; i < 2000; ++i) refs.push_back(short_lived.Put(i));
    const ObjectRef cached = short_lived.PutCache(1);
    EXPECT_THAT(service_->LiveObjects(), SizeIs(2001));
    short_lived.CloseForTest();
    EXPECT_THAT(service_->LiveObjects(), IsEmpty());
    static_cast<void>(short_lived.Evict(cached.Id()));
  }
  EXPECT_LT(SlotPages::capacity(), 20 * 2000);
}

TEST_F(LocalOwnerServiceTest, ACacheObjectIsAliveWhileItHasRefs) {
  ObjectRef ref = owner_.PutCache(std::string("cached"));
  const core::ObjectId id = ref.Id();
  ASSERT_THAT(service_->LiveObjects(), SizeIs(1));
  EXPECT_EQ(service_->LiveObjects()[0].what, "std::string");
  ref = ObjectRef();
  EXPECT_THAT(service_->LiveObjects(), IsEmpty());
  EXPECT_TRUE(owner_.Evict(id));
}

TEST(NullOwnerService, DoesNothingAndMemoryIsFreed) {
  const std::shared_ptr<OwnerService> service = MakeNullOwnerService();
  TestOwner& owner = NewOwner(*service);
  ObjectRef ref = owner.Put(1);
  service->OnSubmitted(*ref.record());
  service->OnArgumentReleased(*ref.record());
  service->OnStoredInside(*ref.record());
  service->OnStoredInsideGone(*ref.record());
  EXPECT_EQ(service->Of(ref), (Counts{.local = 1}));
  EXPECT_EQ(service->Of(ObjectRef()), Counts());
  EXPECT_EQ(service->LeakReport(), "");
  ref = ObjectRef();
  EXPECT_EQ(owner.values(), 0);
  owner.CloseForTest();
}

TEST_F(LocalOwnerServiceTest, AFirstAndALastHandleTakeNoLock) {
  { const ObjectRef warm = owner_.Put(1); }
  core::Record& record = *new core::Stored<int, core::CoreCodecs>(1);
  record.Adopt(owner_);
  service_->OnLastHandle(record);
  const std::uint64_t locks = core::locks_taken_by_this_thread;
  constexpr int kPairs = 20'000;
  double best = 1e9;
  for (int round = 0; round < 5; ++round) {
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < kPairs; ++i) {
      service_->OnFirstHandle(record);
      service_->OnLastHandle(record);
    }
    const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - begin;
    best = std::min(best, took.count() / kPairs);
  }
  EXPECT_EQ(core::locks_taken_by_this_thread, locks);
  RecordProperty("first_and_last_handle_ns_times_10", static_cast<int>(10 * best));
  service_->OnFirstHandle(record);
  record.DropHandle();
}

// Threads make, exchange and drop objects while others report them.
TEST_F(LocalOwnerServiceTest, ReportsAreTrueWhateverRaces) {
  constexpr int kPlaces = 16;
  core::ForSeeds(core::Sized(20, 5000), [&](std::uint64_t seed) {
    struct Place {
      core::Mutex mutex;
      ObjectRef ref;
    };
    std::vector<Place> places(kPlaces);
    const ObjectRef cached = owner_.PutCache(std::string("cached"));
    const core::ObjectId cached_id = cached.Id();
    std::atomic<int> working{3};
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(3 * seed + static_cast<std::uint64_t>(t));
        for (int step = 0; step < 2000; ++step) {
          ObjectRef next;
          switch (random() % 4) {
            case 0:
              next = owner_.Put(std::string(random() % 300, 'x'));
              break;
            case 1:
              next = owner_.Put(step);
              break;
            case 2:
              next = owner_.Find(cached_id);
              break;
            default:
              break;
          }
          Place& place = places[random() % kPlaces];
          core::MutexLock lock(place.mutex);
          std::swap(place.ref, next);
        }
        working.fetch_sub(1);
      });
    }
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&] {
        do {
          for (const LiveObject& object : service_->LiveObjects()) {
            const bool number = object.what == "int" && object.bytes == sizeof(int);
            const bool text = object.what == "std::string" && object.bytes >= sizeof(std::string);
            const bool unadmitted = object.what == "an object that is not there yet";
            EXPECT_TRUE(number || text || unadmitted) << object.what << " " << object.bytes;
            EXPECT_LE(object.handles, static_cast<std::uint32_t>(kPlaces + 8));
          }
        } while (working.load() != 0);
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (Place& place : places) place.ref = ObjectRef();
    EXPECT_THAT(service_->LiveObjects(), SizeIs(1));  // the cached one
  });
}

}  // namespace
}  // namespace rustyray::ownership
