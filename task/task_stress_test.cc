// Races everything that a program may do with objects and tasks, over many seeds, on a real pool: put, get, view, take,
// ids, eviction, calls of all forms, nested calls, cancel, deadlines, timed waits, waits for k of n, drop and Stop.
//
// What holds: nothing hangs, no value is torn (an object's elements are all the same), every call is ready once the
// pool has stopped, and nothing is left when the last ref goes.
// Replay one seed with RUSTYRAY_SEED; run longer with RUSTYRAY_SOAK=1.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/call.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/testing/seeds.h"
#include "core/thread_pool.h"
#include "core/waiting.h"
#include "gtest/gtest.h"
#include "task/function_registry.h"
#include "task/store_under_test.h"
#include "task/task_system.h"

namespace rustyray::task {
namespace {

using core::ObjectRef;
using std::chrono::microseconds;
using Vector = std::vector<int>;

constexpr core::FunctionInfo kBorrow{.name = "borrow"}, kOwn{.name = "own"}, kPair{.name = "pair"},
    kNested{.name = "nested"}, kByRef{.name = "by_ref"}, kSpin{.name = "spin"}, kFails{.name = "fails"},
    kNap{.name = "nap"};

Vector Make(std::uint64_t random) { return Vector(1 + random % 20, static_cast<int>(random % 1000)); }

void Check(const Vector& vector) {
  ASSERT_FALSE(vector.empty());
  for (const int element : vector) ASSERT_EQ(element, vector[0]);
}

Vector Borrow(const Vector& vector) {
  Check(vector);
  return vector;
}
Vector Own(Vector&& vector) {
  Check(vector);
  std::fill(vector.begin(), vector.end(), vector[0] + 1);
  return std::move(vector);
}
Vector Pair(const Vector& a, Vector b) {
  Check(a);
  Check(b);
  std::fill(b.begin(), b.end(), a[0]);
  return b;
}

class Stress {
 public:
  Stress(std::uint64_t seed, int steps) : random_(seed), steps_(steps) {
    pool_ = core::MakeThreadPool({.places = 1 + static_cast<int>(random_() % 3),
                                  .max_threads = 8 + static_cast<int>(random_() % 64),
                                  .tick = std::chrono::milliseconds(1)},
                                 *clock_);
    system_ = std::make_unique<TaskSystem>(*pool_, *clock_, owner_, registry_);
    owner_.set_encodes(random_() % 3 == 0);
    owner_.set_keeps_decodes(random_() % 2 == 0);
    if (random_() % 4 == 0) owner_.set_largest(60);
    for (ObjectRef& ref : shared_) ref = owner_.Put(Make(random_()));
  }

  // What hangs, if something does.
  std::string State() {
    if (pool_ == nullptr) return "after the end of the pool";
    const core::ThreadPoolStatistics pool = pool_->Statistics();
    return "places " + std::to_string(pool.places) + ", threads " + std::to_string(pool.threads) + ", parked " +
           std::to_string(pool.parked) + ", blocked " + std::to_string(pool.blocked) + ", lent " +
           std::to_string(pool.lent) + ", steps done " + std::to_string(done_.load()) + "\n" + waiting_.Dump();
  }

  void Run() {
    const bool stops_early = random_() % 2 == 0;
    std::vector<std::thread> drivers;
    for (int i = 0; i < 3; ++i) drivers.emplace_back([this, seed = random_()] { Drive(seed); });
    if (stops_early) {
      const int at = static_cast<int>(random_() % (3 * static_cast<std::uint64_t>(steps_)));
      while (done_.load() < at) std::this_thread::yield();
      EXPECT_TRUE(pool_->Stop(core::kNever).empty());
    }
    for (std::thread& driver : drivers) driver.join();
    if (!stops_early && random_() % 2 == 0) {
      for (const ObjectRef& ref : shared_) (void)ref.Wait();
    }
    EXPECT_TRUE(pool_->Stop(core::kNever).empty());
    PassClock();
    for (const ObjectRef& ref : shared_) EXPECT_TRUE(!ref || ref.ready());
    for (ObjectRef& ref : shared_) ref = ObjectRef();
    for (const core::ObjectId& id : cached_) (void)owner_.Evict(id);
    pool_.reset();
    EXPECT_EQ(waiting_.Dump(), "");
    EXPECT_EQ(owner_.values(), 0);
    EXPECT_EQ(owner_.bytes(), 0u);
    EXPECT_EQ(owner_.bytes_elsewhere(), 0u);
    EXPECT_EQ(owner_.borrows(), 0);
    EXPECT_EQ(owner_.indexed(), 0u);
  }

 private:
  static constexpr std::size_t kShared = 12;

  // Waits until the clock's thread has done what was due: a deadline may be failing calls there, which Stop does not
  // wait for.
  void PassClock() {
    struct Fence final : core::Timer {
      Fence() : Timer([](core::Timer& timer) { static_cast<Fence&>(timer).passed.store(true); }) {}
      std::atomic<bool> passed{false};
    } fence;
    clock_->Arm(fence, clock_->Now());
    while (!fence.passed.load()) std::this_thread::yield();
    clock_->Cancel(fence);
  }

  ObjectRef Any(std::mt19937_64& random) {
    core::MutexLock lock(mutex_);
    return shared_[random() % kShared];
  }
  // Takes a ref out, so that it may be the only one.
  ObjectRef Steal(std::mt19937_64& random) {
    ObjectRef other = owner_.Put(Make(random()));
    core::MutexLock lock(mutex_);
    return std::exchange(shared_[random() % kShared], std::move(other));
  }
  void Keep(std::mt19937_64& random, ObjectRef ref) {
    {
      core::MutexLock lock(mutex_);
      std::swap(shared_[random() % kShared], ref);
    }
    ref = ObjectRef();  // after the lock: a last handle may free anything
  }

  static void CheckIfOk(const absl::StatusOr<Vector>& read) {
    if (read.ok()) Check(*read);
  }
  static void CheckIfOk(const absl::StatusOr<std::shared_ptr<const Vector>>& read) {
    if (read.ok()) Check(**read);
  }

  absl::StatusOr<Vector> Nested(std::uint64_t seed, int depth) {
    std::mt19937_64 random(seed);
    if (depth == 0 || core::CancelToken::Current().cancelled()) return Make(seed);
    const ObjectRef a = system_->Run(kNested, [this, seed, depth] { return Nested(seed / 3, depth - 1); });
    const ObjectRef b = system_->Run(kNested, [this, seed, depth] { return Nested(seed / 5, depth - 1); });
    if (seed % 4 == 0) (void)system_->Cancel(a);
    absl::StatusOr<Vector> first = a.Get<Vector>();
    if (seed % 2 == 0) return first;
    return b.Get<Vector>();
  }

  void Drive(std::uint64_t seed) {
    std::mt19937_64 random(seed);
    for (int step = 0; step < steps_ && !testing::Test::HasFailure(); ++step) {
      Step(random);
      ++done_;
    }
  }

  void Step(std::mt19937_64& random) {
    TaskOptions options;
    if (random() % 8 == 0) options.deadline = microseconds(1 + random() % 300);
    switch (random() % 21) {
      case 0:
        return Keep(random, owner_.Put(Make(random())));
      case 1: {
        ObjectRef cached = owner_.PutCache(Make(random()));
        core::ObjectId id = cached.record()->IdOrNil();
        Keep(random, std::move(cached));
        core::MutexLock lock(mutex_);
        cached_.push_back(id);
        return;
      }
      case 2: {
        core::ObjectId id;
        {
          core::MutexLock lock(mutex_);
          if (cached_.empty()) return;
          id = cached_[random() % cached_.size()];
        }
        if (random() % 2 == 0) {
          (void)owner_.Evict(id);
        } else if (ObjectRef found = owner_.Find(id)) {
          Keep(random, std::move(found));
        }
        return;
      }
      case 3: {
        const ObjectRef ref = Any(random);
        const core::ObjectId id = ref.Id();
        if (const ObjectRef found = owner_.Find(id)) {
          EXPECT_EQ(found, ref);
        }
        return;
      }
      case 4:
        return CheckIfOk(Any(random).Get<Vector>());
      case 5:
        return CheckIfOk(Any(random).Get<Vector>(clock_->Now() + microseconds(random() % 200)));
      case 6: {
        auto view = Any(random).View<Vector>();
        CheckIfOk(view);
        std::this_thread::yield();
        return CheckIfOk(view);
      }
      case 7:
        return CheckIfOk(Steal(random).Take<Vector>());
      case 8:
        return CheckIfOk(Steal(random).Take<Vector>(clock_->Now() + microseconds(random() % 200)));
      case 9:
      case 10:
        return Keep(random, system_->RunWith(options, kBorrow, &Borrow, Any(random)));
      case 11:
        return Keep(random, system_->RunWith(options, kOwn, &Own, Steal(random)));
      case 12:
      case 13:
        return Keep(random, system_->RunWith(options, kPair, &Pair, Any(random), Any(random)));
      case 14:
        return Keep(random, system_->RunWith(options, kNested, [this, seed = random()] { return Nested(seed, 3); }));
      case 15: {
        auto wait_inside = [](const ObjectRef& ref) { return ref.Get<Vector>(); };
        return Keep(random, system_->RunWith(options, kByRef, wait_inside, Any(random)));
      }
      case 16: {
        auto spin = [](std::uint64_t rounds) {
          for (; rounds > 0 && !core::CancelToken::Current().cancelled(); --rounds) std::this_thread::yield();
          return Make(rounds);
        };
        return Keep(random, system_->RunWith(options, kSpin, spin, random() % 100));
      }
      case 17: {
        auto fails = [](const Vector&) -> Vector { throw std::string("not a std::exception"); };
        return Keep(random, system_->RunWith(options, kFails, fails, Any(random)));
      }
      case 18: {
        const ObjectRef ref = Any(random);
        if (ref.record()->is_call()) (void)system_->Cancel(ref);
        return;
      }
      case 19: {
        if (random() % 4 != 0) return;
        auto nap = [](const Vector& vector, std::uint64_t length) {
          std::this_thread::sleep_for(microseconds(length));  // the pool lends its place
          Check(vector);
        };
        return Keep(random, system_->RunWith(options, kNap, nap, Any(random), random() % 3000));
      }
      default: {
        std::vector<ObjectRef> some;
        for (std::uint64_t i = 1 + random() % 5; i > 0; --i) some.push_back(Any(random));
        const auto at = [&](std::size_t i) -> const ObjectRef& { return some[i]; };
        const core::Time deadline = random() % 2 == 0 ? core::kNever : clock_->Now() + microseconds(random() % 300);
        if (random() % 3 == 0) {
          (void)waiting_.WaitForAll(some.size(), at, deadline);
          return;
        }
        const std::size_t enough = random() % (some.size() + 1);
        const absl::StatusOr<std::size_t> ready = waiting_.WaitForSome(some.size(), at, enough, deadline);
        if (deadline == core::kNever) {
          EXPECT_TRUE(ready.ok() && *ready >= enough);
        }
        return;
      }
    }
  }

  std::mt19937_64 random_;
  const int steps_;
  const std::unique_ptr<core::Clock> clock_ = core::MakeRealClock();
  core::Waiting waiting_{*clock_};
  StoreUnderTest owner_{waiting_};
  FunctionRegistry registry_;
  std::shared_ptr<core::ThreadPool> pool_;
  std::unique_ptr<TaskSystem> system_;
  std::atomic<int> done_{0};
  core::Mutex mutex_;
  ObjectRef shared_[kShared];
  std::vector<core::ObjectId> cached_;
};

// Ends the program, with the state of a seed that takes longer than any should: a test that is only killed tells
// nothing.
class Watchdog {
 public:
  Watchdog(std::uint64_t seed, Stress& stress) : thread_([this, seed, &stress] { Watch(seed, stress); }) {}
  ~Watchdog() {
    {
      core::MutexLock lock(mutex_);
      done_ = true;
    }
    changed_.NotifyAll();
    thread_.join();
  }

 private:
  void Watch(std::uint64_t seed, Stress& stress) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(40);
    core::MutexLock lock(mutex_);
    while (!done_ && std::chrono::steady_clock::now() < deadline) changed_.WaitUntil(mutex_, deadline);
    if (done_) return;
    std::fprintf(stderr, "RUSTYRAY_SEED=%llu hangs: %s", static_cast<unsigned long long>(seed), stress.State().c_str());
    std::abort();
  }

  core::Mutex mutex_;
  core::CondVar changed_;
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

TEST(TaskStress, EverythingAtOnceOverManySeeds) {
  core::ForSeeds(core::Sized(core::kSanitized ? 80 : 200, 20'000), [](std::uint64_t seed) {
    Stress stress(seed, 300);
    const Watchdog watchdog(seed, stress);
    stress.Run();
  });
}

}  // namespace
}  // namespace rustyray::task
