// Races actors on a real pool, over many seeds: several threads call, cancel, kill, stop, copy and drop handles, while
// instances restart and the system shuts down. What holds: order per caller, at most max_concurrency calls inside an
// instance, one instance of an actor at a time, no call run more often than its retries allow, each call ready in the
// end, nothing left. Replay one seed with RUSTYRAY_SEED; run longer with RUSTYRAY_SOAK=1.
#include <array>
#include <atomic>
#include <chrono>
#include <memory>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/actor_context.h"
#include "actor/actor_system.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/testing/seeds.h"
#include "core/testing/test_owner.h"
#include "core/thread_pool.h"
#include "core/waiting.h"
#include "gtest/gtest.h"
#include "task/function_registry.h"
#include "task/task_system.h"

namespace rustyray::actor {
namespace {

using core::ObjectRef;
using std::chrono::microseconds;

constexpr int kDrivers = 3;
constexpr int kActors = 5;

// What is known of one actor, whatever its instance. Pointers to it travel as arguments.
struct Seen {
  int max_concurrency = 1;
  int retries = 0;
  std::atomic<int> instances{0};
  std::array<std::atomic<int>, kDrivers> last_begun{};  // checked when one call at a time is inside
};

struct Shared {
  Seen* seen;
  std::atomic<int>* begun;  // of this call
  int driver;
  int sequence;
};

class Subject {
 public:
  static Subject* Create(Seen* seen, int) { return new Subject(seen); }
  explicit Subject(Seen* seen) : seen_(seen) { EXPECT_EQ(seen_->instances.fetch_add(1), 0); }
  ~Subject() {
    EXPECT_EQ(inside_.load(), 0);
    seen_->instances.fetch_sub(1);
  }

  int Work(Shared call) {
    const int begun = call.begun->fetch_add(1);
    if (seen_->retries >= 0) {
      EXPECT_LE(begun, seen_->retries) << "a call ran too often";
    }
    EXPECT_LE(inside_.fetch_add(1) + 1, seen_->max_concurrency);
    if (seen_->max_concurrency == 1) {
      const int last = seen_->last_begun[call.driver].exchange(call.sequence);
      if (begun == 0) {
        EXPECT_LT(last, call.sequence);
      } else {
        EXPECT_EQ(last, call.sequence) << "what was retried lost its place";
      }
      plain_ += call.sequence;  // the thread sanitizer looks at this one
    }
    if (call.sequence % 7 == 0) std::this_thread::yield();
    inside_.fetch_sub(1);
    return call.sequence;
  }
  int WorkAfter(Shared call, int) { return Work(call); }
  // Leaves nothing of its argument.
  int Consume(Shared call, std::vector<int> numbers) {
    EXPECT_EQ(numbers, std::vector<int>(100, call.sequence));
    return Work(call);
  }
  int Fail(Shared call) {
    Work(call);
    throw std::runtime_error("as asked");
  }
  int Leave(Shared call) {
    ActorContext::Current()->Exit();
    return Work(call);
  }

 private:
  Seen* const seen_;
  std::atomic<int> inside_{0};
  int plain_ = 0;
};

class Stress {
 public:
  Stress(std::uint64_t seed, int steps) : random_(seed), steps_(steps) {
    pool_ = core::MakeThreadPool(
        {.places = 1 + static_cast<int>(random_() % 3), .max_threads = 64, .tick = std::chrono::milliseconds(1)},
        *clock_);
    tasks_ = std::make_unique<task::TaskSystem>(*pool_, *clock_, owner_, registry_);
    actors_ = std::make_unique<ActorSystem>(*pool_, *clock_, *tasks_);
    for (int i = 0; i < kActors; ++i) Spawn(i, random_);
  }

  void Run() {
    std::vector<std::thread> drivers;
    for (int i = 0; i < kDrivers; ++i) drivers.emplace_back([this, i, seed = random_()] { Drive(i, seed); });
    const bool early = random_() % 3 == 0;
    if (early) {
      const int at = static_cast<int>(random_() % static_cast<std::uint64_t>(kDrivers * steps_));
      while (done_.load() < at) std::this_thread::yield();
      End();
    }
    for (std::thread& driver : drivers) driver.join();
    if (!early && random_() % 2 == 0) {
      // Without handles they end by themselves, once their calls are done.
      for (ActorRef<Subject>& handle : handles_) handle = ActorRef<Subject>();
      gone_.clear();
      const core::Time limit = clock_->Now() + std::chrono::seconds(60);
      while (actors_->size() > 0 && clock_->Now() < limit) std::this_thread::yield();
      EXPECT_EQ(actors_->size(), 0u) << "an actor that nobody can call did not end";
    }
    End();
    EXPECT_EQ(actors_->size(), 0u);
    for (auto& refs : refs_) {
      for (const ObjectRef& ref : refs) EXPECT_TRUE(ref.ready()) << "a call was lost";
      refs.clear();
    }
    for (ActorRef<Subject>& handle : handles_) handle = ActorRef<Subject>();
    for (const CellPtr& cell : cells_) EXPECT_EQ(cell->queued(), 0u);
    cells_.clear();
    for (const auto& seen : seen_) EXPECT_EQ(seen->instances.load(), 0);
    pool_.reset();
    EXPECT_EQ(waiting_.Dump(), "");
    EXPECT_EQ(owner_.values(), 0);
  }

 private:
  void End() {
    actors_->Shutdown(random_() % 2 == 0 ? core::Time::min() : clock_->Now() + std::chrono::milliseconds(20));
    if (random_() % 2 == 0) actors_->Shutdown(core::Time::min());
    EXPECT_TRUE(pool_->Stop(core::kNever).empty());
    core::Fence(*clock_);  // a restart's backoff may be over just now
  }

  // Before the drivers, or under the lock.
  void Spawn(int slot, std::mt19937_64& random) {
    ActorOptions options;
    options.max_concurrency = random() % 3 == 0 ? 2 : 1;
    options.mailbox_capacity = kUnboundedMailbox;
    if (random() % 3 == 0) {
      options.mailbox_capacity = 1 + random() % 4;
      if (random() % 2 == 0) options.mailbox_full = MailboxFull::kReject;
    }
    if (random() % 3 != 0) {
      options.restart.max_restarts = static_cast<int>(random() % 4) - 1;
      if (random() % 2 == 0) options.restart.backoff = microseconds(random() % 200);
      if (random() % 2 == 0) options.restart.restart_on = [](const core::Error&) { return true; };
    }
    seen_.push_back(std::make_unique<Seen>());
    if (random() % 2 == 0) options.max_task_retries = static_cast<int>(random() % 4) - 1;
    seen_.back()->max_concurrency = options.max_concurrency;
    seen_.back()->retries = options.max_task_retries;
    absl::StatusOr<ActorRef<Subject>> made =
        random() % 2 == 0 ? actors_->Spawn(options, &Subject::Create, seen_.back().get(), 0)
                          : actors_->Spawn(options, &Subject::Create, seen_.back().get(), Late(random()));
    if (!made.ok()) return;  // shut down
    cells_.emplace_back(*made->cell());
    of_[slot] = seen_.back().get();
    std::swap(handles_[slot], *made);
    gone_.push_back(*std::move(made));
  }

  ObjectRef Late(std::uint64_t seed) {
    static constexpr core::FunctionInfo kInfo{"Late"};
    return tasks_->Run(kInfo, [seed]() -> int {
      if (seed % 11 == 0) throw std::runtime_error("late, and failed");
      return 1;
    });
  }

  std::pair<ActorRef<Subject>, Seen*> Any(std::mt19937_64& random) {
    core::MutexLock lock(mutex_);
    const std::size_t slot = random() % kActors;
    return {handles_[slot], of_[slot]};
  }

  void Drive(int driver, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    int sequence = 0;
    std::vector<ObjectRef>& refs = refs_[driver];
    for (int step = 0; step < steps_ && !testing::Test::HasFailure(); ++step, ++done_) {
      auto [handle, seen] = Any(random);
      if (!handle) continue;
      const auto next = [&](Seen* of) {
        begun_[driver].push_back(std::make_unique<std::atomic<int>>(0));
        return Shared{of, begun_[driver].back().get(), driver, ++sequence};
      };
      switch (random() % 16) {
        default:
          refs.push_back(handle.Call(&Subject::Work, next(seen)));
          break;
        case 0:
        case 1:
          refs.push_back(handle.Call(&Subject::WorkAfter, next(seen), Late(random())));
          break;
        case 11:
        case 12: {
          const Shared call = next(seen);
          refs.push_back(handle.Call(&Subject::Consume, call, std::vector<int>(100, call.sequence)));
          break;
        }
        case 2:
          refs.push_back(handle.Call(&Subject::Fail, next(seen)));
          break;
        case 3:
          handle.Kill(/*no_restart=*/random() % 4 == 0);
          break;
        case 4:
          if (!refs.empty()) (void)tasks_->Cancel(refs[random() % refs.size()]);
          break;
        case 5:
        case 6:
          if (!refs.empty()) (void)refs[random() % refs.size()].Wait();
          break;
        case 7:
          if (random() % 4 == 0) handle.Stop();
          break;
        case 8:
          if (random() % 4 == 0) refs.push_back(handle.Call(&Subject::Leave, next(seen)));
          break;
        case 9: {
          std::vector<ActorRef<Subject>> dropped;  // after the lock
          core::MutexLock lock(mutex_);
          if (seen_.size() < 12) Spawn(static_cast<int>(random() % kActors), random);
          dropped.swap(gone_);
          break;
        }
        case 10: {
          if (!refs.empty()) {
            const ObjectRef ref = refs[random() % refs.size()];
            (void)ref.Get<int>(clock_->Now() + microseconds(random() % 200));
          }
          break;
        }
      }
    }
  }

  std::mt19937_64 random_;
  const int steps_;
  const std::unique_ptr<core::Clock> clock_ = core::MakeRealClock();
  core::Waiting waiting_{*clock_};
  core::TestOwner owner_{waiting_};
  task::FunctionRegistry registry_;
  std::shared_ptr<core::ThreadPool> pool_;
  std::unique_ptr<task::TaskSystem> tasks_;
  std::unique_ptr<ActorSystem> actors_;
  std::atomic<int> done_{0};
  core::Mutex mutex_;
  std::vector<std::unique_ptr<Seen>> seen_;
  std::vector<CellPtr> cells_;
  std::array<ActorRef<Subject>, kActors> handles_;
  std::array<Seen*, kActors> of_{};
  std::vector<ActorRef<Subject>> gone_;
  std::array<std::vector<ObjectRef>, kDrivers> refs_;
  std::array<std::vector<std::unique_ptr<std::atomic<int>>>, kDrivers> begun_;
};

TEST(ActorStress, EverythingAtOnceOverManySeeds) {
  core::ForSeeds(core::Sized(core::kSanitized ? 60 : 200, 10'000), [](std::uint64_t seed) { Stress(seed, 200).Run(); });
}

}  // namespace
}  // namespace rustyray::actor
