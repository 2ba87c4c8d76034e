#include "core/testing/test_owner.h"

#include <cstring>
#include <vector>

#include "absl/status/status.h"

namespace rustyray::core {

ErrorPtr TestOwner::Admit(Record& record) {
  const Value value = record.value();
  if (value.type->AccountedSizeOf(value.data) + record.accounted() > largest_) {
    return MakeError({.code = absl::StatusCode::kResourceExhausted,
                      .kind = ErrorKind::kStoreFull,
                      .message = "larger than the test's owner takes"});
  }
  Place(record);
  return nullptr;
}

void TestOwner::Place(Record& record) {
  const Value value = record.value();
  const std::size_t bytes = value.type->AccountedSizeOf(value.data) + record.accounted();
  if (encodes_ && value.type->codec != nullptr) {
    std::vector<ObjectRef> refs;
    EncodeSink sink{.bytes = {}, .refs = &refs};
    (void)value.type->codec->encode(value.data, sink);
    char* const encoded = new char[sink.bytes.size()];
    std::memcpy(encoded, sink.bytes.data(), sink.bytes.size());
    record.MoveToBytes(encoded, sink.bytes.size(), std::move(refs));
  }
  record.set_accounted(bytes);
  bytes_ += static_cast<std::int64_t>(bytes);
  ++admitted_;
}

void TestOwner::OnValueGone(Record& record, std::size_t bytes) {
  if (!record.value().native) delete[] static_cast<const char*>(record.value().data);
  bytes_ -= static_cast<std::int64_t>(bytes);
  ++gone_;
}

void TestOwner::OnLastHandle(Record& record) {
  MutexLock lock(mutex_);
  index_.erase(record.IdOrNil());
  record.SetIndexed(false);
}

ObjectId TestOwner::Index(Record& record) {
  MutexLock lock(mutex_);
  if (record.IdOrNil().IsNil()) {
    record.set_id(ObjectId::Random());
  } else if (record.is_cache()) {
    return record.IdOrNil();  // indexed when it was put; an evicted one is not found again
  }
  index_.emplace(record.IdOrNil(), &record);
  record.SetIndexed(true);
  return record.IdOrNil();
}

bool TestOwner::UnindexIfOnlyHandle(Record& record) {
  MutexLock lock(mutex_);
  if (record.handles() != 1) return false;
  index_.erase(record.IdOrNil());
  record.SetIndexed(false);
  return true;
}

ObjectRef TestOwner::Find(const ObjectId& id) {
  MutexLock lock(mutex_);
  const auto at = index_.find(id);
  if (at == index_.end()) return {};
  Record& record = *at->second;
  if (record.is_cache()) {
    record.ReviveHandle();
    return ObjectRef::Adopt(&record);
  }
  return record.AddHandleIfAny() ? ObjectRef::Adopt(&record) : ObjectRef();
}

bool TestOwner::Evict(const ObjectId& id) {
  Record* record = nullptr;
  {
    MutexLock lock(mutex_);
    const auto at = index_.find(id);
    if (at == index_.end() || !at->second->TryEvict()) return false;
    record = at->second;
    record->SetIndexed(false);
    index_.erase(at);
  }
  record->DropHold();  // the index's
  return true;
}

std::size_t TestOwner::indexed() {
  MutexLock lock(mutex_);
  return index_.size();
}

ErrorPtr TestOwner::OnDecodeKept(Record& record, std::size_t bytes) {
  if (!keeps_decodes_) {
    return MakeError({.code = absl::StatusCode::kResourceExhausted, .kind = ErrorKind::kStoreFull});
  }
  record.add_accounted(bytes);
  bytes_ += static_cast<std::int64_t>(bytes);
  ++decodes_kept_;
  return nullptr;
}

void TestOwner::OnDecodeDropped(Record& record, std::size_t bytes) {
  record.add_accounted(0 - bytes);
  bytes_ -= static_cast<std::int64_t>(bytes);
  --decodes_kept_;
}

}  // namespace rustyray::core
