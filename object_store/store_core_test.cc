#include "object_store/store_core.h"

#include <memory>
#include <thread>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "gtest/gtest.h"
#include "object_store/object_store.h"
#include "object_store/placement.h"
#include "object_store/testing/pending_object.h"

namespace rustyray::object_store {
namespace {

using core::ObjectRef;

// Holds placements up until it is told to let them go, and knows whether it was retired.
class HeldPlacement final : public Placement {
 public:
  absl::StatusOr<Prepared> Prepare(core::Record&, bool) override { return Prepared{.bytes = 8, .place = this}; }
  absl::Status Place(core::Record&, Prepared) override {
    core::MutexLock lock(mutex_);
    placing_ = true;
    changed_.NotifyAll();
    while (held_) changed_.Wait(mutex_);
    return absl::OkStatus();
  }
  void Commit(core::Record& record, Prepared) override {
    EXPECT_FALSE(retired());
    record.MoveToBytes(&bytes_, sizeof(bytes_), {});
  }
  void Abandon(Prepared) override {}
  void Free(core::Record&) override { EXPECT_FALSE(retired()); }
  void Retire() override {
    core::MutexLock lock(mutex_);
    retired_ = true;
  }

  void AwaitPlacing() {
    core::MutexLock lock(mutex_);
    while (!placing_) changed_.Wait(mutex_);
  }
  void LetGo() {
    core::MutexLock lock(mutex_);
    held_ = false;
    changed_.NotifyAll();
  }
  bool retired() {
    core::MutexLock lock(mutex_);
    return retired_;
  }

 private:
  const int bytes_ = 7;
  core::Mutex mutex_;
  core::CondVar changed_;
  bool held_ ABSL_GUARDED_BY(mutex_) = true;
  bool placing_ ABSL_GUARDED_BY(mutex_) = false;
  bool retired_ ABSL_GUARDED_BY(mutex_) = false;
};

TEST(StoreCore, APlacementIsRetiredWithTheStoreOnceNothingOfItIsLeft) {
  const auto placement = std::make_shared<HeldPlacement>();
  placement->LetGo();
  auto store = MakeStoreOver({}, placement);
  auto* const pending = PendingObject<int>::Make(*store);
  ObjectRef ref = pending->TakeRef();
  pending->Seal(7);
  ref = ObjectRef();
  store.reset();
  EXPECT_TRUE(placement->retired());
}

TEST(StoreCore, APlacementIsRetiredWithTheLastValueThatOutlivesTheStore) {
  const auto placement = std::make_shared<HeldPlacement>();
  placement->LetGo();
  auto store = MakeStoreOver({}, placement);
  ObjectRef ref = store->Put(7).value(), another = store->Put(8).value();
  store.reset();
  ref = ObjectRef();
  EXPECT_FALSE(placement->retired());
  another = ObjectRef();
  EXPECT_TRUE(placement->retired());
}

TEST(StoreCore, APlacementIsKeptForAResultThatIsBeingAdmittedWhenTheStoreGoes) {
  const auto placement = std::make_shared<HeldPlacement>();
  auto store = MakeStoreOver({}, placement);
  auto* const pending = PendingObject<int>::Make(*store);
  ObjectRef ref = pending->TakeRef();
  std::thread sealer([&] { pending->Seal(7); });
  placement->AwaitPlacing();
  store.reset();
  EXPECT_FALSE(placement->retired());
  placement->LetGo();
  sealer.join();
  EXPECT_FALSE(placement->retired());
  ref = ObjectRef();
  EXPECT_TRUE(placement->retired());
}

}  // namespace
}  // namespace rustyray::object_store
