// StoreCore: what all backends share, and what their records point at. Internal to //object_store.
//
// It outlives its records: Retire, called by the store's destructor, frees it only if no record can point at it any
// more, else leaves it on a list for good (no word shared between threads has to count records for that).
// Invariant: what is accounted was taken from the ledger before the value was placed; it is given back once, when the
// value is gone.
// Threads: all methods, any thread, but for Retire, during which nobody may use the store. Locks: the index's, the
// order's and the ledger's are leaves; none is held while a value is destroyed or an observer of last handles is told.
#ifndef RUSTYRAY_OBJECT_STORE_STORE_CORE_H_
#define RUSTYRAY_OBJECT_STORE_STORE_CORE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/account.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/waiting.h"
#include "object_store/eviction_order.h"
#include "object_store/ledger.h"
#include "object_store/object_index.h"
#include "object_store/object_store.h"
#include "object_store/placement.h"
#include "object_store/viewed_objects.h"

namespace rustyray::object_store {

class StoreCore final : public core::RecordOwner {
 public:
  // `placement` null: values stay native, in their records.
  static StoreCore* Make(const StoreOptions& options, std::shared_ptr<Placement> placement);
  // Reads of refs say kShutdown from now on, puts are refused, those that wait for room, too.
  void Shut();
  // The store is gone: ends the index, lets unreferenced objects go, and frees the core if it may.
  void Retire();
  // Records that the core does not see may point at it from now on.
  void HandOut() { handed_out_.store(true, std::memory_order_relaxed); }

  // See ObjectStore.
  absl::Status Publish(std::span<core::Record* const> records, const PutOptions& options);
  absl::StatusOr<core::ObjectRef> Find(const core::ObjectId& id);
  bool Contains(const core::ObjectId& id) {
    return index_.Contains(id) || (placement_ != nullptr && placement_->ContainsElsewhere(id));
  }
  absl::Status Delete(const core::ObjectId& id);
  void NoteRead(core::Record& record);
  StoreStatistics Statistics();
  absl::Status SetQuota(const core::AccountId& id, std::size_t bytes);
  std::size_t AccountBytes(const core::AccountId& id);
  core::AccountPtr OpenAccount(const core::AccountId& id, std::size_t quota, std::string holder);
  StoreAccount* AccountFor(const core::AccountId& id) { return id.IsNil() ? nullptr : &ledger_.AccountFor(id); }

  // RecordOwner.
  core::ErrorPtr Admit(core::Record& record) override;
  void OnValueGone(core::Record& record, std::size_t bytes) override;
  void OnLastHandle(core::Record& record) override {
    if (placement_ != nullptr) placement_->Hide(record);
    index_.Remove(record);
  }
  core::ObjectId Index(core::Record& record) override;
  bool UnindexIfOnlyHandle(core::Record& record) override { return index_.RemoveIfOnlyHandle(record); }
  void OnFirstView(core::Record& record) override { viewed_.Add(record); }
  void OnViewsAbandoned(core::Record& record) override { viewed_.Abandon(record); }
  void OnBorrow(core::Record& record, bool begins) override;
  core::ErrorPtr OnDecodeKept(core::Record& record, std::size_t bytes) override;
  void OnDecodeDropped(core::Record& record, std::size_t bytes) override;
  void OnUnpinned() override { ledger_.TellWaiters(); }

 private:
  // Of a store that is gone.
  void RetirePlacementIfUnused();
  StoreCore(const StoreOptions& options, std::shared_ptr<Placement> placement, std::shared_ptr<core::Waiting> waiting);
  ~StoreCore() = default;

  static absl::Status WasClosed();
  core::Time WaitUntil(const PutOptions& options);
  // Who asks for room.
  struct Asker {
    core::Time wait_until = core::Time::min();
    std::size_t values = 1;  // how many it is for, for the message
    bool caches = false;     // between BeginPut and EndPut
  };
  // Takes room, evicting and waiting for it as need be.
  absl::Status Acquire(Ledger::Charge charge, const Asker& asker);
  absl::Status WaitForRoom(Ledger::Charge charge, const Asker& asker);
  struct Evicting {
    bool caches = false;       // between BeginPut and EndPut
    bool only_placed = false;  // what lies in its record gives no room elsewhere
  };
  // Evicts what makes up for `shortage`, seen after `landed` was taken. False: there is nothing that may go, or not
  // enough.
  bool Evict(Ledger::Shortage shortage, const Ledger::Charge& charge, std::uint64_t landed, Evicting how);
  // Checks what can never fit.
  absl::Status CheckFits(const Ledger::Charge& charge, std::size_t values);
  absl::Status NoRoom(const Ledger::Charge& charge, Ledger::Lack lack, std::size_t values, bool waited);
  absl::StatusOr<core::ObjectRef> FindElsewhere(const core::ObjectId& id);
  absl::StatusOr<Placement::Prepared> Prepare(core::Record& record, bool cache);
  // Places what was admitted; where others took the room, evicts for it.
  absl::Status Place(core::Record& record, Placement::Prepared prepared, bool cache);
  void Commit(core::Record& record, Placement::Prepared prepared);
  // Prepare, Acquire and Commit in one, for a value that stays in its record and for which there is room at once.
  bool TakeInPlace(core::Record& record, StoreAccount* account, bool in_turn);
  void MakeFindable(core::Record& record);
  core::ErrorPtr AdmitHere(core::Record& record);

  const Lifetime default_lifetime_;
  const core::Duration wait_at_limit_;
  const std::shared_ptr<core::Waiting> kept_waiting_;
  const std::shared_ptr<core::HandleObserver> kept_observer_;
  const std::shared_ptr<Placement> placement_;
  Ledger ledger_;
  ObjectIndex index_;
  EvictionOrder order_;
  ViewedObjects viewed_;
  std::atomic<std::uint64_t> rejected_{0};
  std::atomic<bool> handed_out_{false};
  // The placement goes with the last value of a store that is gone.
  class Inside;
  static constexpr std::uint32_t kRetired = 1, kInside = 2;
  std::atomic<std::uint32_t> inside_{0};  // threads in Admit or OnValueGone, if there is a placement, times kInside
  core::Mutex retiring_mutex_;
  bool placement_retired_ ABSL_GUARDED_BY(retiring_mutex_) = false;
  std::atomic<bool> had_cache_objects_{false};
  core::Mutex naming_mutex_;  // taken before the index's; ids of owned objects are drawn under it
};

// A store over a core of its own.
std::unique_ptr<ObjectStore> MakeStoreOver(const StoreOptions& options, std::shared_ptr<Placement> placement);

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_STORE_CORE_H_
