#include "actor/actor_system.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/actor_context.h"
#include "actor/actor_fixture.h"
#include "actor/message.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/object_ref.h"
#include "core/parker.h"
#include "core/testing/seeds.h"
#include "core/thread_pool.h"
#include "gtest/gtest.h"
#include "task/task_system.h"

namespace rustyray::actor {
namespace {

struct Counter {
  static int alive;
  explicit Counter(int from) : value(from) { ++alive; }
  ~Counter() { --alive; }
  static Counter* Create(int from) { return new Counter(from); }
  static Counter* Null() { return nullptr; }
  static Counter* Throw() { throw std::runtime_error("no counters today"); }

  int Add(int by) { return value += by; }
  int Value() const { return value; }
  void Fail() { throw std::logic_error("bad counter"); }
  std::string Echo(const std::string& text) { return text; }
  int value;
};
int Counter::alive = 0;

TEST_F(ActorTest, CallsRunInOrderAndChangeTheState) {
  auto counter = world.actors.Spawn(ActorOptions(), &Counter::Create, 10);
  ASSERT_TRUE(counter.ok()) << counter.status();
  core::ObjectRef first = counter->Call(&Counter::Add, 1);
  core::ObjectRef second = counter->Call(&Counter::Add, first);
  EXPECT_EQ(*second.Get<int>(), 22);
  EXPECT_EQ(*first.Get<int>(), 11);
  EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 22);
  EXPECT_EQ(*counter->Call(&Counter::Echo, "hi").Get<std::string>(), "hi");
}

TEST_F(ActorTest, AMethodThatThrowsIsThatCallsErrorAndTheActorLivesOn) {
  auto counter = world.actors.Spawn(ActorOptions(), &Counter::Create, 1);
  const absl::Status failed = counter->Call(&Counter::Fail).Wait();
  EXPECT_EQ(core::KindOf(failed), core::ErrorKind::kTask);
  EXPECT_NE(failed.message().find("std::logic_error: bad counter"), absl::string_view::npos) << failed;
  EXPECT_EQ(*counter->Call(&Counter::Add, 1).Get<int>(), 2);
}

TEST_F(ActorTest, AFactoryThatThrowsOrGivesNullIsTheErrorOfTheCalls) {
  auto thrown = world.actors.Spawn(ActorOptions(), &Counter::Throw);
  absl::Status status = thrown->Call(&Counter::Value).Wait();
  EXPECT_EQ(core::KindOf(status), core::ErrorKind::kActor);
  EXPECT_NE(status.message().find("no counters today"), absl::string_view::npos) << status;
  status = thrown->Call(&Counter::Value).Wait();
  EXPECT_NE(status.message().find("never came to life"), absl::string_view::npos) << status;
  auto null = world.actors.Spawn(ActorOptions(), &Counter::Null);
  status = null->Call(&Counter::Value).Wait();
  EXPECT_NE(status.message().find("its factory returned null"), absl::string_view::npos) << status;
}

TEST_F(ActorTest, AFactorysArgumentMayBeARefAndItsErrorIsTheActors) {
  const core::FunctionInfo info{"Seven"};
  auto counter = world.actors.Spawn(ActorOptions(), &Counter::Create, world.tasks.Run(info, [] { return 7; }));
  EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 7);
  auto failed = world.actors.Spawn(ActorOptions(), &Counter::Create,
                                   world.tasks.Run(info, []() -> int { throw std::runtime_error("no seven"); }));
  const absl::Status status = failed->Call(&Counter::Value).Wait();
  EXPECT_EQ(core::KindOf(status), core::ErrorKind::kActor);
  EXPECT_NE(status.message().find("no seven"), absl::string_view::npos) << status;
}

TEST_F(ActorTest, ItEndsWhenTheLastHandleGoesAndTheMailboxIsEmpty) {
  core::ObjectRef last;
  {
    auto counter = world.actors.Spawn(ActorOptions(), &Counter::Create, 1);
    EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 1);
    last = counter->Call(&Counter::Add, 4);
    EXPECT_EQ(Counter::alive, 1);
  }
  executor.RunUntilIdle();
  EXPECT_EQ(*last.Get<int>(), 5);
  EXPECT_EQ(Counter::alive, 0);
  EXPECT_EQ(world.actors.size(), 0u);
}

TEST_F(ActorTest, KillFailsWhatIsQueuedAtOnceAndLaterCalls) {
  auto counter = world.actors.Spawn(ActorOptions{.name = "c"}, &Counter::Create, 1);
  counter->Call(&Counter::Value).Wait().IgnoreError();
  core::ObjectRef queued = counter->Call(&Counter::Add, 1);
  counter->Kill();
  EXPECT_TRUE(queued.ready()) << "the call waits for the executor";
  EXPECT_NE(queued.Wait().message().find("was killed"), absl::string_view::npos) << queued.Wait();
  EXPECT_NE(counter->Call(&Counter::Value).Wait().message().find("actor 'c'"), absl::string_view::npos);
  EXPECT_FALSE(world.actors.GetByName("c")) << "its name is still taken";
  executor.RunUntilIdle();
  EXPECT_EQ(Counter::alive, 0);
}

TEST_F(ActorTest, KillWithRestartsRunsTheFactoryAgain) {
  auto counter = world.actors.Spawn(ActorOptions{.name = "c", .restart = {.max_restarts = 1}}, &Counter::Create, 5);
  EXPECT_EQ(*counter->Call(&Counter::Add, 1).Get<int>(), 6);
  counter->Kill(/*no_restart=*/false);
  EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 5) << "the state is the old instance's";
  EXPECT_EQ(counter->cell()->restarts(), 1);
  EXPECT_TRUE(world.actors.GetByName("c"));
  counter->Kill(/*no_restart=*/false);
  EXPECT_EQ(core::KindOf(counter->Call(&Counter::Value).Wait()), core::ErrorKind::kActor);
}

TEST_F(ActorTest, RestartsWaitForTheirBackoff) {
  using std::chrono::seconds;
  auto counter = world.actors.Spawn(
      ActorOptions{.restart = {.max_restarts = -1, .backoff = seconds(1), .max_backoff = seconds(3)}}, &Counter::Create,
      5);
  EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 5);
  for (const seconds wait : {seconds(1), seconds(2), seconds(3), seconds(3)}) {
    counter->Kill(/*no_restart=*/false);
    executor.RunUntilIdle();
    core::ObjectRef value = counter->Call(&Counter::Value);
    clock.Advance(wait - std::chrono::milliseconds(1));
    executor.RunUntilIdle();
    EXPECT_FALSE(value.ready()) << "it restarted too early";
    clock.Advance(std::chrono::milliseconds(1));
    executor.RunUntilIdle();
    EXPECT_EQ(*value.Get<int>(), 5);
  }
}

TEST_F(ActorTest, AtMostSoManyRestartsInAWindow) {
  auto counter = world.actors.Spawn(
      ActorOptions{.restart = {.max_restarts = -1, .max_in_window = 2, .window = std::chrono::seconds(10)}},
      &Counter::Create, 5);
  for (int i = 0; i < 4; ++i) {
    clock.Advance(std::chrono::seconds(6));
    counter->Kill(/*no_restart=*/false);
    EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 5);
  }
  counter->Kill(/*no_restart=*/false);
  EXPECT_EQ(core::KindOf(counter->Call(&Counter::Value).Wait()), core::ErrorKind::kActor);
}

TEST_F(ActorTest, ARestartOneWindowAgoStillCounts) {
  for (const bool later : {false, true}) {
    auto counter = world.actors.Spawn(
        ActorOptions{.restart = {.max_restarts = -1, .max_in_window = 1, .window = std::chrono::seconds(10)}},
        &Counter::Create, 5);
    counter->Kill(/*no_restart=*/false);
    EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 5);
    clock.Advance(std::chrono::seconds(10) + std::chrono::milliseconds(later ? 1 : 0));
    counter->Kill(/*no_restart=*/false);
    EXPECT_EQ(counter->Call(&Counter::Value).Wait().ok(), later);
  }
}

TEST_F(ActorTest, ATurnLetsOthersHaveTheThreadAfterAWhile) {
  auto counter = world.actors.Spawn(ActorOptions(), &Counter::Create, 0);
  EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 0);
  executor.RunUntilIdle();
  std::vector<core::ObjectRef> calls;
  for (int i = 0; i < 100; ++i) calls.push_back(counter->Call(&Counter::Add, 1));
  ASSERT_EQ(executor.queued(), 1u);
  ASSERT_TRUE(executor.Step());
  EXPECT_TRUE(calls[0].ready());
  EXPECT_FALSE(calls[99].ready()) << "nobody else gets the thread before all is done";
  EXPECT_EQ(executor.queued(), 1u) << "the rest has no turn";
  executor.RunUntilIdle();
  EXPECT_EQ(*calls[99].Get<int>(), 100);
}

TEST_F(ActorTest, ErrorsThatTheOptionsNameRestartIt) {
  ActorOptions options;
  options.restart.max_restarts = 1;
  options.restart.restart_on = [](const core::Error& error) {
    return error.message().find("bad counter") != std::string::npos;
  };
  auto counter = world.actors.Spawn(options, &Counter::Create, 5);
  EXPECT_EQ(*counter->Call(&Counter::Add, 1).Get<int>(), 6);
  EXPECT_FALSE(counter->Call(&Counter::Fail).Wait().ok());
  EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 5);
}

struct Hooks {
  static std::vector<std::string> log;
  bool fail = false;
  static Hooks* Create(bool fail) { return new Hooks{fail}; }
  absl::Status OnStart(ActorContext& context) {
    log.push_back("start " + context.Name());
    return fail ? absl::InternalError("cannot start") : absl::OkStatus();
  }
  void OnStop(ActorContext&) { log.push_back("stop"); }
  ~Hooks() { log.push_back("gone"); }
  void Nothing() {}
  void Leave() { ActorContext::Current()->Exit(); }
};
std::vector<std::string> Hooks::log;

TEST_F(ActorTest, OnStartAndOnStopRunAroundItsLife) {
  Hooks::log.clear();
  {
    auto hooks = world.actors.Spawn(ActorOptions{.name = "h"}, &Hooks::Create, false);
    EXPECT_TRUE(hooks->Call(&Hooks::Nothing).Wait().ok());
    hooks->Stop();
    executor.RunUntilIdle();
  }
  EXPECT_EQ(Hooks::log, (std::vector<std::string>{"start h", "stop", "gone"}));
}

TEST_F(ActorTest, AnOnStartThatFailsIsTheEndOfTheActor) {
  Hooks::log.clear();
  auto hooks = world.actors.Spawn(ActorOptions(), &Hooks::Create, true);
  const absl::Status status = hooks->Call(&Hooks::Nothing).Wait();
  EXPECT_NE(status.message().find("cannot start"), absl::string_view::npos) << status;
  EXPECT_EQ(Hooks::log, (std::vector<std::string>{"start ", "gone"}));
}

TEST_F(ActorTest, AnActorMayLeaveByItself) {
  auto hooks = world.actors.Spawn(ActorOptions(), &Hooks::Create, false);
  EXPECT_TRUE(hooks->Call(&Hooks::Leave).Wait().ok());
  const absl::Status status = hooks->Call(&Hooks::Nothing).Wait();
  EXPECT_NE(status.message().find("exited"), absl::string_view::npos) << status;
}

struct Ping {
  int by;
};
struct Unknown {};
struct Talker {
  static Talker* Create() { return new Talker; }
  void OnMessage(Message& message, ActorContext&) {
    if (const auto* ping = message.As<Ping>()) message.Reply(total += ping->by);
  }
  int total = 0;
};

TEST_F(ActorTest, PlainMessagesAreHandledAndAnswered) {
  auto talker = world.actors.Spawn(ActorOptions(), &Talker::Create);
  talker->Send(Ping{1});
  EXPECT_EQ(*talker->Ask<int>(Ping{2}).Get<int>(), 3);
  EXPECT_NE(talker->Ask<int>(Unknown()).Wait().message().find("does not handle messages of type rustyray::actor::"),
            absl::string_view::npos)
      << talker->Ask<int>(Unknown()).Wait();
  EXPECT_NE(talker->Ask<std::string>(Ping{2}).Wait().message().find("the reply is a int, but a std::string was asked"),
            absl::string_view::npos);
  auto counter = world.actors.Spawn(ActorOptions(), &Counter::Create, 1);
  EXPECT_NE(counter->Ask<int>(Ping{2}).Wait().message().find("declares no OnMessage"), absl::string_view::npos);
}

TEST_F(ActorTest, OptionsOutOfRangeAndTakenNamesAreNamed) {
  EXPECT_EQ(world.actors.Spawn(ActorOptions{.mailbox_capacity = 0}, &Counter::Create, 1).status().message(),
            "ActorOptions::mailbox_capacity must be 1 or more: a mailbox of size 0 takes no call");
  EXPECT_EQ(world.actors.Spawn(ActorOptions{.max_concurrency = 0}, &Counter::Create, 1).status().message(),
            "ActorOptions::max_concurrency must be 1 or more, but it is 0");
  const auto with = [&](RestartPolicy policy) {
    return std::string(
        world.actors.Spawn(ActorOptions{.restart = std::move(policy)}, &Counter::Create, 1).status().message());
  };
  EXPECT_EQ(with({.max_restarts = -2}), "ActorOptions::restart.max_restarts must be -1 or more, but it is -2");
  EXPECT_EQ(with({.max_in_window = -1}), "ActorOptions::restart.max_in_window must be 0 or more, but it is -1");
  EXPECT_EQ(with({.window = -std::chrono::seconds(1)}),
            "ActorOptions::restart.window must not be negative, but it is -1000 ms");
  EXPECT_EQ(with({.backoff = -std::chrono::milliseconds(5)}),
            "ActorOptions::restart.backoff must not be negative, but it is -5 ms");
  EXPECT_EQ(with({.max_backoff = -std::chrono::milliseconds(1500)}),
            "ActorOptions::restart.max_backoff must not be negative, but it is -1500 ms");
  auto first = world.actors.Spawn(ActorOptions{.name = "n", .name_space = "s"}, &Counter::Create, 1);
  EXPECT_EQ(world.actors.Spawn(ActorOptions{.name = "n", .name_space = "s"}, &Counter::Create, 1).status().message(),
            "there is an actor named 'n' in namespace 's'");
  EXPECT_TRUE(world.actors.Spawn(ActorOptions{.name = "n"}, &Counter::Create, 1).ok());
  EXPECT_FALSE(world.actors.GetByName("other"));
}

TEST_F(ActorTest, AFullMailboxRejectsOrBlocks) {
  executor.set_allow_inline(false);
  auto rejects = world.actors.Spawn(ActorOptions{.mailbox_capacity = 2, .mailbox_full = MailboxFull::kReject},
                                    &Counter::Create, 0);
  core::ObjectRef one = rejects->Call(&Counter::Add, 1);
  core::ObjectRef two = rejects->Call(&Counter::Add, 1);
  core::ObjectRef three = rejects->Call(&Counter::Add, 1);
  ASSERT_TRUE(three.ready());
  EXPECT_EQ(three.Wait().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_NE(three.Wait().message().find("is full: it holds 2 calls"), absl::string_view::npos) << three.Wait();
  EXPECT_EQ(*two.Get<int>(), 2);
  auto blocks = world.actors.Spawn(ActorOptions{.mailbox_capacity = 1}, &Counter::Create, 0);
  for (int i = 0; i < 10; ++i) one = blocks->Call(&Counter::Add, 1);  // waits by running what is queued
  EXPECT_EQ(*one.Get<int>(), 10);
}

TEST_F(ActorTest, ACallWithUnreadyRefsHoldsBackItsCallersLaterOnesOnly) {
  auto counter = world.actors.Spawn(ActorOptions(), &Counter::Create, 0);
  counter->Call(&Counter::Value).Wait().IgnoreError();
  const core::FunctionInfo info{"Late"};
  core::ObjectRef late = world.tasks.Run(info, [] { return 100; });  // lies in the executor's queue
  core::ObjectRef first = counter->Call(&Counter::Add, late);
  core::ObjectRef second = counter->Call(&Counter::Add, 1);
  // Another caller: a task.
  core::ObjectRef other = world.tasks.Run(info, [&] { return *counter->Call(&Counter::Add, 10).Get<int>(); });
  ASSERT_TRUE(executor.Step(1));  // the task of the other caller
  EXPECT_EQ(*other.Get<int>(), 10);
  EXPECT_FALSE(second.ready());
  executor.RunUntilIdle();
  EXPECT_EQ(*first.Get<int>(), 110);
  EXPECT_EQ(*second.Get<int>(), 111);
}

TEST_F(ActorTest, AHeldCallThatFailsLetsTheNextOnesGoOn) {
  auto counter = world.actors.Spawn(ActorOptions(), &Counter::Create, 0);
  const core::FunctionInfo info{"Late"};
  core::ObjectRef late = world.tasks.Run(info, []() -> int { throw std::runtime_error("never"); });
  core::ObjectRef first = counter->Call(&Counter::Add, late);
  core::ObjectRef second = counter->Call(&Counter::Add, 1);
  executor.RunUntilIdle();
  EXPECT_FALSE(first.Wait().ok());
  EXPECT_EQ(*second.Get<int>(), 1);
  EXPECT_EQ(counter->cell()->queued(), 0u);
}

TEST_F(ActorTest, ItEndsWhenItsLastHeldCallIsCancelledAfterTheLastHandleWent) {
  const core::FunctionInfo info{"Late"};
  for (const std::size_t capacity : {std::size_t{4}, kUnboundedMailbox}) {
    for (const bool cancelled : {false, true}) {
      auto counter = world.actors.Spawn(ActorOptions{.mailbox_capacity = capacity}, &Counter::Create, 0);
      EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 0);
      core::ObjectRef late = world.tasks.Run(info, [] { return 7; });
      core::ObjectRef held = counter->Call(&Counter::Add, late);
      counter = absl::UnknownError("no handle");
      ASSERT_TRUE(executor.Step(1));  // a turn, behind the late task
      EXPECT_EQ(world.actors.size(), 1u) << "a call is left";
      if (cancelled) {
        EXPECT_TRUE(world.tasks.Cancel(held).ok());
      } else {
        EXPECT_EQ(*held.Get<int>(), 7);
      }
      executor.RunUntilIdle();
      EXPECT_EQ(world.actors.size(), 0u) << cancelled;
      EXPECT_EQ(Counter::alive, 0);
    }
  }
}

TEST_F(ActorTest, AHandleToItselfRevivesAnActorThatHasNoneLeft) {
  struct Keeper {
    static Keeper* Create() { return new Keeper; }
    AnyActorRef Self() { return ActorContext::Current()->Self(); }
    int One() { return 1; }
  };
  auto keeper = world.actors.Spawn(ActorOptions(), &Keeper::Create);
  core::ObjectRef self = keeper->Call(&Keeper::Self);
  keeper = absl::UnknownError("no handle");
  {
    absl::StatusOr<AnyActorRef> again = self.Get<AnyActorRef>();
    self = core::ObjectRef();
    executor.RunUntilIdle();
    ASSERT_TRUE(again.ok()) << again.status();
    EXPECT_EQ(*ActorRef<Keeper>(*again).Call(&Keeper::One).Get<int>(), 1);
  }
  executor.RunUntilIdle();
  EXPECT_EQ(world.actors.size(), 0u);
}

// An argument whose destructor calls the actor and waits.
struct CallsWhenDropped {
  explicit CallsWhenDropped(std::function<void()> call) : call(std::move(call)) {}
  CallsWhenDropped(CallsWhenDropped&& other) noexcept : call(std::exchange(other.call, nullptr)) {}
  ~CallsWhenDropped() {
    if (call != nullptr) call();
  }
  std::function<void()> call;
};

struct Takes {
  static Takes* Create() { return new Takes; }
  int Take(CallsWhenDropped, int) { return 0; }
  int Five() { return 5; }
};

TEST_F(ActorTest, WhatAKillDropsMayWaitForTheNextInstance) {
  for (const std::size_t capacity : {std::size_t{4}, kUnboundedMailbox}) {
    auto takes =
        world.actors.Spawn(ActorOptions{.mailbox_capacity = capacity, .restart = {.max_restarts = 1}}, &Takes::Create);
    executor.RunUntilIdle();
    const core::FunctionInfo info{"Late"};
    core::ObjectRef late = world.tasks.Run(info, [] { return 7; });
    int five = 0;
    // By another caller: one of this thread's would be held back behind the call that is dropped.
    const auto call = [&five, &info, this, actor = *takes] {
      const core::ObjectRef of_a_task =
          world.tasks.Run(info, [&] { return actor.Call(&Takes::Five).Get<int>().value_or(-1); });
      five = *of_a_task.Get<int>();
    };
    core::ObjectRef held = takes->Call(&Takes::Take, CallsWhenDropped(call), late);
    takes->Kill(/*no_restart=*/false);
    EXPECT_EQ(five, 5);
    EXPECT_FALSE(held.Wait().ok());
  }
}

TEST_F(ActorTest, WhatItsOptionsHoldGoesWithTheActorAlsoWhenAThreadKeepsRefs) {
  const auto token = std::make_shared<int>(0);
  auto counter = world.actors.Spawn(
      ActorOptions{.restart = {.max_restarts = 1, .restart_on = [token](const core::Error&) { return *token > 0; }}},
      &Counter::Create, 5);
  std::atomic<bool> called{false}, done{false};
  std::thread keeps([&] {
    for (int i = 0; i < 10; ++i) EXPECT_TRUE(counter->Call(&Counter::Value).Wait().ok());
    called.store(true);
    while (!done.load()) std::this_thread::yield();
  });
  while (!called.load()) std::this_thread::yield();
  EXPECT_GT(token.use_count(), 1);
  counter = absl::UnknownError("no handle");
  executor.RunUntilIdle();
  EXPECT_EQ(token.use_count(), 1);
  done.store(true);
  keeps.join();
}

struct Selfish {
  static Selfish* Create() { return new Selfish; }
  int CallSelf() {
    absl::StatusOr<int> result = self.Call(&Selfish::Plain).Get<int>();
    if (!result.ok()) throw std::runtime_error(std::string(result.status().message()));
    return *result;
  }
  int CallOther(int depth) {
    if (depth == 0) return 0;
    absl::StatusOr<int> result = other.Call(&Selfish::CallOther, depth - 1).Get<int>();
    if (!result.ok()) throw std::runtime_error(std::string(result.status().message()));
    return *result;
  }
  int Plain() { return 1; }
  void Meet(ActorRef<Selfish> me, ActorRef<Selfish> them) {
    self = std::move(me);
    other = std::move(them);
  }
  ActorRef<Selfish> self, other;
};

TEST_F(ActorTest, AnActorThatWaitsForItselfGetsAnErrorAndHangsNothing) {
  auto selfish = world.actors.Spawn(ActorOptions(), &Selfish::Create);
  selfish->Call(&Selfish::Meet, *selfish, *selfish).Wait().IgnoreError();
  const absl::Status status = selfish->Call(&Selfish::CallSelf).Wait();
  EXPECT_NE(status.message().find("this wait would never end"), absl::string_view::npos) << status;
  selfish->Kill();
}

TEST_F(ActorTest, TwoActorsThatWaitForEachOtherGetAnErrorAndHangNothing) {
  auto a = world.actors.Spawn(ActorOptions(), &Selfish::Create);
  auto b = world.actors.Spawn(ActorOptions(), &Selfish::Create);
  a->Call(&Selfish::Meet, *a, *b).Wait().IgnoreError();
  b->Call(&Selfish::Meet, *b, *a).Wait().IgnoreError();
  EXPECT_EQ(*a->Call(&Selfish::CallOther, 1).Get<int>(), 0);
  const absl::Status status = a->Call(&Selfish::CallOther, 2).Wait();
  EXPECT_NE(status.message().find("this wait would never end"), absl::string_view::npos) << status;
  a->Kill();
  b->Kill();
}

class ActorThreads : public ::testing::Test {
 protected:
  ~ActorThreads() override {
    world.actors.Shutdown(clock->Now() + std::chrono::seconds(10));
    pool->Stop(core::kNever);
  }
  const std::unique_ptr<core::Clock> clock = core::MakeRealClock();
  const std::shared_ptr<core::ThreadPool> pool = core::MakeThreadPool({.places = 4}, *clock);
  World world{*pool, *clock};
};

TEST_F(ActorThreads, ConcurrentCallsOfManyThreadsAreAllCountedOnce) {
  {
    auto counter = world.actors.Spawn(ActorOptions(), &Counter::Create, 0);
    const core::FunctionInfo info{"Caller"};
    std::vector<core::ObjectRef> callers;
    for (int t = 0; t < 8; ++t) {
      callers.push_back(world.tasks.Run(info, [&] {
        int last = 0;
        for (int i = 0; i < 1000; ++i) last = *counter->Call(&Counter::Add, 1).Get<int>();
        return last;
      }));
    }
    for (const core::ObjectRef& caller : callers) EXPECT_TRUE(caller.Wait().ok()) << caller.Wait();
    EXPECT_EQ(*counter->Call(&Counter::Value).Get<int>(), 8000);
  }
}

// The last handle goes while a call runs and another is held back, whose ref becomes ready as the first one ends.
TEST_F(ActorThreads, AnActorEndsWheneverItsLastHeldCallComes) {
  struct Spinner {
    static Spinner* Create() { return new Spinner; }
    static void Spin(int turns) {
      for (int i = 0; i < turns; ++i) core::SpinPause();
    }
    void Work(int turns) { Spin(turns); }
    void After(int) {}
  };
  const core::FunctionInfo info{"Slow"};
  const int rounds = core::Sized(3'000, 200'000);
  for (int round = 0; round < rounds; ++round) {
    auto spinner = world.actors.Spawn(ActorOptions{.mailbox_capacity = kUnboundedMailbox}, &Spinner::Create);
    ASSERT_TRUE(spinner->Call(&Spinner::Work, 0).Wait().ok());
    core::ObjectRef slow = world.tasks.Run(info, [turns = round % 61] { return Spinner::Spin(turns), 1; });
    core::ObjectRef first = spinner->Call(&Spinner::Work, round % 67);
    core::ObjectRef held = spinner->Call(&Spinner::After, slow);
    spinner = absl::UnknownError("no handle");
    const core::Time limit = clock->Now() + std::chrono::seconds(30);
    while (world.actors.size() > 0) {
      ASSERT_LT(clock->Now(), limit) << "round " << round;
      std::this_thread::yield();
    }
  }
}

TEST_F(ActorThreads, MaxConcurrencyLetsThatManyIn) {
  struct Meeting {
    static Meeting* Create() { return new Meeting; }
    int Come() {
      inside.fetch_add(1);
      while (inside.load() < 3) std::this_thread::yield();
      return inside.load();
    }
    std::atomic<int> inside{0};
  };
  {
    auto meeting = world.actors.Spawn(ActorOptions{.max_concurrency = 3}, &Meeting::Create);
    std::vector<core::ObjectRef> guests;
    for (int i = 0; i < 3; ++i) guests.push_back(meeting->Call(&Meeting::Come));
    for (const core::ObjectRef& guest : guests) EXPECT_EQ(*guest.Get<int>(), 3);
  }
}

}  // namespace
}  // namespace rustyray::actor
