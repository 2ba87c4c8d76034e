#include <ray/api.h>

#include <atomic>
#include <stdexcept>
#include <string>
#include <vector>

#include "api/thrown.h"
#include "gtest/gtest.h"
#include "ray/testing.h"

namespace {

using ray::Thrown;

struct Base {
  virtual ~Base() = default;
  virtual std::string Who() { return "base"; }
  int Inherited(int x) { return x + 1; }
};

struct Counter : Base {
  explicit Counter(int from) : value(from) {}
  static Counter* Create(int from) { return ++lives, new Counter(from); }
  static Counter* Fail() { throw std::runtime_error("no counter"); }
  static Counter* Null() { return nullptr; }
  std::string Who() override { return "counter"; }
  int Add(int by) { return value += by; }
  int Add2(int by, const std::string& text) { return value += by + static_cast<int>(text.size()); }
  int Overloaded(int x) { return x; }
  int Overloaded(const std::string& s) { return static_cast<int>(s.size()); }
  int Value() const { return value; }
  int Bad() { throw std::out_of_range("bad call"); }
  bool Restarted() { return ray::WasCurrentActorRestarted(); }
  int Leave() {
    ray::ExitActor();
    return 1;
  }
  int CallItself(ray::ActorHandle<Counter> self) { return *ray::Get(self.Task(&Counter::Add).Remote(1)); }
  ray::ActorHandle<Counter> Pass(ray::ActorHandle<Counter> handle) { return handle; }
  bool UntilKilled() {
    const auto token = ray::CancelToken::Current();
    while (!token.cancelled()) std::this_thread::yield();
    return true;
  }
  // Kills its own actor, but in the last of `tries` instances; what is left of its argument then.
  std::string DieUntil(ray::ActorHandle<Counter> self, int tries, std::string text) {
    std::string taken = std::move(text) + "/" + std::to_string(lives);
    if (lives < tries) self.Kill(false);
    return taken;
  }
  int PutSome(int bytes) {
    kept.push_back(ray::Put(std::string(static_cast<std::size_t>(bytes), 'x')));
    return bytes;
  }
  void Forget() { kept.clear(); }
  int Unregistered() { return 0; }
  static inline std::atomic<int> lives{0};
  std::vector<ray::ObjectRef<std::string>> kept;
  int value;
};
struct Holder {
  static Holder* Create(ray::ActorHandle<Counter> counter) { return new Holder{counter}; }
  int AddToIt(int by) { return *ray::Get(counter.Task(&Counter::Add).Remote(by)); }
  ray::ActorHandle<Counter> counter;
};
int AddTo(ray::ActorHandle<Counter> counter, int by) { return *ray::Get(counter.Task(&Counter::Add).Remote(by)); }
int Ten() { return 10; }

RAY_REMOTE(Counter::Create, Counter::Fail, Counter::Null, &Counter::Add, &Counter::Add2, &Counter::Value);
RAY_REMOTE(&Counter::Bad, &Counter::Restarted, &Counter::Leave, &Counter::CallItself, &Counter::Pass,
           &Counter::DieUntil, &Counter::PutSome, &Counter::Forget);
RAY_REMOTE(RAY_FUNC(&Counter::Overloaded, int), RAY_FUNC(&Counter::Overloaded, const std::string&));
RAY_REMOTE(&Base::Who, &Base::Inherited, &Counter::UntilKilled, Holder::Create, &Holder::AddToIt, AddTo, Ten);

using Actors = ray::testing::RayTest;

TEST_F(Actors, MethodsRunInOrderOnOneInstance) {
  auto counter = ray::Actor(Counter::Create).Remote(10);
  auto first = counter.Task(&Counter::Add).Remote(1);
  auto second = counter.Task(&Counter::Add2).Remote(first, "four");
  EXPECT_EQ(*ray::Get(second), 26);
  EXPECT_EQ(*ray::Get(counter.Task(&Counter::Value).Remote()), 26);
}

TEST_F(Actors, FactoriesTakeRefs) {
  auto counter = ray::Actor(Counter::Create).Remote(ray::Task(Ten).Remote());
  EXPECT_EQ(*counter.Task(&Counter::Value).Remote().Get(), 10);
}

TEST_F(Actors, VirtualInheritedAndOverloadedMethods) {
  auto counter = ray::Actor(Counter::Create).Remote(0);
  EXPECT_EQ(*ray::Get(counter.Task(&Base::Who).Remote()), "counter");
  EXPECT_EQ(*ray::Get(counter.Task(&Counter::Inherited).Remote(1)), 2);
  EXPECT_EQ(*ray::Get(counter.Task(RAY_FUNC(&Counter::Overloaded, int)).Remote(7)), 7);
  EXPECT_EQ(*ray::Get(counter.Task(RAY_FUNC(&Counter::Overloaded, const std::string&)).Remote("abc")), 3);
}

TEST_F(Actors, HandlesAreArgumentsResultsAndMembers) {
  auto counter = ray::Actor(Counter::Create).Remote(0);
  EXPECT_EQ(*ray::Get(ray::Task(AddTo).Remote(counter, 5)), 5);
  auto other = ray::Actor(Counter::Create).Remote(0);
  auto back = *ray::Get(other.Task(&Counter::Pass).Remote(counter));
  EXPECT_TRUE(back == counter);
  EXPECT_EQ(back.ID(), counter.ID());
  auto holder = ray::Actor(Holder::Create).Remote(counter);
  EXPECT_EQ(*ray::Get(holder.Task(&Holder::AddToIt).Remote(1)), 6);
}

TEST_F(Actors, WhatTaskReturnsKeepsATemporaryHandleAndNoOther) {
  auto of_a_temporary = ray::Actor(Counter::Create).Remote(5).Task(&Counter::Add);
  for (int i = 6; i < 20; ++i) EXPECT_EQ(*ray::Get(of_a_temporary.Remote(1)), i);
  auto counter = ray::Actor(Counter::Create).Remote(5);
  auto of_a_handle = counter.Task(&Counter::Add);
  const auto moved_on = std::move(of_a_temporary);
  of_a_temporary = of_a_handle;
  EXPECT_EQ(*ray::Get(of_a_temporary.Remote(0)), 5);
  EXPECT_EQ(*ray::Get(of_a_handle.Remote(1)), 6);
  counter = ray::ActorHandle<Counter>();
  // It ends soon.
  const std::string what = Thrown<ray::RayActorException>([&] {
    for (;;) ray::Get(of_a_handle.Remote(1));
  });
  EXPECT_HAS(what, "nobody had a handle to it any more");
}

TEST_F(Actors, AMethodThatThrowsIsATaskExceptionAndTheActorLivesOn) {
  auto counter = ray::Actor(Counter::Create).Remote(1);
  const std::string what = Thrown<ray::RayTaskException>([&] { ray::Get(counter.Task(&Counter::Bad).Remote()); });
  EXPECT_HAS(what, "Counter::Bad failed: std::out_of_range: bad call");
  EXPECT_EQ(*ray::Get(counter.Task(&Counter::Value).Remote()), 1);
}

TEST_F(Actors, AFactoryThatThrowsOrGivesNullIsAnActorExceptionAtTheFirstGet) {
  auto failed = ray::Actor(Counter::Fail).Remote();
  EXPECT_HAS(Thrown<ray::RayActorException>([&] { ray::Get(failed.Task(&Counter::Value).Remote()); }), "no counter");
  auto null = ray::Actor(Counter::Null).Remote();
  EXPECT_HAS(Thrown<ray::RayActorException>([&] { ray::Get(null.Task(&Counter::Value).Remote()); }),
             "its factory returned null");
}

TEST_F(Actors, NamesAreFoundInTheirNamespaceAndGoWithTheActor) {
  auto counter = ray::Actor(Counter::Create).SetName("c").Remote(3);
  boost::optional<ray::ActorHandle<Counter>> found = ray::GetActor<Counter>("c");
  ASSERT_TRUE(found);
  EXPECT_EQ(*ray::Get(found->Task(&Counter::Value).Remote()), 3);
  EXPECT_TRUE(ray::GetActor<Counter>("c", ray::GetNamespace()));
  EXPECT_FALSE(ray::GetActor<Counter>("c", "other"));
  EXPECT_FALSE(ray::GetActor<Counter>("d"));
  EXPECT_HAS(Thrown<ray::RayException>([] { ray::Actor(Counter::Create).SetName("c").Remote(3); }),
             "there is an actor named 'c'");
  counter.Kill();
  EXPECT_FALSE(ray::GetActor<Counter>("c"));
}

TEST_F(Actors, KillWithoutRestartFailsWhatRunsAndLaterCalls) {
  auto counter = ray::Actor(Counter::Create).Remote(0);
  auto running = counter.Task(&Counter::UntilKilled).Remote();
  auto queued = counter.Task(&Counter::Value).Remote();
  counter.Kill();
  EXPECT_HAS(Thrown<ray::RayActorException>([&] { ray::Get(running); }), "was killed");
  EXPECT_HAS(Thrown<ray::RayActorException>([&] { ray::Get(queued); }), "was killed");
  EXPECT_HAS(Thrown<ray::RayActorException>([&] { ray::Get(counter.Task(&Counter::Value).Remote()); }), "was killed");
}

TEST_F(Actors, KillWithRestartsLeftRunsTheFactoryAgain) {
  auto counter = ray::Actor(Counter::Create).SetMaxRestarts(1).Remote(5);
  EXPECT_EQ(*ray::Get(counter.Task(&Counter::Add).Remote(1)), 6);
  EXPECT_FALSE(*ray::Get(counter.Task(&Counter::Restarted).Remote()));
  counter.Kill(false);
  EXPECT_EQ(*ray::Get(counter.Task(&Counter::Value).Remote()), 5);
  EXPECT_TRUE(*ray::Get(counter.Task(&Counter::Restarted).Remote()));
}

TEST_F(Actors, ACallWhoseActorRestartsUnderItIsTriedAgainAsOftenAsAllowed) {
  Counter::lives = 0;
  auto counter = ray::Actor(Counter::Create).SetMaxRestarts(-1).SetMaxTaskRetries(2).Remote(5);
  EXPECT_EQ(*ray::Get(counter.Task(&Counter::DieUntil).Remote(counter, 3, "text")), "text/3");
  auto dies = counter.Task(&Counter::DieUntil).Remote(counter, 100, "text");
  EXPECT_HAS(Thrown<ray::RayActorException>([&] { ray::Get(dies); }), "was killed, and restarts");
  EXPECT_EQ(*ray::Get(counter.Task(&Counter::Value).Remote()), 5);
  EXPECT_EQ(Counter::lives, 6);
}

TEST_F(Actors, WhatAnActorMakesCountsTowardItsQuota) {
  auto counter = ray::Actor(Counter::Create).SetName("poor").SetQuota(2000).Remote(0);
  EXPECT_EQ(*ray::Get(counter.Task(&Counter::PutSome).Remote(1000)), 1000);
  const std::string what =
      Thrown<ray::RayTaskException>([&] { ray::Get(counter.Task(&Counter::PutSome).Remote(1500)); });
  EXPECT_HAS(what, "actor 'poor' (");
  EXPECT_HAS(what, "is over its quota: a value of 15");
  const auto drivers = ray::Put(std::string(5000, 'x'));
  ray::Get(counter.Task(&Counter::Forget).Remote());
  EXPECT_EQ(*ray::Get(counter.Task(&Counter::PutSome).Remote(1500)), 1500);
  ray::Get(counter.Task(&Counter::Forget).Remote());
}

TEST_F(Actors, ExitActorLeavesTheMethodAndEndsTheActor) {
  auto counter = ray::Actor(Counter::Create).Remote(0);
  EXPECT_HAS(Thrown<ray::RayActorException>([&] { ray::Get(counter.Task(&Counter::Leave).Remote()); }), "exited");
  EXPECT_HAS(Thrown<ray::RayActorException>([&] { ray::Get(counter.Task(&Counter::Value).Remote()); }), "exited");
  EXPECT_EQ(Thrown<ray::RayException>([] { ray::ExitActor(); }), "ray::ExitActor was called outside of actors");
}

TEST_F(Actors, AnActorThatCallsItselfAndWaitsGetsAnErrorAndHangsNothing) {
  auto counter = ray::Actor(Counter::Create).Remote(0);
  EXPECT_HAS(Thrown<ray::RayTaskException>([&] { ray::Get(counter.Task(&Counter::CallItself).Remote(counter)); }),
             "this wait would never end");
}

TEST_F(Actors, AMailboxOfSizeZeroAndBadOptionsAreNamed) {
  EXPECT_HAS(Thrown<ray::RayException>([] { ray::Actor(Counter::Create).SetMailbox(0).Remote(0); }),
             "a mailbox of size 0 takes no call");
  EXPECT_HAS(Thrown<ray::RayException>([] { ray::Actor(Counter::Create).SetMaxConcurrency(0).Remote(0); }),
             "max_concurrency must be 1 or more, but it is 0");
  EXPECT_HAS(Thrown<ray::RayException>([] { ray::Actor(Counter::Create).SetMaxTaskRetries(-2).Remote(0); }),
             "max_task_retries must be -1 or more, but it is -2");
}

TEST_F(Actors, AFullMailboxRejectsWhenAskedTo) {
  auto counter = ray::Actor(Counter::Create).SetMailbox(1, /*reject=*/true).Remote(0);
  auto running = counter.Task(&Counter::UntilKilled).Remote();
  std::string what;
  for (int i = 0; i < 3; ++i) {
    auto ref = counter.Task(&Counter::Value).Remote();
    if (ref.ID().empty()) continue;
    auto got = ray::TryGet(ref, 0);
    if (got.status().code() == absl::StatusCode::kResourceExhausted) what = std::string(got.status().message());
  }
  EXPECT_HAS(what, "is full: it holds 1 calls");
  counter.Kill();
}

TEST_F(Actors, UnregisteredMethodsAndEmptyHandlesAreNamed) {
  auto counter = ray::Actor(Counter::Create).Remote(0);
  EXPECT_HAS(Thrown<ray::RayFunctionNotFound>([&] { counter.Task(&Counter::Unregistered); }), "RAY_REMOTE");
  ray::ActorHandle<Counter> empty;
  EXPECT_HAS(Thrown<ray::RayException>([&] { empty.Task(&Counter::Value); }), "an empty actor handle has no actor");
  EXPECT_HAS(Thrown<ray::RayException>([&] { empty.Kill(); }), "an empty actor handle has no actor");
}

TEST(ActorLifecycle, AHandleFromBeforeAShutdownSaysSo) {
  ray::Init();
  auto counter = ray::Actor(Counter::Create).SetLifetime(ray::ActorLifetime::DETACHED).Remote(0);
  auto copy = counter;
  EXPECT_EQ(*ray::Get(counter.Task(&Counter::Add).Remote(1)), 1);
  ray::Shutdown();
  ray::Init();
  auto ref = counter.Task(&Counter::Add).Remote(1);
  const std::string what = Thrown<ray::RayException>([&] { ray::Get(ref); });
  EXPECT_TRUE(what.find("shut down") != std::string::npos || what.find("Shutdown") != std::string::npos) << what;
  counter.Kill();
  ray::Shutdown();
}

TEST(ActorLifecycle, DetachedActorsOutliveTheirHandlesAndOthersDoNot) {
  ray::Init();
  ray::Actor(Counter::Create).SetName("stays").SetLifetime(ray::ActorLifetime::DETACHED).Remote(1);
  ray::Actor(Counter::Create).SetName("goes").Remote(1);
  auto stays = ray::GetActor<Counter>("stays");
  ASSERT_TRUE(stays);
  EXPECT_EQ(*ray::Get(stays->Task(&Counter::Value).Remote()), 1);
  EXPECT_FALSE(ray::GetActor<Counter>("goes"));
  ray::Shutdown();
}

}  // namespace
