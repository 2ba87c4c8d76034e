// StoreUnderTest: what tests of the task layer run over: a real store, chosen by what is linked (MakeStoreUnderTest),
// behind a RecordOwner that counts what it passes on and may refuse more than the store does.
//
// The same tests pass whatever the store is: they ask what tasks see, and not where values lie.
// Threads: any, but the set_ functions: before records are made. It outlives its records.
#ifndef RUSTYRAY_TASK_STORE_UNDER_TEST_H_
#define RUSTYRAY_TASK_STORE_UNDER_TEST_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <set>
#include <utility>

#include "core/error.h"
#include "core/id.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/waiting.h"
#include "object_store/object_store.h"

namespace rustyray::task {

struct MadeStore {
  std::unique_ptr<object_store::ObjectStore> store;
  // Bytes of objects that lie elsewhere, whatever the store says of them; null: none do.
  std::function<std::size_t()> bytes_elsewhere = nullptr;
};
// Each of the targets :memory_store_under_test and :shm_store_under_test defines it; a test links one of them.
// `encodes`: values with a codec are to be kept as bytes; without it a store may do as it likes.
MadeStore MakeStoreUnderTest(const object_store::StoreOptions& options, bool encodes);

class StoreUnderTest final : public core::RecordOwner {
 public:
  explicit StoreUnderTest(core::Waiting& waiting);

  // Results larger than this many bytes are rejected with ResourceExhausted.
  void set_largest(std::size_t bytes) { largest_ = bytes; }
  // Values with a codec are kept as bytes, also where the store need not.
  void set_encodes(bool encodes);
  // Whether there is room to keep decodes.
  void set_keeps_decodes(bool keeps) { keeps_decodes_ = keeps; }

  // Puts `value`: an owned object, or a cache object.
  template <class T>
  core::ObjectRef Put(T value) {
    return Passed(made_.store->Put(std::move(value), {.lifetime = object_store::Lifetime::kOwned}).value());
  }
  template <class T>
  core::ObjectRef PutCache(T value) {
    return Passed(made_.store->Put(std::move(value), {.lifetime = object_store::Lifetime::kCache}).value());
  }
  // A ref to the object of that id; null when there is none.
  core::ObjectRef Find(const core::ObjectId& id);
  // Evicts a cache object. False when it is pinned: then it stays.
  bool Evict(const core::ObjectId& id);

  // What the store says is in it: nothing may be left at the end of a test.
  int values() { return static_cast<int>(made_.store->Statistics().objects); }
  std::size_t bytes() { return made_.store->Statistics().bytes; }
  std::size_t bytes_elsewhere() { return made_.bytes_elsewhere != nullptr ? made_.bytes_elsewhere() : 0; }
  // How many of the ids that were given out still lead to an object.
  std::size_t indexed();
  int admitted() const { return admitted_.load(); }  // ever
  int gone() const { return gone_.load(); }
  int borrows() const { return borrows_.load(); }  // now

  core::ErrorPtr Admit(core::Record& record) override;
  void OnValueGone(core::Record& record, std::size_t bytes) override;
  void OnLastHandle(core::Record& record) override { inner().OnLastHandle(record); }
  core::ObjectId Index(core::Record& record) override;
  bool UnindexIfOnlyHandle(core::Record& record) override { return inner().UnindexIfOnlyHandle(record); }
  void OnFirstView(core::Record& record) override { inner().OnFirstView(record); }
  void OnViewsAbandoned(core::Record& record) override { inner().OnViewsAbandoned(record); }
  void OnBorrow(core::Record& record, bool begins) override;
  core::ErrorPtr OnDecodeKept(core::Record& record, std::size_t bytes) override;
  void OnDecodeDropped(core::Record& record, std::size_t bytes) override { inner().OnDecodeDropped(record, bytes); }
  void OnUnpinned() override { inner().OnUnpinned(); }

 private:
  void MakeStore(bool encodes);
  core::RecordOwner& inner() { return *inner_; }
  // Has a record that was just put tell this instead of the store.
  core::ObjectRef Passed(core::ObjectRef ref);
  void NoteId(const core::ObjectId& id);

  MadeStore made_;
  core::RecordOwner* inner_ = nullptr;  // the store's
  std::size_t largest_ = static_cast<std::size_t>(-1);
  bool keeps_decodes_ = true;
  std::atomic<int> admitted_{0}, gone_{0}, borrows_{0};
  core::Mutex mutex_;
  std::set<core::ObjectId> ids_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rustyray::task

#endif  // RUSTYRAY_TASK_STORE_UNDER_TEST_H_
