// ObjectIndex: finds records by id. Sharded by id, each shard under its own mutex.
//
// Invariants: an entry of an owned object holds nothing; it is there only while the record has handles, or until
// OnLastHandle took it out under the shard's lock, so a record found under that lock is alive. An entry of a cache
// object stands for one hold, shared with the EvictionOrder: who takes the record out of that order drops it.
// An id that is reserved is not found, but it is taken.
// Threads: all methods, any thread.
#ifndef RUSTYRAY_OBJECT_STORE_OBJECT_INDEX_H_
#define RUSTYRAY_OBJECT_STORE_OBJECT_INDEX_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/container/flat_hash_map.h"
#include "core/id.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/record.h"

namespace rustyray::object_store {

class ObjectIndex {
 public:
  // Takes `id` for a record to come. False: it is taken.
  bool Reserve(const core::ObjectId& id);
  void Unreserve(const core::ObjectId& id);
  // Puts `record` under its id, reserved or free, and marks it as indexed. False: the id is another's.
  bool Insert(const core::ObjectId& id, core::Record& record);

  // A handle to the record under `id`, or null.
  struct Found {
    core::ObjectRef ref;
    bool revived = false;  // it is the first handle again of a cache object
    bool leaves = false;   // null, because the record under it is on its way out
  };
  Found Find(const core::ObjectId& id);
  bool Contains(const core::ObjectId& id);

  // Takes the entry of `record` out, if it is there.
  void Remove(core::Record& record);
  // The same, if the record has one handle only, which is the caller's: false otherwise. Nobody can find it then.
  bool RemoveIfOnlyHandle(core::Record& record);
  // Takes the entry under `id` out. A cache object comes with a hold for the caller; an owned one is `owned` only.
  struct Taken {
    bool found = false;
    core::Record* cache_object = nullptr;
  };
  Taken Take(const core::ObjectId& id);
  // Forgets all entries.
  void Clear();

  struct Counts {
    std::uint64_t hits = 0, misses = 0;
  };
  Counts SumCounts();

 private:
  struct alignas(64) Shard {
    core::Mutex mutex;
    absl::flat_hash_map<core::ObjectId, core::Record*> records ABSL_GUARDED_BY(mutex);  // null: reserved
    Counts counts ABSL_GUARDED_BY(mutex);
  };
  static constexpr std::size_t kShards = 16;

  Shard& ShardOf(const core::ObjectId& id) { return shards_[(std::hash<core::ObjectId>{}(id) >> 32) % kShards]; }
  // Whether somebody could get at the record by its entry.
  static bool Present(const core::Record* record);

  std::array<Shard, kShards> shards_;
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_OBJECT_INDEX_H_
