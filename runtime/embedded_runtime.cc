#include "runtime/embedded_runtime.h"

#include <utility>

#include "actor/actor_system.h"
#include "core/seeded_schedule.h"
#include "core/thread_pool.h"
#include "core/waiting.h"
#include "object_store/memory_object_store.h"
#include "ownership/local_owner_service.h"

namespace rustyray::runtime {
namespace {

// Declared in order of lifetime: each part may use those above it. What records point to is shared with the store,
// which keeps it as long as there are records.
class EmbeddedRuntime final : public Runtime {
 public:
  explicit EmbeddedRuntime(const EmbeddedOptions& options)
      : seeded_(options.schedule_seed ? std::make_unique<core::SeededSchedule>(*options.schedule_seed) : nullptr),
        real_clock_(seeded_ != nullptr ? nullptr : core::MakeRealClock()),
        clock_(seeded_ != nullptr ? static_cast<core::Clock*>(seeded_.get()) : real_clock_.get()),
        waiting_(std::make_shared<core::Waiting>(*clock_)),
        owners_(options.track_owners ? ownership::MakeLocalOwnerService() : ownership::MakeNullOwnerService()),
        registry_(options.registrations),
        store_(object_store::MakeMemoryObjectStore({.limit_bytes = options.store_limit_bytes,
                                                    .wait_at_limit = options.store_wait,
                                                    .waiting = waiting_,
                                                    .observer = options.track_owners ? owners_ : nullptr})),
        pool_(seeded_ != nullptr
                  ? core::MakeSeededPool(*seeded_)
                  : core::MakeThreadPool({.places = options.threads, .max_threads = options.max_threads}, *clock_)),
        tasks_(*pool_, *clock_, store_->owner(), registry_),
        actors_(*pool_, *clock_, tasks_, store_.get()) {
    if (seeded_ != nullptr) seeded_->set_describe_waits([waiting = waiting_] { return waiting->Dump(); });
  }

  object_store::ObjectStore& objects() override { return *store_; }
  task::TaskSystem& tasks() override { return tasks_; }
  actor::ActorSystem& actors() override { return actors_; }
  ownership::OwnerService& owners() override { return *owners_; }
  core::Clock& clock() override { return *clock_; }
  std::uint64_t schedule_trace() const override { return seeded_ != nullptr ? seeded_->trace() : 0; }

  std::vector<std::string> Shutdown(core::Time deadline) override {
    actors_.StopAll();
    std::vector<std::string> abandoned = pool_->Stop(deadline);
    // The clock's thread may still be failing a call that is past its deadline.
    core::Fence(*clock_);
    store_->Close();
    return abandoned;
  }

  task::FunctionRegistry& registry() { return registry_; }

 private:
  const std::unique_ptr<core::SeededSchedule> seeded_;  // null: real threads and time
  const std::unique_ptr<core::Clock> real_clock_;
  core::Clock* const clock_;
  const std::shared_ptr<core::Waiting> waiting_;
  const std::shared_ptr<ownership::OwnerService> owners_;
  task::FunctionRegistry registry_;
  const std::unique_ptr<object_store::ObjectStore> store_;
  const std::shared_ptr<core::ThreadPool> pool_;
  task::TaskSystem tasks_;
  actor::ActorSystem actors_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Runtime>> MakeEmbeddedRuntime(const EmbeddedOptions& options) {
  auto runtime = std::make_unique<EmbeddedRuntime>(options);
  if (options.registrations != nullptr) {
    if (absl::Status status = runtime->registry().AddAll(options.registrations()); !status.ok()) return status;
  }
  return runtime;
}

}  // namespace rustyray::runtime
