// Parts of one's own under RustyRay's tasks and actors: an executor that is an event loop of this thread, a store
// without a limit, and an owner service that only counts.
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "actor/actor_options.h"
#include "actor/actor_ref.h"
#include "actor/actor_system.h"
#include "core/call.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/id.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/waiting.h"
#include "object_store/object_store.h"
#include "task/function_registry.h"
#include "task/task_system.h"

namespace {

namespace actor = rustyray::actor;
namespace core = rustyray::core;
namespace object_store = rustyray::object_store;
namespace task = rustyray::task;

// --- An executor: work runs when its owner says so, on the thread that says it.

class EventLoop final : public core::Executor {
 public:
  // Runs the oldest piece of work. False when there is none.
  bool RunOne() {
    core::Runnable* work = nullptr;
    {
      const std::lock_guard lock(mutex_);
      if (queue_.empty()) return false;
      work = queue_.front();
      queue_.pop_front();
    }
    core::HeldPlace place{this, core::held_places};
    core::held_places = &place;
    work->RunScheduled();
    core::held_places = place.outer;
    return true;
  }
  // Discards what is queued, and takes nothing more.
  void Stop() {
    std::deque<core::Runnable*> discarded;
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
      discarded.swap(queue_);
    }
    for (core::Runnable* const work : discarded) work->DiscardScheduled();
  }

  bool Schedule(core::Runnable& work) override {
    const std::lock_guard lock(mutex_);
    if (stopped_) return false;
    queue_.push_back(&work);
    return true;
  }
  bool Unschedule(core::Runnable&) override { return false; }
  bool TryEnter() override { return true; }
  void Leave() override {}
  absl::Status BeginBlocking() override { return absl::OkStatus(); }
  void EndBlocking() override {}
  bool stopping() const override { return stopped_; }
  // A thread that waits keeps the loop going.
  bool StepWhileBlocked() override { return RunOne(); }

 private:
  std::mutex mutex_;
  std::deque<core::Runnable*> queue_;
  std::atomic<bool> stopped_{false};
};

// --- An owner service: hears of the first and the last handle of each object.

class HandleCounter final : public core::HandleObserver {
 public:
  void OnFirstHandle(core::Record&) override { ++alive_; }
  void OnLastHandle(core::Record&) override { --alive_; }
  void OnSubmitted(core::Record&) override { ++passed_; }
  void OnArgumentReleased(core::Record&) override {}
  int alive() const { return alive_; }
  int passed() const { return passed_; }

 private:
  std::atomic<int> alive_{0};
  std::atomic<int> passed_{0};
};

// --- A store: takes everything, and finds nothing by id. It outlives the refs to its objects.

class PlainStore final : public object_store::ObjectStore, private core::RecordOwner {
 public:
  PlainStore(core::Waiting& waiting, core::HandleObserver* observer) : RecordOwner(waiting, observer) {}

  absl::StatusOr<core::ObjectRef> Find(const core::ObjectId&) override { return NoIds(); }
  bool Contains(const core::ObjectId&) override { return false; }
  absl::Status Delete(const core::ObjectId&) override { return NoIds(); }
  object_store::StoreStatistics Statistics() override { return {.objects = objects_, .bytes = bytes_}; }
  absl::Status SetQuota(const core::AccountId&, std::size_t) override {
    return absl::UnimplementedError("this store has no quotas");
  }
  std::size_t AccountBytes(const core::AccountId&) override { return 0; }
  core::Account* AccountFor(const core::AccountId&) override { return nullptr; }
  void Close() override { RecordOwner::Close(); }
  core::RecordOwner& owner() override { return *this; }
  core::Waiting& waiting() override { return RecordOwner::waiting(); }

 protected:
  // What was put.
  absl::Status Publish(std::span<core::Record* const> records, const object_store::PutOptions& options) override {
    if (closed()) return absl::UnavailableError("the store is closed");
    if (options.id.has_value()) return NoIds();
    for (core::Record* const record : records) {
      Count(*record);
      record->Adopt(*this);
      record->PublishUnshared();
    }
    return absl::OkStatus();
  }
  void NoteRead(const core::ObjectRef&) override {}

 private:
  static absl::Status NoIds() { return absl::NotFoundError("this store finds nothing by id"); }
  void Count(core::Record& record) {
    record.set_accounted(record.accounted() + record.value().type->AccountedSizeOf(record.value().data));
    bytes_ += record.accounted();
    ++objects_;
  }

  // The result of a call: an error would reject it.
  core::ErrorPtr Admit(core::Record& record) override {
    Count(record);
    return nullptr;
  }
  void OnValueGone(core::Record&, std::size_t bytes) override {
    bytes_ -= bytes;
    --objects_;
  }
  void OnLastHandle(core::Record&) override {}
  core::ObjectId Index(core::Record& record) override {
    const std::lock_guard lock(ids_mutex_);
    if (record.IdOrNil().IsNil()) record.set_id(core::ObjectId::Random());
    return record.IdOrNil();
  }
  // There is no index by which another handle could come about.
  bool UnindexIfOnlyHandle(core::Record& record) override { return record.handles() == 1; }
  void OnFirstView(core::Record&) override {}
  void OnViewsAbandoned(core::Record&) override {}
  void OnBorrow(core::Record&, bool) override {}
  core::ErrorPtr OnDecodeKept(core::Record&, std::size_t) override { return nullptr; }
  void OnDecodeDropped(core::Record&, std::size_t) override {}
  void OnUnpinned() override {}

  std::mutex ids_mutex_;
  std::atomic<std::size_t> bytes_{0};
  std::atomic<std::size_t> objects_{0};
};

class Sum {
 public:
  static Sum* Create() { return new Sum; }
  int Add(const std::vector<int>& numbers) {
    for (const int number : numbers) sum_ += number;
    return sum_;
  }

 private:
  int sum_ = 0;
};

}  // namespace

int main() {
  // In the order of lifetime: each part uses those above it.
  const std::unique_ptr<core::Clock> clock = core::MakeRealClock();
  core::Waiting waiting(*clock);
  HandleCounter handles;
  PlainStore store(waiting, &handles);
  EventLoop loop;
  task::FunctionRegistry registry;
  task::TaskSystem tasks(loop, *clock, store.owner(), registry);
  actor::ActorSystem actors(loop, *clock, tasks);

  {
    const core::ObjectRef numbers = *store.Put(std::vector<int>{1, 2, 3});
    static constexpr core::FunctionInfo kTwice{"Twice"};
    const core::ObjectRef twice = tasks.Run(
        kTwice,
        [](std::vector<int> all) {
          for (int& number : all) number *= 2;
          return all;
        },
        numbers);
    std::printf("nothing has run: %s\n", twice.ready() ? "no" : "yes");
    while (loop.RunOne()) {
    }
    std::printf("the loop ran the task: %s\n", twice.ready() ? "yes" : "no");

    const auto sum = actors.Spawn(actor::ActorOptions(), &Sum::Create);
    sum->Call(&Sum::Add, numbers);
    std::printf("sum: %d\n", *sum->Call(&Sum::Add, twice).Get<int>());  // this thread runs the loop while it waits
    std::printf("the store holds the vectors: %s\n", store.Statistics().objects >= 2 ? "yes" : "no");
  }

  actors.Shutdown(core::Time::min());
  while (loop.RunOne()) {
  }
  loop.Stop();
  store.Close();
  std::printf("objects left: %zu, handles left: %d\n", store.Statistics().objects, handles.alive());
  std::printf("refs passed to calls: %d\n", handles.passed());
}
