// Random schedules of actors, stepped by hand: each seed makes another mix of actors, callers, calls with and without
// unready refs, cancels, kills, stops, restarts, time and shutdown, on a manual executor whose queue is stepped at
// random positions. What holds:
//   - Calls of one caller begin in the order in which it submitted them, those that are retried again in that order.
//   - At most max_concurrency calls are inside an instance; a destroyed one is never entered; one instance at a time.
//   - A call runs at most once more than its actor's retries, with its arguments as they were, and each is ready in
//     the end: with a value if and only if it ran to its end.
//   - Nothing is left in the end: instances, actors, values, places in mailboxes.
// Replay one seed with RUSTYRAY_SEED; 200,000 of them with RUSTYRAY_SOAK=1.
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/actor_context.h"
#include "actor/actor_system.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/manual_executor.h"
#include "core/object_ref.h"
#include "core/testing/seeds.h"
#include "core/testing/test_owner.h"
#include "core/waiting.h"
#include "gtest/gtest.h"
#include "task/function_registry.h"
#include "task/task_system.h"

namespace rustyray::actor {
namespace {

using core::ObjectRef;
using std::chrono::milliseconds;

std::string Text(int number) { return "a string that lies on the heap " + std::to_string(number); }

class Schedule;
Schedule* current = nullptr;

// One call, as it was submitted: in all that the instances see.
struct Ticket {
  int call;      // its number in the schedule
  int caller;    // the driver, a task or an actor
  int sequence;  // counts the calls of this caller; 0: made while an earlier one waited for room, in no order
};

class Subject {
 public:
  static Subject* Create(int actor, int unused);
  static Subject* CreateOrFail(int actor, int unused);
  explicit Subject(int actor);
  ~Subject();

  int Work(Ticket ticket) { return Inside(ticket), ticket.call; }
  int WorkAfter(Ticket ticket, int) { return Inside(ticket), ticket.call; }
  int Fail(Ticket ticket) {
    Inside(ticket);
    throw std::runtime_error("as asked");
  }
  // Calls others; waits for them if `waits`.
  int Nested(Ticket ticket, std::uint64_t seed, bool waits);
  int Keep(Ticket ticket, ActorRef<Subject> other) {
    const Entry entry(*this, ticket);
    kept_.push_back(std::move(other));
    return ticket.call;
  }
  // Leaves nothing of its arguments.
  int Consume(Ticket ticket, std::vector<int>&& moved, std::string& changed, std::uint64_t seed);
  int KillOther(Ticket ticket, ActorRef<Subject> other, bool no_restart);
  int Leave(Ticket ticket) {
    const Entry entry(*this, ticket);
    ActorContext::Current()->Exit();
    return ticket.call;
  }

 private:
  struct Entry {
    Entry(Subject& subject, Ticket ticket);
    ~Entry();
    Subject& subject;
    Ticket ticket;
  };
  void Inside(Ticket ticket) { const Entry entry(*this, ticket); }

  static constexpr std::uint64_t kAlive = 0x600d'600d'600d'600d;
  std::uint64_t magic_ = kAlive;
  const int actor_;
  const int instance_;
  int inside_ = 0;
  std::vector<ActorRef<Subject>> kept_;
};

class Schedule {
 public:
  explicit Schedule(std::uint64_t seed) : random_(seed), backoffs_(random_() % 2 == 0) {
    current = this;
    executor_.set_allow_inline(random_() % 4 != 0);
  }
  ~Schedule() { current = nullptr; }

  void Run() {
    for (int i = 1 + Below(4); i > 0; --i) Spawn();
    for (int i = 20 + Below(80); i > 0 && !testing::Test::HasFailure(); --i) Act();
    End();
  }

  static inline int retried = 0;  // runs, over all schedules
  // What began, in order.
  const std::vector<int>& trace() const { return trace_; }

  // --- For instances.
  int OnMade(int actor) {
    ++instances_;
    EXPECT_EQ(++actors_[actor].instances, 1) << "two instances of one actor";
    return ++actors_[actor].made;
  }
  void OnGone(int actor) {
    --instances_;
    --actors_[actor].instances;
  }
  void OnBegin(int actor, int instance, Ticket ticket, int inside) {
    trace_.push_back(ticket.call);
    OneCall& call = calls_[ticket.call];
    if (const int retries = actors_[actor].retries; retries >= 0) {
      EXPECT_LE(++call.begun, 1 + retries) << "a call ran too often";
    } else {
      ++call.begun;
    }
    EXPECT_NE(std::exchange(call.instance, instance), instance) << "a call ran twice in one instance";
    retried += call.begun > 1;
    EXPECT_LE(inside, actors_[actor].max_concurrency);
    if (ticket.sequence == 0) return;
    LastBegun& last = last_begun_[{ticket.caller, actor}];
    if (std::exchange(last.instance, instance) != instance) last.in_instance = 0;
    EXPECT_LT(last.in_instance, ticket.sequence)
        << "caller " << ticket.caller << " was overtaken by itself in actor " << actor;
    last.in_instance = ticket.sequence;
    if (call.begun == 1) {
      EXPECT_LT(last.ever, ticket.sequence) << "what was retried lost its place";
      last.ever = ticket.sequence;
    }
  }
  // What runs again calls again, and so may kill again.
  bool MayKill() { return kills_left_-- > 0; }
  bool FactoryFails() { return Below(4) == 0; }
  void Nest(int actor, std::uint64_t seed, bool waits) {
    if (nests_left_-- <= 0) return;
    std::mt19937_64 random(seed);
    for (int i = 1 + static_cast<int>(random() % 3); i > 0; --i) {
      const int called = CallSome(kFirstActor + actor, random);
      if (called >= 0 && waits && !backoffs_) (void)Ref(called).Wait();
    }
  }

 private:
  static constexpr int kDriver = 1;
  static constexpr int kFirstActor = 100;
  static constexpr int kFirstTask = 10'000;
  struct Actor {
    int max_concurrency = 1;
    int retries = 0;
    int instances = 0;
    int made = 0;
    std::vector<ActorRef<Subject>> handles;
    std::vector<CellPtr> cell;
  };
  struct OneCall {
    int begun = 0;
    int instance = 0;  // that it began in last
    ObjectRef ref;
  };
  // The last sequence number that one caller's call to an actor began with.
  struct LastBegun {
    int ever = 0;
    int instance = 0;
    int in_instance = 0;
  };

  int Below(int bound) { return static_cast<int>(random_() % static_cast<std::uint64_t>(bound)); }

  void Spawn() {
    const int number = static_cast<int>(actors_.size());
    actors_.emplace_back();
    ActorOptions options;
    if (Below(3) == 0) options.name = "actor " + std::to_string(number);
    options.detached = Below(4) == 0;
    options.max_concurrency = Below(3) == 0 ? 1 + Below(3) : 1;
    options.mailbox_capacity = kUnboundedMailbox;
    if (Below(3) == 0) {
      options.mailbox_capacity = 1 + static_cast<std::size_t>(Below(4));
      // A full mailbox whose actor waits for time would hang the only thread there is.
      options.mailbox_full = backoffs_ || Below(2) == 0 ? MailboxFull::kReject : MailboxFull::kBlock;
    }
    if (Below(3) != 0) {
      options.restart.max_restarts = Below(4) - 1;
      if (Below(3) == 0) {
        options.restart.max_in_window = 1 + Below(2);
        options.restart.window = milliseconds(50);
      }
      if (backoffs_ && Below(2) == 0) options.restart.backoff = milliseconds(1 + Below(20));
      if (Below(2) == 0) options.restart.restart_on = [](const core::Error&) { return true; };
    }
    if (Below(3) != 0) options.max_task_retries = Below(4) - 1;
    actors_[number].max_concurrency = options.max_concurrency;
    actors_[number].retries = options.max_task_retries;
    auto* const factory = Below(5) == 0 ? &Subject::CreateOrFail : &Subject::Create;
    absl::StatusOr<ActorRef<Subject>> made = Below(3) == 0 ? actors().Spawn(options, factory, number, Task(random_()))
                                                           : actors().Spawn(options, factory, number, 0);
    if (!made.ok()) return;
    actors_[number].cell.emplace_back(*made->cell());
    actors_[number].handles.push_back(*std::move(made));
  }

  static constexpr core::FunctionInfo kText{"Text"};
  // A task's ref, not ready yet, that may fail.
  ObjectRef Task(std::uint64_t seed) {
    static constexpr core::FunctionInfo kInfo{"Late"};
    return tasks_.Run(kInfo, [seed]() -> int {
      if (seed % 5 == 0) throw std::runtime_error("late, and failed");
      return 1;
    });
  }

  ObjectRef Ref(int call) { return calls_[call].ref; }

  // One call by `caller` of an actor to which there is a handle; its number, or -1.
  int CallSome(int caller, std::mt19937_64& random) {
    if (actors_.empty()) return -1;
    const Actor& actor = actors_[random() % actors_.size()];
    if (actor.handles.empty()) return -1;
    const ActorRef<Subject> handle = actor.handles[random() % actor.handles.size()];
    const int number = static_cast<int>(calls_.size());
    calls_.emplace_back();
    const Ticket ticket{number, caller, submitting_[caller]++ == 0 ? ++sequences_[caller] : 0};
    ObjectRef ref;
    switch (random() % 18) {
      case 0:
      case 1:
        ref = handle.Call(&Subject::WorkAfter, ticket, Task(random()));
        break;
      case 2: {
        const ObjectRef other = calls_[random() % calls_.size()].ref;
        ref = other ? handle.Call(&Subject::WorkAfter, ticket, other) : handle.Call(&Subject::Work, ticket);
        break;
      }
      case 3:
        ref = handle.Call(&Subject::Fail, ticket);
        break;
      case 4:
        ref = handle.Call(&Subject::Nested, ticket, random(), random() % 2 == 0);
        break;
      case 5:
        if (random() % 3 == 0) {
          ref = handle.Call(&Subject::Leave, ticket);
          break;
        }
        [[fallthrough]];
      case 6: {
        const Actor& other = actors_[random() % actors_.size()];
        if (!other.handles.empty() && random() % 2 == 0) {
          ref = handle.Call(&Subject::Keep, ticket, other.handles[0]);
          break;
        }
        [[fallthrough]];
      }
      case 7:
      case 10:
      case 11: {
        // Often itself, or one that it is nested in.
        const Actor& other = random() % 2 == 0 ? actor : actors_[random() % actors_.size()];
        if (!other.handles.empty()) {
          ref = handle.Call(&Subject::KillOther, ticket, other.handles[0], random() % 5 == 0);
          break;
        }
        [[fallthrough]];
      }
      case 8:
      case 9: {
        const std::vector<int> numbers(100, number);
        const std::uint64_t seed = random();
        ref = random() % 2 == 0
                  ? handle.Call(&Subject::Consume, ticket, numbers, Text(number), seed)
                  : handle.Call(&Subject::Consume, ticket, numbers, tasks_.Run(kText, &Text, number), seed);
        break;
      }
      default:
        ref = handle.Call(&Subject::Work, ticket);
    }
    --submitting_[caller];
    calls_[number].ref = ref;
    return number;
  }

  void Act() {
    switch (Below(20)) {
      case 0:
        if (actors_.size() < 6) Spawn();
        return;
      case 1:
      case 2:
      case 3:
      case 4:
      case 5:
        (void)CallSome(kDriver, random_);
        return;
      case 6:
      case 7: {
        static constexpr core::FunctionInfo kInfo{"Caller"};
        const int caller = next_task_++;
        others_.push_back(tasks_.Run(kInfo, [this, caller, seed = random_()] {
          std::mt19937_64 random(seed);
          int called = -1;
          for (std::uint64_t i = 1 + random() % 4; i > 0; --i) called = CallSome(caller, random);
          if (called >= 0 && random() % 2 == 0 && !backoffs_) (void)Ref(called).Wait();
        }));
        return;
      }
      case 8: {
        const bool task = Below(3) == 0;
        if (task ? others_.empty() : calls_.empty()) return;
        const ObjectRef ref = task ? others_[random_() % others_.size()] : calls_[random_() % calls_.size()].ref;
        if (ref) (void)tasks_.Cancel(ref);
        return;
      }
      case 9:
      case 10: {
        Actor& actor = actors_[random_() % actors_.size()];
        if (actor.handles.empty()) return;
        const ActorRef<Subject> handle = actor.handles[0];
        if (Below(5) == 0) {
          handle.Stop();
        } else {
          handle.Kill(/*no_restart=*/Below(4) == 0);
        }
        return;
      }
      case 11: {
        Actor& actor = actors_[random_() % actors_.size()];
        if (actor.handles.empty()) return;
        if (Below(2) == 0) {
          actor.handles.push_back(actor.handles[0]);
        } else {
          ActorRef<Subject> dropped = std::move(actor.handles.back());
          actor.handles.pop_back();
        }
        return;
      }
      case 12:
        clock_.Advance(milliseconds(Below(30)));
        return;
      case 13:
        if (!backoffs_ && !calls_.empty()) {
          if (const ObjectRef ref = calls_[random_() % calls_.size()].ref) (void)ref.Wait();
        }
        return;
      default:
        for (int i = 1 + Below(4); i > 0; --i) {
          if (const std::size_t queued = executor_.queued()) executor_.Step(random_() % queued);
        }
    }
  }

  void End() {
    const int way = Below(4);
    if (way == 0) {
      executor_.RunUntilIdle();
    } else if (way == 1) {
      executor_.Stop();
    }
    if (Below(2) == 0) {
      for (Actor& actor : actors_) {
        const std::vector<ActorRef<Subject>> dropped = std::exchange(actor.handles, {});
      }
    }
    actors().Shutdown(backoffs_ || way == 1 || Below(2) == 0 ? core::Time::min() : core::kNever);
    executor_.RunUntilIdle();
    executor_.Stop();
    EXPECT_EQ(actors().size(), 0u) << "an actor did not end";
    EXPECT_EQ(instances_, 0) << "an instance was not destroyed";
    for (std::size_t i = 0; i < calls_.size(); ++i) {
      const OneCall& call = calls_[i];
      if (!call.ref) continue;
      ASSERT_TRUE(call.ref.ready()) << "call " << i << " was lost";
      const absl::StatusOr<int> result = call.ref.Get<int>();
      if (result.ok()) {
        EXPECT_GE(call.begun, 1);
        EXPECT_EQ(*result, static_cast<int>(i));
      }
    }
    for (const ObjectRef& ref : others_) EXPECT_TRUE(ref.ready()) << "a task was lost";
    for (Actor& actor : actors_) {
      for (const CellPtr& cell : actor.cell) EXPECT_EQ(cell->queued(), 0u) << "room in a mailbox was lost";
    }
    calls_.clear();
    others_.clear();
    actors_.clear();
    EXPECT_EQ(waiting_.Dump(), "");
    EXPECT_EQ(owner_.values(), 0);
    EXPECT_EQ(owner_.bytes(), 0);
  }

  ActorSystem& actors() { return system_; }

  std::mt19937_64 random_;
  const bool backoffs_;
  core::ManualExecutor executor_;
  core::ManualClock clock_;
  core::Waiting waiting_{clock_};
  core::TestOwner owner_{waiting_};
  task::FunctionRegistry registry_;
  task::TaskSystem tasks_{executor_, clock_, owner_, registry_};
  ActorSystem system_{executor_, clock_, tasks_};
  std::vector<Actor> actors_;
  std::vector<OneCall> calls_;
  std::vector<ObjectRef> others_;
  std::map<int, int> sequences_;
  std::map<int, int> submitting_;
  std::map<std::pair<int, int>, LastBegun> last_begun_;
  std::vector<int> trace_;
  int next_task_ = kFirstTask;
  int instances_ = 0;
  int kills_left_ = 30;
  int nests_left_ = 500;  // a call that restarts its actor by a call that it makes is tried again, without limit
};

Subject::Subject(int actor) : actor_(actor), instance_(current->OnMade(actor)) {}
Subject::~Subject() {
  EXPECT_EQ(inside_, 0) << "destroyed while a call is inside";
  magic_ = 0;
  current->OnGone(actor_);
}
Subject* Subject::Create(int actor, int) { return new Subject(actor); }
Subject* Subject::CreateOrFail(int actor, int) {
  if (current->FactoryFails()) throw std::runtime_error("not this time");
  return new Subject(actor);
}
int Subject::Nested(Ticket ticket, std::uint64_t seed, bool waits) {
  const Entry entry(*this, ticket);
  current->Nest(actor_, seed, waits);
  return ticket.call;
}
int Subject::Consume(Ticket ticket, std::vector<int>&& moved, std::string& changed, std::uint64_t seed) {
  const Entry entry(*this, ticket);
  EXPECT_EQ(std::exchange(moved, {}), std::vector<int>(100, ticket.call));
  EXPECT_EQ(std::exchange(changed, {}), Text(ticket.call));
  current->Nest(actor_, seed, seed % 2 == 0);
  return ticket.call;
}
int Subject::KillOther(Ticket ticket, ActorRef<Subject> other, bool no_restart) {
  const Entry entry(*this, ticket);
  if (current->MayKill()) other.Kill(no_restart);
  return ticket.call;
}
Subject::Entry::Entry(Subject& subject, Ticket ticket) : subject(subject), ticket(ticket) {
  EXPECT_EQ(subject.magic_, kAlive) << "a destroyed instance was entered";
  current->OnBegin(subject.actor_, subject.instance_, ticket, ++subject.inside_);
}
Subject::Entry::~Entry() {
  EXPECT_EQ(subject.magic_, kAlive) << "destroyed while a call was inside";
  --subject.inside_;
}

TEST(ActorSchedule, WhatIsPromisedHoldsOverRandomSchedules) {
  core::ForSeeds(core::Sized(core::kSanitized ? 500 : 10'000, 200'000),
                 [](std::uint64_t seed) { Schedule(seed).Run(); });
  RecordProperty("retried", Schedule::retried);
  EXPECT_TRUE(Schedule::retried > 0 || std::getenv("RUSTYRAY_SEED") != nullptr) << "nothing was ever retried";
}

TEST(ActorSchedule, ASeedReplaysTheSameSchedule) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    Schedule first(seed);
    first.Run();
    Schedule second(seed);
    second.Run();
    EXPECT_EQ(first.trace(), second.trace()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace rustyray::actor
