// Quotas: what an actor makes is charged to its account, in the store's ledger.
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/actor_context.h"
#include "actor/actor_fixture.h"
#include "actor/actor_system.h"
#include "core/call.h"
#include "core/error.h"
#include "core/object_ref.h"
#include "gtest/gtest.h"
#include "object_store/object_store.h"
#include "task/task_system.h"

namespace rustyray::actor {
namespace {

using core::ObjectRef;

constexpr core::FunctionInfo kInfo{"Task"};
constexpr std::size_t kQuota = 10'000;

class Maker {
 public:
  static inline object_store::ObjectStore* store;
  static inline task::TaskSystem* tasks;
  static Maker* Create() { return new Maker; }

  // Each of these keeps what it makes.
  absl::Status Put(int bytes) { return Keep(store->Put(Text(bytes))); }
  absl::Status RunTask(int bytes) {
    return Keep(tasks->Run(kInfo, [bytes] { return Text(bytes); }));
  }
  // A task that puts, in a task.
  absl::Status RunTaskThatPuts(int bytes) {
    return Keep(tasks->Run(kInfo, [bytes] {
      return tasks
          ->Run(kInfo,
                [bytes]() -> absl::StatusOr<std::vector<ObjectRef>> {
                  absl::StatusOr<ObjectRef> put = store->Put(Text(bytes));
                  if (!put.ok()) return put.status();
                  return std::vector<ObjectRef>{*std::move(put)};
                })
          .Get<std::vector<ObjectRef>>();
    }));
  }
  absl::Status CallOther(ActorRef<Maker> other, int bytes) { return Keep(other.Call(kInfo, &Maker::Give, bytes)); }
  absl::Status LetOtherPut(ActorRef<Maker> other, int bytes) { return Keep(other.Call(kInfo, &Maker::Put, bytes)); }
  std::string Give(int bytes) { return Text(bytes); }
  std::vector<ObjectRef> GiveRefs() { return kept_; }
  void Forget() { kept_.clear(); }

 private:
  static std::string Text(int bytes) { return std::string(static_cast<std::size_t>(bytes), 'x'); }
  absl::Status Keep(absl::StatusOr<ObjectRef> made) {
    if (!made.ok()) return made.status();
    if (absl::Status status = made->Wait(); !status.ok()) return status;
    kept_.push_back(*std::move(made));
    return absl::OkStatus();
  }
  std::vector<ObjectRef> kept_;
};

class ActorQuota : public ActorTest {
 protected:
  ActorQuota() {
    Maker::store = world.store.get();
    Maker::tasks = &world.tasks;
  }
  ActorRef<Maker> Make(std::size_t quota, std::string name = "") {
    return *world.actors.Spawn({.name = std::move(name), .quota_bytes = quota}, &Maker::Create);
  }
  static void ExpectOverQuota(const absl::Status& status) {
    EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
    EXPECT_NE(status.message().find("is over its quota"), absl::string_view::npos) << status;
  }
};

TEST_F(ActorQuota, PutsOfItsMethodsCountAndAreGivenBack) {
  auto actor = Make(kQuota, "poor");
  EXPECT_TRUE(actor.Call(&Maker::Put, 6000).Wait().ok());
  const absl::Status over = actor.Call(&Maker::Put, 6000).Wait();
  ExpectOverQuota(over);
  EXPECT_NE(over.message().find("actor 'poor' (rustyray::actor::"), absl::string_view::npos) << over;
  EXPECT_NE(over.message().find("does not fit its quota of 10000 bytes (60"), absl::string_view::npos) << over;
  EXPECT_TRUE(world.store->Put(std::string(60'000, 'x')).ok()) << "the driver has no quota";
  EXPECT_TRUE(actor.Call(&Maker::Forget).Wait().ok());
  EXPECT_TRUE(actor.Call(&Maker::Put, 6000).Wait().ok()) << "what went was not given back";
}

TEST_F(ActorQuota, ResultsOfWhatItSubmitsCountAndItsOwnResultsDoNot) {
  auto actor = Make(kQuota);
  auto other = Make(kNoQuota);
  ExpectOverQuota(actor.Call(&Maker::RunTask, 12'000).Wait());
  ExpectOverQuota(actor.Call(&Maker::RunTaskThatPuts, 12'000).Wait());
  ExpectOverQuota(actor.Call(&Maker::CallOther, other, 12'000).Wait());
  EXPECT_TRUE(actor.Call(kInfo, &Maker::Give, 12'000).Wait().ok()) << "its result is the driver's";
  EXPECT_TRUE(actor.Call(&Maker::RunTask, 6000).Wait().ok());
  ExpectOverQuota(actor.Call(&Maker::CallOther, other, 6000).Wait());
}

TEST_F(ActorQuota, WhatAnotherActorMakesForItIsTheOthers) {
  auto actor = Make(kQuota);
  auto rich = Make(kNoQuota);
  auto poor = Make(100);
  EXPECT_TRUE(actor.Call(&Maker::LetOtherPut, rich, 12'000).Wait().ok());
  ExpectOverQuota(actor.Call(&Maker::LetOtherPut, poor, 1000).Wait());
  ExpectOverQuota(rich.Call(&Maker::LetOtherPut, poor, 1000).Wait());
}

TEST_F(ActorQuota, TheAccountLivesAsLongAsTheActorOrWhatItMade) {
  std::vector<ObjectRef> refs;
  {
    auto actor = Make(kQuota);
    EXPECT_EQ(world.store->Statistics().accounts, 1u);
    EXPECT_TRUE(actor.Call(&Maker::Put, 6000).Wait().ok());
    EXPECT_TRUE(actor.Call(&Maker::RunTask, 1000).Wait().ok());
    refs = *actor.Call(&Maker::GiveRefs).Get<std::vector<ObjectRef>>();
    actor.Kill();
    executor.RunUntilIdle();
  }
  EXPECT_EQ(world.actors.size(), 0u);
  EXPECT_EQ(world.store->Statistics().accounts, 1u);
  refs.pop_back();
  EXPECT_EQ(world.store->Statistics().accounts, 1u);
  refs.pop_back();
  EXPECT_EQ(world.store->Statistics().accounts, 0u);
  EXPECT_EQ(world.store->Statistics().bytes, 0u);
}

TEST_F(ActorQuota, ActorsThatComeAndGoLeaveNoAccount) {
  for (int i = 0; i < 1000; ++i) {
    auto actor = Make(kQuota);
    EXPECT_TRUE(actor.Call(&Maker::Put, 100).Wait().ok());
  }
  executor.RunUntilIdle();
  EXPECT_EQ(world.store->Statistics().accounts, 0u);
  auto kept = Make(kNoQuota);
  EXPECT_TRUE(kept.Call(&Maker::Put, 100).Wait().ok());
  EXPECT_EQ(world.store->Statistics().accounts, 0u) << "without a quota there is no account";
}

TEST_F(ActorQuota, TheQuotaIsThatOfAllInstances) {
  auto actor = *world.actors.Spawn({.quota_bytes = kQuota, .restart = {.max_restarts = 1}}, &Maker::Create);
  EXPECT_TRUE(actor.Call(&Maker::Put, 6000).Wait().ok());
  const std::vector<ObjectRef> refs = *actor.Call(&Maker::GiveRefs).Get<std::vector<ObjectRef>>();
  actor.Kill(/*no_restart=*/false);
  ExpectOverQuota(actor.Call(&Maker::Put, 6000).Wait());
}

TEST_F(ActorQuota, AStoreOfAnotherSystemIsNotCharged) {
  const auto other = object_store::MakeMemoryObjectStore({.limit_bytes = 1 << 20});
  Maker::store = other.get();
  EXPECT_TRUE(Make(kQuota).Call(&Maker::Put, 12'000).Wait().ok());
}

TEST_F(ActorQuota, WithoutAStoreThatKeepsAccountsAQuotaIsAnError) {
  ActorSystem plain(executor, clock, world.tasks);
  EXPECT_EQ(plain.Spawn({.quota_bytes = 1}, &Maker::Create).status().message(),
            "ActorOptions::quota_bytes needs a store that keeps accounts");
}

}  // namespace
}  // namespace rustyray::actor
