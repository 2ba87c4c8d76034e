// ViewedObjects: which owned objects have Views out, so that pinned bytes can be read at once and exactly.
//
// An object is here from its first View on. It is viewed while its record says so; when its last ref goes before its
// Views do it is abandoned, and counts until its value is gone.
// Threads: all methods, any thread.
#ifndef RUSTYRAY_OBJECT_STORE_VIEWED_OBJECTS_H_
#define RUSTYRAY_OBJECT_STORE_VIEWED_OBJECTS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>

#include "absl/container/flat_hash_set.h"
#include "core/mutex.h"
#include "core/record.h"

namespace rustyray::object_store {

class ViewedObjects {
 public:
  void Add(core::Record& record) {
    Shard& shard = ShardOf(record);
    core::MutexLock lock(shard.mutex);
    shard.records.insert(&record);
  }
  // While its value still is there.
  void Abandon(core::Record& record) {
    Shard& shard = ShardOf(record);
    core::MutexLock lock(shard.mutex);
    shard.records.erase(&record);
    record.set_abandoned();
    shard.abandoned_bytes += record.accounted();
  }
  void AbandonedGone(core::Record& record, std::size_t bytes) {
    Shard& shard = ShardOf(record);
    core::MutexLock lock(shard.mutex);
    shard.abandoned_bytes -= bytes;
  }
  std::size_t SumBytes() {
    std::size_t sum = 0;
    for (Shard& shard : shards_) {
      core::MutexLock lock(shard.mutex);
      sum += shard.abandoned_bytes;
      for (core::Record* const record : shard.records) {
        if (record->HasViews()) sum += record->accounted();
      }
    }
    return sum;
  }

 private:
  struct alignas(64) Shard {
    core::Mutex mutex;
    absl::flat_hash_set<core::Record*> records ABSL_GUARDED_BY(mutex);
    std::size_t abandoned_bytes ABSL_GUARDED_BY(mutex) = 0;
  };
  static constexpr std::size_t kShards = 8;

  Shard& ShardOf(const core::Record& record) {
    // Records lie at least a cache line apart.
    return shards_[(reinterpret_cast<std::uintptr_t>(&record) >> 7) % kShards];
  }

  std::array<Shard, kShards> shards_;
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_VIEWED_OBJECTS_H_
