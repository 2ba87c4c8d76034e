// EvictionOrder: the cache objects of a store, least recently used first.
//
// A use only stamps the record; the order catches up when something is to be evicted, so that it is exact then.
// Invariant: a record in the order is alive: it has the hold that it shares with its index entry. Who takes it out
// (Remove, Pick, TakeAll) has that hold from then on. Pick's victims are in flight until PutBack or Gone; values are
// destroyed without the lock.
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
  // Adds a record that is indexed, as the most recently used. False: it was deleted meanwhile, the hold is the
  // caller's.
  bool Add(core::Record& record);
  // It is used now.
  void Touch(core::Record& record) { record.recency().store(NextStamp(), std::memory_order_relaxed); }
  // Takes out a record that is no more indexed. False: an eviction has it, and will drop the hold.
  bool Remove(core::Record& record);
  // The value of a record that was removed is gone.
  void Forget(core::Record& record);

  // Takes out what must go to free `bytes` bytes (charged to `account`, unless it is null). True: try again after
  // having seen to `victims`; when there are none, evictions by other threads were waited for. False: what could go is
  // less than `bytes`, and nothing was taken.
  bool Pick(std::size_t bytes, const core::Account* account, std::vector<core::Record*>& victims);
  // A victim turned out to be pinned. False: it was deleted meanwhile, the hold is the caller's.
  bool PutBack(core::Record& record);
  // A victim was evicted.
  void Gone();

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
  void Land() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  std::atomic<std::uint64_t> last_stamp_{0};
  core::Mutex mutex_;
  core::CondVar one_landed_;
  std::map<std::uint64_t, core::Record*> by_stamp_ ABSL_GUARDED_BY(mutex_);  // by the stamp when it was linked
  absl::flat_hash_map<const core::Record*, std::uint64_t> stamps_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<core::Record*> deleted_ ABSL_GUARDED_BY(mutex_);
  std::size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  std::uint64_t landed_ ABSL_GUARDED_BY(mutex_) = 0;  // how many were in flight and no more are
  std::uint64_t evictions_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_EVICTION_ORDER_H_
