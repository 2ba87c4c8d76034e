#include "object_store/object_index.h"

namespace rustyray::object_store {

bool ObjectIndex::Present(const core::Record* record) {
  if (record == nullptr) return false;
  return record->is_cache() ? !record->evicted() : record->handles() > 0;
}

bool ObjectIndex::Reserve(const core::ObjectId& id) {
  Shard& shard = ShardOf(id);
  core::MutexLock lock(shard.mutex);
  const auto [at, added] = shard.records.try_emplace(id, nullptr);
  if (added) return true;
  // A record on its way out takes its own entry only.
  if (at->second == nullptr || Present(at->second)) return false;
  at->second = nullptr;
  return true;
}

void ObjectIndex::Unreserve(const core::ObjectId& id) {
  Shard& shard = ShardOf(id);
  core::MutexLock lock(shard.mutex);
  shard.records.erase(id);
}

bool ObjectIndex::Insert(const core::ObjectId& id, core::Record& record) {
  Shard& shard = ShardOf(id);
  core::MutexLock lock(shard.mutex);
  core::Record*& entry = shard.records[id];
  if (entry != nullptr && entry != &record && Present(entry)) return false;
  entry = &record;
  record.SetIndexed(true);
  return true;
}

ObjectIndex::Found ObjectIndex::Find(const core::ObjectId& id) {
  Shard& shard = ShardOf(id);
  core::MutexLock lock(shard.mutex);
  const auto at = shard.records.find(id);
  const bool known = at != shard.records.end() && at->second != nullptr;
  bool revived = false;
  if (known && Present(at->second)) {
    core::Record& record = *at->second;
    bool has_handle = true;
    if (record.is_cache()) {
      revived = record.ReviveHandle();
    } else {
      has_handle = record.AddHandleIfAny();
    }
    if (has_handle) {
      ++shard.counts.hits;
      return {.ref = core::ObjectRef::Adopt(&record), .revived = revived};
    }
  }
  ++shard.counts.misses;
  return {.ref = {}, .leaves = known};
}

bool ObjectIndex::Contains(const core::ObjectId& id) {
  Shard& shard = ShardOf(id);
  core::MutexLock lock(shard.mutex);
  const auto at = shard.records.find(id);
  return at != shard.records.end() && Present(at->second);
}

void ObjectIndex::Remove(core::Record& record) {
  const core::ObjectId id = record.IdOrNil();
  Shard& shard = ShardOf(id);
  core::MutexLock lock(shard.mutex);
  if (const auto at = shard.records.find(id); at != shard.records.end() && at->second == &record) {
    shard.records.erase(at);
  }
  record.SetIndexed(false);
}

bool ObjectIndex::RemoveIfOnlyHandle(core::Record& record) {
  const core::ObjectId id = record.IdOrNil();
  Shard& shard = ShardOf(id);
  core::MutexLock lock(shard.mutex);
  if (record.handles() != 1) return false;
  if (const auto at = shard.records.find(id); at != shard.records.end() && at->second == &record) {
    shard.records.erase(at);
  }
  record.SetIndexed(false);
  return true;
}

ObjectIndex::Taken ObjectIndex::Take(const core::ObjectId& id) {
  Shard& shard = ShardOf(id);
  core::MutexLock lock(shard.mutex);
  const auto at = shard.records.find(id);
  if (at == shard.records.end() || !Present(at->second)) return {};
  core::Record& record = *at->second;
  shard.records.erase(at);
  if (!record.is_cache()) {
    record.SetIndexed(false);  // the last look at it: unmarked, its last handle does not come by here
    return {true, nullptr};
  }
  record.AddHold();
  record.SetIndexed(false);
  return {true, &record};
}

void ObjectIndex::Clear() {
  for (Shard& shard : shards_) {
    core::MutexLock lock(shard.mutex);
    shard.records.clear();
  }
}

ObjectIndex::Counts ObjectIndex::SumCounts() {
  Counts sum;
  for (Shard& shard : shards_) {
    core::MutexLock lock(shard.mutex);
    sum.hits += shard.counts.hits;
    sum.misses += shard.counts.misses;
  }
  return sum;
}

}  // namespace rustyray::object_store
