// Calls whose actor restarts under them, stepped by hand: max_task_retries.
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "actor/actor_context.h"
#include "actor/actor_fixture.h"
#include "actor/actor_system.h"
#include "core/call.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/object_ref.h"
#include "gtest/gtest.h"
#include "task/task_system.h"
#include "task/typed_call.h"

namespace rustyray::actor {
namespace {

using core::ObjectRef;
using std::chrono::seconds;

constexpr core::FunctionInfo kInfo{"Run"};

// What a test does inside of a run, told the run's number from 1.
std::function<void(int)> during;

class Fragile {
 public:
  static inline int runs, instances;
  static inline std::vector<int> order;
  static Fragile* Create() { return ++instances, new Fragile; }

  int Run(int number) {
    order.push_back(number);
    const int run = ++runs;
    if (during) during(run);
    return 10 * run + number;
  }
  int Note(int number) { return order.push_back(number), number; }
  int Throw() {
    ++runs;
    throw std::runtime_error("by itself");
  }
  std::string Eat(std::string value, std::string&& moved, std::string& changed, const std::string& read) {
    const std::string eaten = std::move(value) + std::move(moved) + std::exchange(changed, "") + read;
    if (during) during(++runs);
    return eaten;
  }
  int TakeUnique(std::unique_ptr<int> number) { return *number; }
  int ReadUnique(const std::unique_ptr<int>& number) {
    if (during) during(++runs);
    return *number;
  }
};

struct Copied {
  static inline int copies = 0;
  Copied() = default;
  Copied(const Copied&) { ++copies; }
  Copied(Copied&&) noexcept = default;
  Copied& operator=(const Copied&) = delete;
};
struct Counts {
  static Counts* Create() { return new Counts; }
  int Take(Copied) {
    if (during) during(++Fragile::runs);
    return Copied::copies;
  }
};

class ActorRetry : public ActorTest {
 protected:
  ActorRetry() {
    Fragile::runs = Fragile::instances = 0;
    Fragile::order.clear();
    during = nullptr;
  }
  ~ActorRetry() override { during = nullptr; }

  static ActorOptions Retries(int most) { return {.max_task_retries = most, .restart = {.max_restarts = -1}}; }
  ActorRef<Fragile> Make(const ActorOptions& options) { return *world.actors.Spawn(options, &Fragile::Create); }
  static std::string MessageOf(const ObjectRef& ref) { return std::string(ref.Wait().message()); }
};

#define EXPECT_HAS(text, part) EXPECT_NE(std::string(text).find(part), std::string::npos) << (text)

TEST_F(ActorRetry, ACallRunsAgainOnTheNextInstanceAndStaysPendingUntilThen) {
  auto actor = Make(Retries(1));
  ObjectRef ref = actor.Call(kInfo, &Fragile::Run, 1);
  during = [&](int run) {
    EXPECT_FALSE(core::CancelToken::Current().cancelled()) << "in run " << run;
    if (run > 1) return;
    actor.Kill(/*no_restart=*/false);
    EXPECT_TRUE(core::CancelToken::Current().cancelled()) << "the void run is not asked to end";
    EXPECT_FALSE(ref.ready()) << "it failed though a retry is left";
  };
  EXPECT_EQ(*ref.Get<int>(), 21) << "the result is the void run's";
  EXPECT_EQ(Fragile::runs, 2);
  EXPECT_EQ(Fragile::instances, 2);
}

TEST_F(ActorRetry, ItKeepsItsPlaceAndWhatIsQueuedWaitsForTheNextInstance) {
  auto actor = Make(Retries(1));
  ObjectRef first = actor.Call(kInfo, &Fragile::Run, 1);
  ObjectRef second = actor.Call(&Fragile::Note, 2);
  ObjectRef third = actor.Call(&Fragile::Note, 3);
  during = [&](int run) {
    if (run > 1) return;
    actor.Kill(/*no_restart=*/false);
    EXPECT_FALSE(second.ready());
  };
  executor.RunUntilIdle();
  EXPECT_EQ(Fragile::order, (std::vector<int>{1, 1, 2, 3}));
  EXPECT_EQ(*first.Get<int>(), 21);
  EXPECT_EQ(*third.Get<int>(), 3);
  EXPECT_EQ(actor.cell()->queued(), 0u);
}

TEST_F(ActorRetry, WithoutRetriesWhatIsQueuedFailsAtOnceWhenItRestarts) {
  auto actor = Make(Retries(0));
  ObjectRef first = actor.Call(kInfo, &Fragile::Run, 1);
  ObjectRef second = actor.Call(&Fragile::Note, 2);
  during = [&](int) {
    actor.Kill(/*no_restart=*/false);
    EXPECT_TRUE(first.ready());
    EXPECT_TRUE(second.ready());
  };
  executor.RunUntilIdle();
  EXPECT_HAS(MessageOf(first), "was killed, and restarts");
  EXPECT_HAS(MessageOf(second), "was killed, and restarts");
  EXPECT_EQ(Fragile::order, std::vector<int>{1});
}

TEST_F(ActorRetry, ItIsTriedAgainAsOftenAsAllowedAndNotOnceMore) {
  auto actor = Make(Retries(2));
  during = [&](int) { actor.Kill(/*no_restart=*/false); };
  EXPECT_HAS(MessageOf(actor.Call(kInfo, &Fragile::Run, 1)), "was killed, and restarts");
  EXPECT_EQ(Fragile::runs, 3);
  during = nullptr;
  EXPECT_EQ(*actor.Call(kInfo, &Fragile::Run, 1).Get<int>(), 41) << "another call's tries were counted";
}

TEST_F(ActorRetry, MinusOneTriesWithoutLimit) {
  auto actor = Make(Retries(-1));
  during = [&](int run) {
    if (run <= 100) actor.Kill(/*no_restart=*/false);
  };
  EXPECT_EQ(*actor.Call(kInfo, &Fragile::Run, 1).Get<int>(), 1011);
}

TEST_F(ActorRetry, WaitingInTheMailboxThroughARestartCostsNoTry) {
  auto actor = Make(Retries(1));
  EXPECT_EQ(*actor.Call(&Fragile::Note, 0).Get<int>(), 0);
  ObjectRef ref = actor.Call(kInfo, &Fragile::Run, 1);
  for (int i = 0; i < 5; ++i) actor.Kill(/*no_restart=*/false);  // all before it begins
  during = [&](int run) {
    if (run == 1) actor.Kill(/*no_restart=*/false);
  };
  EXPECT_EQ(*ref.Get<int>(), 21);
}

TEST_F(ActorRetry, AMethodThatThrowsIsNotTriedAgain) {
  auto actor = Make(Retries(3));
  EXPECT_EQ(core::KindOf(actor.Call(kInfo, &Fragile::Throw).Wait()), core::ErrorKind::kTask);
  EXPECT_EQ(Fragile::runs, 1);
}

TEST_F(ActorRetry, AnErrorThatRestartsTheActorIsThatCallsOwnAndOthersAreTriedAgain) {
  ActorOptions options = Retries(1);
  options.max_concurrency = 2;
  options.restart.restart_on = [](const core::Error&) { return true; };
  auto actor = Make(options);
  ObjectRef inner;
  during = [&](int run) {
    if (run > 1) return;
    inner = actor.Call(kInfo, &Fragile::Throw);
    (void)inner.Wait();  // runs it, inside
  };
  ObjectRef outer = actor.Call(kInfo, &Fragile::Run, 7);
  EXPECT_EQ(*outer.Get<int>(), 37);
  EXPECT_HAS(MessageOf(inner), "by itself");
  EXPECT_EQ(Fragile::instances, 2);
}

TEST_F(ActorRetry, CallsThatRanTogetherAreTriedAgainInTheOrderInWhichTheyBegan) {
  ActorOptions options = Retries(-1);
  options.max_concurrency = 3;
  auto actor = Make(options);
  ObjectRef refs[3];
  during = [&](int run) {
    if (run > 3) return;
    if (run < 3) {
      executor.RunUntilIdle();  // the next one begins inside
    } else {
      actor.Kill(/*no_restart=*/false);  // the last ends first
    }
  };
  for (int i = 0; i < 3; ++i) refs[i] = actor.Call(kInfo, &Fragile::Run, i + 1);
  executor.RunUntilIdle();
  EXPECT_EQ(Fragile::order, (std::vector<int>{1, 2, 3, 1, 2, 3}));
  for (const ObjectRef& ref : refs) EXPECT_TRUE(ref.Wait().ok()) << ref.Wait();
}

TEST_F(ActorRetry, WithNoRestartLeftItFailsAtOnce) {
  auto actor = Make({.max_task_retries = -1, .restart = {.max_restarts = 1}});
  ObjectRef ref = actor.Call(kInfo, &Fragile::Run, 1);
  during = [&](int run) {
    actor.Kill(/*no_restart=*/false);
    EXPECT_EQ(ref.ready(), run == 2);
  };
  EXPECT_HAS(MessageOf(ref), "was killed");
  EXPECT_EQ(Fragile::runs, 2);
}

TEST_F(ActorRetry, AKillForGoodFailsAtOnceWhatRunsAndWhatWouldBeTriedAgain) {
  auto actor = Make(Retries(-1));
  ObjectRef ref = actor.Call(kInfo, &Fragile::Run, 1);
  ObjectRef queued = actor.Call(&Fragile::Note, 2);
  during = [&](int) {
    actor.Kill(/*no_restart=*/false);
    actor.Kill(/*no_restart=*/false);
    EXPECT_FALSE(ref.ready() || queued.ready());
    actor.Kill(/*no_restart=*/true);
    EXPECT_TRUE(ref.ready() && queued.ready());
  };
  executor.RunUntilIdle();
  EXPECT_HAS(MessageOf(ref), "was killed");
  EXPECT_HAS(MessageOf(queued), "was killed");
  EXPECT_EQ(Fragile::runs, 1);
  EXPECT_EQ(world.actors.size(), 0u);
}

TEST_F(ActorRetry, ItWaitsForTheBackoffAndItsDeadlineCountsFromSubmission) {
  ActorOptions options = Retries(-1);
  options.restart.backoff = seconds(10);
  auto actor = Make(options);
  const auto submit = [&](seconds deadline) {
    task::CallPtr call = MakeMethodCall<Fragile>(*actor.cell(), kInfo, &Fragile::Run, 1);
    world.tasks.Apply({.deadline = deadline}, *call);
    return actor.cell()->Submit(std::move(call));
  };
  during = [&](int run) {
    clock.Advance(seconds(3));
    if (run % 2 == 1) actor.Kill(/*no_restart=*/false);
  };
  ObjectRef in_time = submit(seconds(17));
  executor.RunUntilIdle();
  clock.Advance(seconds(9));
  executor.RunUntilIdle();
  EXPECT_EQ(Fragile::runs, 1) << "it did not wait for the backoff";
  clock.Advance(seconds(1));
  executor.RunUntilIdle();
  EXPECT_EQ(*in_time.Get<int>(), 21);

  ObjectRef late = submit(seconds(17));
  executor.RunUntilIdle();
  clock.Advance(seconds(14));  // of the 20 that it waits now
  EXPECT_EQ(late.Wait().code(), absl::StatusCode::kDeadlineExceeded);
  clock.Advance(seconds(6));
  executor.RunUntilIdle();
  EXPECT_EQ(Fragile::runs, 3) << "it ran though its deadline had passed";
  EXPECT_EQ(actor.cell()->queued(), 0u);
}

TEST_F(ActorRetry, ACancelledCallIsNotTriedAgain) {
  ActorOptions options = Retries(-1);
  options.restart.backoff = seconds(1);
  auto actor = Make(options);
  auto text = world.store->Put(std::string("held"));
  for (const bool while_it_runs : {true, false}) {
    during = nullptr;
    clock.Advance(seconds(100));
    executor.RunUntilIdle();
    Fragile::runs = 0;
    ObjectRef ref = actor.Call(kInfo, &Fragile::Eat, "a", "b", "c", *text);
    during = [&](int) {
      actor.Kill(/*no_restart=*/false);
      if (while_it_runs) {
        EXPECT_TRUE(world.tasks.Cancel(ref).ok());
      }
    };
    executor.RunUntilIdle();
    if (!while_it_runs) {
      EXPECT_TRUE(world.tasks.Cancel(ref).ok());
    }
    EXPECT_EQ(ref.Wait().code(), absl::StatusCode::kCancelled);
    clock.Advance(seconds(100));
    executor.RunUntilIdle();
    EXPECT_EQ(Fragile::runs, 1);
    EXPECT_EQ(text->record()->handles(), 1u) << "its arguments are still there";
    EXPECT_EQ(actor.cell()->queued(), 0u);
  }
}

TEST_F(ActorRetry, AShutdownFailsWhatWaitsToBeTriedAgain) {
  ActorOptions options = Retries(-1);
  options.restart.backoff = seconds(1);
  auto actor = Make(options);
  ObjectRef ref = actor.Call(kInfo, &Fragile::Run, 1);
  during = [&](int) { actor.Kill(/*no_restart=*/false); };
  executor.RunUntilIdle();
  EXPECT_FALSE(ref.ready());
  world.actors.Shutdown(core::Time::min());
  EXPECT_HAS(MessageOf(ref), "shut down");
  executor.RunUntilIdle();
  EXPECT_EQ(Fragile::runs, 1);
}

TEST_F(ActorRetry, AnExecutorThatStopsFailsWhatRunsInVain) {
  auto actor = Make(Retries(-1));
  ObjectRef ref = actor.Call(kInfo, &Fragile::Run, 1);
  during = [&](int) {
    actor.Kill(/*no_restart=*/false);
    executor.Stop();
  };
  ASSERT_TRUE(executor.Step());
  ASSERT_TRUE(ref.ready()) << "it was lost";
  EXPECT_EQ(core::KindOf(ref.Wait()), core::ErrorKind::kActor);
  EXPECT_EQ(world.actors.size(), 0u);
}

TEST_F(ActorRetry, ArgumentsAreForEachTryAsTheyWereGiven) {
  auto actor = Make(Retries(2));
  during = [&](int run) {
    if (run < 3) actor.Kill(/*no_restart=*/false);
  };
  EXPECT_EQ(*actor.Call(kInfo, &Fragile::Eat, "va", "mo", "ch", "re").Get<std::string>(), "vamochre");
  EXPECT_EQ(Fragile::runs, 3);
  Fragile::runs = 0;
  // The only refs there are.
  EXPECT_EQ(*actor
                 .Call(kInfo, &Fragile::Eat, *world.store->Put(std::string("1")), *world.store->Put(std::string("2")),
                       *world.store->Put(std::string("3")), *world.store->Put(std::string("4")))
                 .Get<std::string>(),
            "1234");
  EXPECT_EQ(Fragile::runs, 3);
}

TEST_F(ActorRetry, TheLastTryGetsTheArgumentItself) {
  for (const int retries : {0, 1}) {
    auto counts = *world.actors.Spawn(Retries(retries), &Counts::Create);
    Fragile::runs = 0;
    during = [&](int run) {
      if (run <= retries) counts.Kill(/*no_restart=*/false);
    };
    Copied::copies = 0;
    EXPECT_EQ(*counts.Call(&Counts::Take, Copied()).Get<int>(), retries) << "copies for the tries before the last";
  }
}

TEST_F(ActorRetry, ArgumentsThatCannotBeKeptAreNamed) {
  auto actor = Make(Retries(1));
  const absl::Status status = actor.Call(kInfo, &Fragile::TakeUnique, std::make_unique<int>(5)).Wait();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_HAS(std::string(status.message()), "argument 1 is a std::unique_ptr<int");
  EXPECT_HAS(std::string(status.message()),
             "which cannot be copied, so it would not be there for a retry: take it by const reference, or allow no "
             "retries (max_task_retries)");
  during = [&](int run) {
    if (run == 1) actor.Kill(/*no_restart=*/false);
  };
  EXPECT_EQ(*actor.Call(kInfo, &Fragile::ReadUnique, std::make_unique<int>(5)).Get<int>(), 5);
  EXPECT_EQ(*Make(Retries(0)).Call(kInfo, &Fragile::TakeUnique, std::make_unique<int>(5)).Get<int>(), 5);
}

TEST_F(ActorRetry, WhatAVoidRunSubmittedIsCancelledAndWhatTheNextSubmitsIsNot) {
  auto actor = Make(Retries(1));
  std::vector<ObjectRef> children;
  during = [&](int run) {
    children.push_back(world.tasks.Run(kInfo, [run] { return run; }));
    if (run > 1) return;
    actor.Kill(/*no_restart=*/false);
    EXPECT_EQ(children[0].Wait().code(), absl::StatusCode::kUnavailable) << "a wait for it would hold up the restart";
    children.push_back(world.tasks.Run(kInfo, [run] { return run; }));
    EXPECT_EQ(children[1].Wait().code(), absl::StatusCode::kCancelled);
  };
  EXPECT_EQ(*actor.Call(kInfo, &Fragile::Run, 1).Get<int>(), 21);
  ASSERT_EQ(children.size(), 3u);
  EXPECT_EQ(*children[2].Get<int>(), 2);
}

TEST_F(ActorRetry, PlainMessagesAreTriedAgainToo) {
  struct Ping {};
  struct Pinged {
    static Pinged* Create() { return new Pinged; }
    void OnMessage(Message& message, ActorContext& context) {
      if (message.As<Ping>() == nullptr) return;
      if (context.Restarts() == 0) context.Self().Kill(/*no_restart=*/false);
      message.Reply(context.Restarts());
    }
  };
  auto pinged = world.actors.Spawn(Retries(1), &Pinged::Create);
  EXPECT_EQ(*pinged->Ask<int>(Ping()).Get<int>(), 1);
}

TEST_F(ActorRetry, FewerThanMinusOneIsNamed) {
  EXPECT_EQ(world.actors.Spawn(Retries(-2), &Fragile::Create).status().message(),
            "ActorOptions::max_task_retries must be -1 or more, but it is -2");
}

}  // namespace
}  // namespace rustyray::actor
