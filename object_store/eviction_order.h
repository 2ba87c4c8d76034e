// EvictionOrder: the cache objects of a store, least recently used first.
//
// A use only stamps the record; the order catches up when something is to be evicted, so that it is exact then.
// Invariant: a record in the order is alive: it has the hold that it shares with its index entry. Who takes it out
// (Remove, Pick, TakeAll) has that hold from then on; values are destroyed without the lock.
// Cache objects in motion (being put, but not in the order yet; being deleted or evicted, but not gone yet) can neither
// be picked nor count as free room. Who finds too little waits for what is in motion, so that threads that put into a
// full cache do not reject each other. Nobody waits for itself: a put that waits is not in motion meanwhile, and a
// thread that runs destructors of what it removes does not wait.
// A cache object that was deleted but still has handles or Views is only remembered, for the statistics.
// Threads: all methods, any thread.
#ifndef RUSTYRAY_OBJECT_STORE_EVICTION_ORDER_H_
#define RUSTYRAY_OBJECT_STORE_EVICTION_ORDER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "core/mutex.h"
#include "core/record.h"

namespace rustyray::object_store {

class EvictionOrder {
 public:
  // Around the put of a cache object: before it takes room, and after Add or its rejection.
  void BeginPut();
  void EndPut();
  // Around the removal of a cache object, until its hold was dropped. Pick begins one when it finds victims.
  void BeginRemoval();
  void EndRemoval();
  // Adds a record that is indexed, as the most recently used. False: it was deleted meanwhile, the hold is the
  // caller's.
  bool Add(core::Record& record);
  // It is used now.
  void Touch(core::Record& record) { record.recency().store(NextStamp(), std::memory_order_relaxed); }
  // Takes out a record that is no more indexed. False: an eviction has it, and will drop the hold.
  bool Remove(core::Record& record);
  // The value of a record that was removed is gone.
  void Forget(core::Record& record);

  // How many motions have ended; taken before a caller looks for room.
  std::uint64_t landed() const { return landed_.load(std::memory_order_acquire); }
  struct Wanted {
    std::size_t bytes = 0;
    const core::Account* account = nullptr;  // charged to it; null: to whomever
    bool only_encoded = false;               // none of values that lie in their records
  };
  // Takes out what must go to free what is wanted. True: look for room again, after having seen to `victims` and
  // EndRemoval; if there are none, a motion ended after `landed`. False: what could go is less than that, and nothing
  // was taken. `putting`: the caller is between BeginPut and EndPut.
  bool Pick(const Wanted& wanted, std::uint64_t landed, bool putting, std::vector<core::Record*>& victims);
  // A victim turned out to be pinned. False: it was deleted meanwhile, the hold is the caller's.
  bool PutBack(core::Record& record);
  // A victim was evicted.
  void CountEviction();

  // Ends the order: no record is added any more. The holds are the caller's.
  std::vector<core::Record*> TakeAll();

  struct Totals {
    std::size_t objects = 0, bytes = 0, pinned_bytes = 0;
    std::uint64_t evictions = 0;
  };
  Totals Sum();

 private:
  std::uint64_t NextStamp() { return 1 + last_stamp_.fetch_add(1, std::memory_order_relaxed); }
  void Link(core::Record& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Rest() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::atomic<std::uint64_t> last_stamp_{0};
  std::atomic<std::uint64_t> landed_{0};  // written under the mutex
  core::Mutex mutex_;
  core::CondVar less_in_motion_;
  std::map<std::uint64_t, core::Record*> by_stamp_ ABSL_GUARDED_BY(mutex_);  // by the stamp when it was linked
  absl::flat_hash_map<const core::Record*, std::uint64_t> stamps_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<core::Record*> deleted_ ABSL_GUARDED_BY(mutex_);
  std::size_t in_motion_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t evictions_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_EVICTION_ORDER_H_
