#include "object_store/object_store_stress.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/id.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/testing/seeds.h"
#include "core/waiting.h"
#include "gtest/gtest.h"
#include "object_store/object_store.h"
#include "object_store/testing/backend.h"
#include "object_store/testing/pending_object.h"

namespace rustyray::object_store {
namespace {

using core::AccountId;
using core::ErrorKind;
using core::ObjectId;
using core::ObjectRef;

constexpr int kThreads = 4;
constexpr std::size_t kPlaces = 12;
constexpr std::size_t kLimit = 6000;
constexpr std::size_t kQuota = 1500;

using View = std::shared_ptr<const std::string>;

// One run: threads that share places for refs and one store.
class RacingRun {
 public:
  RacingRun(const Backend& backend, std::shared_ptr<core::Waiting> waiting, std::uint64_t seed) : seed_(seed) {
    store_ = backend.make({.limit_bytes = kLimit, .waiting = std::move(waiting)});
    account_ = AccountId::Random();
    Expect(store_->SetQuota(account_, kQuota).ok(), "quota");
  }

  void Go(int steps) {
    std::barrier all(kThreads);
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        std::mt19937_64 random(seed_ * kThreads + static_cast<std::uint64_t>(t));
        std::vector<View> views;
        for (int step = 0; step < steps; ++step) Step(random, views);
        // Nobody may use a store that ends, but refs and Views may go on.
        all.arrive_and_wait();
        if (t == 0 && seed_ % 4 != 0) {
          store_.reset();
        } else {
          for (int step = 0; step < steps / 4; ++step) StepWithoutStore(random, views);
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    for (Place& place : places_) place.Set(ObjectRef());
    if (store_ == nullptr) return;
    for (Place& place : places_) {
      for (const ObjectId& id : place.ids) static_cast<void>(store_->Delete(id));
    }
    const StoreStatistics end = store_->Statistics();
    Expect(end.objects == end.cache_objects, "owned objects are left");
    Expect(end.bytes == end.cache_bytes, "bytes are left");
    Expect(end.pinned_bytes == 0, "pins are left");
    Expect(store_->AccountBytes(account_) <= end.bytes, "an account is charged for what is gone");
  }

  const char* complaint() const { return complaint_.load(); }

 private:
  struct Place {
    ObjectRef Copy() {
      core::MutexLock lock(mutex);
      return ref;
    }
    // The old ref goes after the lock is released.
    ObjectRef Set(ObjectRef next) {
      core::MutexLock lock(mutex);
      std::swap(ref, next);
      return next;
    }
    void Note(const ObjectId& id) {
      core::MutexLock lock(mutex);
      ids[noted++ % ids.size()] = id;
    }
    ObjectId Noted(std::size_t which) {
      core::MutexLock lock(mutex);
      return ids[which % ids.size()];
    }
    core::Mutex mutex;
    ObjectRef ref;
    std::array<ObjectId, 4> ids;
    std::size_t noted = 0;
  };

  void Expect(bool holds, const char* what) {
    const char* none = nullptr;
    if (!holds) complaint_.compare_exchange_strong(none, what);
  }

  // Each value says by its first letter what all its letters are.
  static std::string RandomValue(std::mt19937_64& random) {
    const std::size_t length = random() % 8 == 0 ? random() % 1500 : random() % 200;
    return std::string(length, static_cast<char>('a' + random() % 26));
  }
  void CheckValue(const std::string& value) {
    Expect(std::all_of(value.begin(), value.end(), [&](char c) { return c == value[0]; }), "a value is torn");
  }
  void CheckRead(const absl::Status& status) {
    const ErrorKind kind = core::KindOf(status);
    Expect(status.ok() || kind == ErrorKind::kEvicted || kind == ErrorKind::kShutdown || kind == ErrorKind::kInvalid ||
               kind == ErrorKind::kTimeout || kind == ErrorKind::kStoreFull,
           "a read failed for no reason");
  }

  PutOptions RandomOptions(std::mt19937_64& random) {
    PutOptions options;
    if (random() % 2 == 0) options.lifetime = Lifetime::kCache;
    if (random() % 8 == 0) options.id = places_[random() % kPlaces].Noted(random());
    if (options.id.has_value() && options.id->IsNil()) options.id = ObjectId::Random();
    if (random() % 4 == 0) options.account = account_;
    if (random() % 8 == 0) options.wait_until = store_->waiting().clock().Now() + std::chrono::microseconds(30);
    return options;
  }

  void Step(std::mt19937_64& random, std::vector<View>& views) {
    Place& place = places_[random() % kPlaces];
    switch (random() % 14) {
      case 0:
      case 1:
      case 2: {
        std::string value = RandomValue(random);
        const std::string before = value;
        auto put = store_->Put(std::move(value), RandomOptions(random));
        if (put.ok()) {
          if (random() % 4 == 0) place.Note(put->Id());
          place.Set(*std::move(put));
        } else {
          Expect(value == before, "a rejected value is lost");
          Expect(absl::IsResourceExhausted(put.status()) || absl::IsAlreadyExists(put.status()),
                 "a put failed for no reason");
        }
        break;
      }
      case 3: {
        std::vector<std::string> values{RandomValue(random), RandomValue(random)};
        auto put = store_->PutBatch(std::move(values));
        if (put.ok()) place.Set(std::move(put->back()));
        break;
      }
      case 4: {
        const auto found = store_->Find(place.Noted(random()));
        if (found.ok()) {
          const auto value = found->Get<std::string>(core::Time::min());
          CheckRead(value.status());
          if (value.ok()) CheckValue(*value);
        }
        break;
      }
      case 5:
        static_cast<void>(store_->Delete(place.Noted(random())));
        break;
      case 6: {
        const StoreStatistics now = store_->Statistics();
        Expect(now.bytes <= kLimit, "the limit is exceeded");
        Expect(now.peak_bytes <= kLimit, "the peak is over the limit");
        Expect(store_->AccountBytes(account_) <= kQuota, "the quota is exceeded");
        break;
      }
      case 7: {
        auto* const pending = PendingObject<std::string>::Make(*store_, random() % 2 == 0 ? account_ : AccountId());
        place.Set(pending->TakeRef());
        if (random() % 8 == 0) {
          pending->Abandon();
        } else {
          pending->Seal(RandomValue(random), random() % 20);
        }
        break;
      }
      default:
        StepWithoutStore(random, views);
    }
  }

  void StepWithoutStore(std::mt19937_64& random, std::vector<View>& views) {
    Place& place = places_[random() % kPlaces];
    switch (random() % 7) {
      case 0: {
        const ObjectRef ref = place.Copy();
        const auto value = ref.Get<std::string>(core::Time::min());
        CheckRead(value.status());
        if (value.ok()) CheckValue(*value);
        break;
      }
      case 1:
      case 2: {
        const ObjectRef ref = place.Copy();
        auto view = ref.View<std::string>(core::Time::min());
        CheckRead(view.status());
        if (!view.ok()) break;
        CheckValue(**view);
        views.push_back(*std::move(view));
        break;
      }
      case 3: {
        for (const View& view : views) CheckValue(*view);
        if (views.size() > 4) {
          views.clear();
        } else if (!views.empty()) {
          views.pop_back();
        }
        break;
      }
      case 4: {
        ObjectRef ref = place.Set(ObjectRef());
        auto taken = std::move(ref).Take<std::string>(core::Time::min());
        CheckRead(taken.status());
        if (taken.ok()) CheckValue(*taken);
        break;
      }
      case 5: {
        const ObjectRef ref = place.Copy();
        if (ref) place.Note(ref.Id());
        break;
      }
      case 6:
        place.Set(ObjectRef());
        break;
    }
  }

  const std::uint64_t seed_;
  std::unique_ptr<ObjectStore> store_;
  AccountId account_;
  std::array<Place, kPlaces> places_;
  std::atomic<const char*> complaint_{nullptr};
};

TEST_P(ObjectStoreStress, KeepsItsPromisesWhateverRaces) {
  struct WaitingByClock {
    std::unique_ptr<core::Clock> clock = core::MakeRealClock();
    core::Waiting waiting{*clock};
  };
  const auto both = std::make_shared<WaitingByClock>();
  const std::shared_ptr<core::Waiting> waiting(both, &both->waiting);
  core::ForSeeds(core::Sized(60, 20'000), [&](std::uint64_t seed) {
    std::fprintf(stderr, "seed %llu\n", static_cast<unsigned long long>(seed));  // for crashes
    RacingRun run(GetParam(), waiting, seed);
    run.Go(1500);
    ASSERT_EQ(run.complaint(), nullptr) << run.complaint();
  });
}

}  // namespace
}  // namespace rustyray::object_store
