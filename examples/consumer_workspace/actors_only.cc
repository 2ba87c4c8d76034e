// Actors without the ray:: API: the parts that they need, put together here.
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "actor/actor_context.h"
#include "actor/actor_options.h"
#include "actor/actor_ref.h"
#include "actor/actor_system.h"
#include "actor/message.h"
#include "core/clock.h"
#include "core/object_ref.h"
#include "core/thread_pool.h"
#include "core/waiting.h"
#include "object_store/memory_object_store.h"
#include "object_store/object_store.h"
#include "task/function_registry.h"
#include "task/task_system.h"

namespace {

namespace actor = rustyray::actor;
namespace core = rustyray::core;

// In the order of lifetime: each part uses those above it.
struct Parts {
  const std::unique_ptr<core::Clock> clock = core::MakeRealClock();
  const std::shared_ptr<core::Waiting> waiting = std::make_shared<core::Waiting>(*clock);
  const std::unique_ptr<rustyray::object_store::ObjectStore> store =
      rustyray::object_store::MakeMemoryObjectStore({.limit_bytes = 10'000'000, .waiting = waiting});
  const std::shared_ptr<core::ThreadPool> threads = core::MakeThreadPool({.places = 2}, *clock);
  rustyray::task::FunctionRegistry registry;
  rustyray::task::TaskSystem tasks{*threads, *clock, store->owner(), registry};
  actor::ActorSystem actors{*threads, *clock, tasks};

  // Actors first, then the threads, then the store.
  ~Parts() {
    actors.Shutdown(clock->Now() + std::chrono::seconds(10));
    threads->Stop(core::kNever);
    store->Close();
  }
};

struct Deposit {
  int amount;
};

// Any class is an actor. Its methods are called by name, or it takes plain messages.
class Account {
 public:
  static Account* Create(std::string owner) { return new Account(std::move(owner)); }
  std::string Describe() const { return owner_ + " has " + std::to_string(balance_); }
  void OnMessage(actor::Message& message, actor::ActorContext&) {
    if (const auto* deposit = message.As<Deposit>()) message.Reply(balance_ += deposit->amount);
  }

 private:
  explicit Account(std::string owner) : owner_(std::move(owner)) {}
  const std::string owner_;
  int balance_ = 0;
};

}  // namespace

int main() {
  Parts parts;
  absl::StatusOr<actor::ActorRef<Account>> account =
      parts.actors.Spawn(actor::ActorOptions{.name = "account"}, &Account::Create, std::string("Ada"));
  if (!account.ok()) return 1;
  account->Send(Deposit{40});                                      // nobody waits for it
  const core::ObjectRef balance = account->Ask<int>(Deposit{2});   // the reply will be in the ref
  const core::ObjectRef text = account->Call(&Account::Describe);  // a method; calls run in order
  std::printf("%d; %s\n", *balance.Get<int>(), text.Get<std::string>()->c_str());
}
