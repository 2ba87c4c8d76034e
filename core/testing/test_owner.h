// TestOwner: a small RecordOwner for tests of core and of what lies on it: counts what it hears, admits everything
// unless told otherwise, and may encode what it admits, as a store of another process would.
//
// Threads: any, but the set_ functions: before records are made. It outlives its records.
#ifndef RUSTYRAY_CORE_TESTING_TEST_OWNER_H_
#define RUSTYRAY_CORE_TESTING_TEST_OWNER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <new>
#include <utility>

#include "core/codec.h"
#include "core/error.h"
#include "core/id.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/stored.h"
#include "core/type_info.h"
#include "core/waiting.h"

namespace rustyray::core {

class TestOwner final : public RecordOwner {
 public:
  explicit TestOwner(Waiting& waiting, HandleObserver* observer = nullptr) : RecordOwner(waiting, observer) {}

  // Values larger than this many bytes are rejected with ResourceExhausted.
  void set_largest(std::size_t bytes) { largest_ = bytes; }
  // Values with a codec are kept as bytes.
  void set_encodes(bool encodes) { encodes_ = encodes; }
  // Whether there is room to keep decodes.
  void set_keeps_decodes(bool keeps) { keeps_decodes_ = keeps; }
  void CloseForTest() { Close(); }

  // Puts `value`: an owned object.
  template <class T>
  ObjectRef Put(T value) {
    auto* const stored = new Stored<T, CoreCodecs>(std::move(value));
    stored->Adopt(*this);
    Place(*stored);
    stored->PublishUnshared();
    return ObjectRef::Adopt(stored);
  }
  // Puts `value`: a cache object, indexed.
  template <class T>
  ObjectRef PutCache(T value) {
    auto* const stored = new Stored<T, CoreCodecs>(std::move(value));
    stored->set_cache();
    stored->Adopt(*this);
    Place(*stored);
    stored->PublishUnshared();
    stored->AddHold();  // the index's
    Index(*stored);
    return ObjectRef::Adopt(stored);
  }
  // A ref to the object of that id; null when there is none.
  ObjectRef Find(const ObjectId& id);
  // Takes a cache object out of the index and evicts it. False when it is pinned: then it stays.
  bool Evict(const ObjectId& id);

  // Net of what was admitted and went: nothing may be left at the end of a test.
  std::int64_t bytes() const { return bytes_.load(); }
  int values() const { return admitted_.load() - gone_.load(); }
  int admitted() const { return admitted_.load(); }
  int gone() const { return gone_.load(); }
  int first_views() const { return first_views_.load(); }
  int views_abandoned() const { return views_abandoned_.load(); }
  int borrows() const { return borrows_.load(); }  // now
  int borrowed() const { return borrowed_.load(); }
  int decodes_kept() const { return decodes_kept_.load(); }
  int unpinned() const { return unpinned_.load(); }
  std::size_t indexed();

  ErrorPtr Admit(Record& record) override;
  void OnValueGone(Record& record, std::size_t bytes) override;
  void OnLastHandle(Record& record) override;
  ObjectId Index(Record& record) override;
  bool UnindexIfOnlyHandle(Record& record) override;
  void OnFirstView(Record&) override { ++first_views_; }
  void OnViewsAbandoned(Record&) override { ++views_abandoned_; }
  void OnBorrow(Record&, bool begins) override {
    borrows_ += begins ? 1 : -1;
    borrowed_ += begins ? 1 : 0;
  }
  ErrorPtr OnDecodeKept(Record& record, std::size_t bytes) override;
  void OnDecodeDropped(Record& record, std::size_t bytes) override;
  void OnUnpinned() override { ++unpinned_; }

 private:
  // Admits a value whatever its size: puts are never rejected.
  void Place(Record& record);

  std::size_t largest_ = static_cast<std::size_t>(-1);
  bool encodes_ = false;
  bool keeps_decodes_ = true;
  std::atomic<std::int64_t> bytes_{0};
  std::atomic<int> admitted_{0}, gone_{0}, first_views_{0}, views_abandoned_{0}, borrows_{0}, borrowed_{0},
      decodes_kept_{0}, unpinned_{0};
  Mutex mutex_;
  std::map<ObjectId, Record*> index_ ABSL_GUARDED_BY(mutex_);
};

// A record that a test seals by hand: what a result of another engine would be.
template <class T>
class Promised final : public Record {
 public:
  explicit Promised(RecordOwner& owner) : Record(0, false) { Adopt(owner); }
  // False when it was sealed already. Any number of threads may try.
  bool Seal(T value) {
    if (made_.exchange(true)) return false;
    return SealValue({.type = &TypeInfoOf<T, CoreCodecs>(), .data = ::new (room_) T(std::move(value))}, 0);
  }

 private:
  std::atomic<bool> made_{false};
  alignas(T) std::byte room_[sizeof(T)];
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_TESTING_TEST_OWNER_H_
