#include "task/store_under_test.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace rustyray::task {
namespace {

core::ErrorPtr Refused() {
  return core::MakeError({.code = absl::StatusCode::kResourceExhausted,
                          .kind = core::ErrorKind::kStoreFull,
                          .message = "more than the test lets the store take"});
}

}  // namespace

StoreUnderTest::StoreUnderTest(core::Waiting& waiting) : RecordOwner(waiting, nullptr) { MakeStore(false); }

void StoreUnderTest::set_encodes(bool encodes) { MakeStore(encodes); }

void StoreUnderTest::MakeStore(bool encodes) {
  // The test keeps the waiting.
  made_ = MakeStoreUnderTest({.waiting = {std::shared_ptr<void>(), &waiting()}}, encodes);
  inner_ = &made_.store->owner();
}

core::ObjectRef StoreUnderTest::Passed(core::ObjectRef ref) {
  ++admitted_;
  ref.record()->Adopt(*this);
  if (ref.record()->is_cache()) NoteId(ref.record()->IdOrNil());
  return ref;
}

void StoreUnderTest::NoteId(const core::ObjectId& id) {
  core::MutexLock lock(mutex_);
  ids_.insert(id);
}

core::ObjectRef StoreUnderTest::Find(const core::ObjectId& id) {
  absl::StatusOr<core::ObjectRef> found = made_.store->Find(id);
  return found.ok() ? *std::move(found) : core::ObjectRef();
}

bool StoreUnderTest::Evict(const core::ObjectId& id) {
  const core::ObjectRef ref = Find(id);
  if (!ref || !ref.record()->TryEvict()) return false;
  (void)made_.store->Delete(id);
  return true;
}

std::size_t StoreUnderTest::indexed() {
  core::MutexLock lock(mutex_);
  std::size_t found = 0;
  for (const core::ObjectId& id : ids_) found += made_.store->Contains(id) ? 1 : 0;
  return found;
}

core::ErrorPtr StoreUnderTest::Admit(core::Record& record) {
  const core::Value& value = record.value();
  if (value.type->AccountedSizeOf(value.data) + record.accounted() > largest_) return Refused();
  if (core::ErrorPtr rejected = inner().Admit(record)) return rejected;
  ++admitted_;
  return nullptr;
}

void StoreUnderTest::OnValueGone(core::Record& record, std::size_t bytes) {
  ++gone_;
  inner().OnValueGone(record, bytes);
}

core::ObjectId StoreUnderTest::Index(core::Record& record) {
  const core::ObjectId id = inner().Index(record);
  NoteId(id);
  return id;
}

void StoreUnderTest::OnBorrow(core::Record& record, bool begins) {
  borrows_ += begins ? 1 : -1;
  inner().OnBorrow(record, begins);
}

core::ErrorPtr StoreUnderTest::OnDecodeKept(core::Record& record, std::size_t bytes) {
  return keeps_decodes_ ? inner().OnDecodeKept(record, bytes) : Refused();
}

}  // namespace rustyray::task
