// Record: what an object ref points at, and the storage of its value. Pending, then a value or an error, for ever.
//
// Two counts in one word. Handles (refs of users, arguments of calls) mean the value: uniqueness, and the owner's
// hooks. Holds (a queue's entry, a runner, Views) mean the storage. All handles together own one hold.
//
// Invariants:
//   - Sealing happens once. Its one maker sets a value and has it admitted, then seals and publishes it in one step
//   (but
//     for runs that may be void: their end is decided first). An error lies apart, so that who seals one meanwhile
//     writes nothing that the maker writes. The loser destroys what it made.
//   - Claiming and sealing are apart: who wins Claim, and nobody else, destroys the arguments of a call.
//   - The value goes with the last handle, unless a View is out: then with the last View. A cache object's value goes
//     when it is evicted, or with its storage.
//   - What a waiter is told, and what a release frees, runs from a per-thread queue (DrainDeferred), never by
//     recursion: a chain of a million records is dropped in constant stack.
// Threads: all methods, any thread, unless said otherwise. Readers of a value hold a handle or a View.
#ifndef RUSTYRAY_CORE_RECORD_H_
#define RUSTYRAY_CORE_RECORD_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/account.h"
#include "core/block_cache.h"
#include "core/error.h"
#include "core/id.h"
#include "core/type_info.h"

namespace rustyray::core {

class ObjectRef;
class Record;
class Waiting;
struct RecordExtras;

// Hears of the handles of records: what an owner service needs to know. Calls come from the thread that does it and
// must be short; `slot` is a word in the record that belongs to the observer.
class HandleObserver {
 public:
  virtual ~HandleObserver() = default;
  virtual void OnFirstHandle(Record& record) = 0;
  virtual void OnLastHandle(Record& record) = 0;
  // A call in flight got `argument` as a ref, or gave it back.
  virtual void OnSubmitted(Record& argument) = 0;
  virtual void OnArgumentReleased(Record& argument) = 0;
};

// What a record tells and asks: implemented by stores. It outlives all records that point at it, also when its store
// is gone (`closed`).
class RecordOwner {
 public:
  // Accounts the value just set, in place, or moves it elsewhere. An error rejects it: the record then seals that.
  virtual ErrorPtr Admit(Record& record) = 0;
  // The value of `record` is gone; `bytes` as admitted. If it was encoded, value() still says where its bytes lie: they
  // are the owner's to free.
  virtual void OnValueGone(Record& record, std::size_t bytes) = 0;
  // The last handle of an owned record went. Its id, if any, must no longer be found when this returns.
  virtual void OnLastHandle(Record& record) = 0;
  // Makes `record` findable under its id (drawn now if it has none). Idempotent.
  virtual ObjectId Index(Record& record) = 0;
  // If the caller's handle is the only one, takes the record out of the index and says true. Afterwards nobody can
  // gain another handle.
  virtual bool UnindexIfOnlyHandle(Record& record) = 0;
  virtual void OnFirstView(Record& record) = 0;
  // The record gives up its share of the anchor of its Views; the value lives on while Views are out.
  virtual void OnViewsAbandoned(Record& record) = 0;
  // A call that runs begins or ends to read it in place.
  virtual void OnBorrow(Record& record, bool begins) = 0;
  // A decoded copy of `bytes` bytes is to be kept beside the encoded value: adds them to accounted(), or says why not.
  virtual ErrorPtr OnDecodeKept(Record& record, std::size_t bytes) = 0;
  // It was not kept after all.
  virtual void OnDecodeDropped(Record& record, std::size_t bytes) = 0;
  // A pin of some cache object went (which one does not matter, it may be gone): there may be more to evict.
  virtual void OnUnpinned() = 0;

  // True once the runtime or store behind it was shut down: reads report that.
  bool closed() const { return closed_.load(std::memory_order_acquire); }
  HandleObserver* observer() const { return observer_.load(std::memory_order_acquire); }
  Waiting& waiting() const { return *waiting_; }

 protected:
  // `waiting` blocks those who read pending records; it outlives the records. `observer` may be null; it is told until
  // Close.
  RecordOwner(Waiting& waiting, HandleObserver* observer) : waiting_(&waiting), observer_(observer) {}
  ~RecordOwner() = default;
  void Close() {
    closed_.store(true, std::memory_order_release);
    observer_.store(nullptr, std::memory_order_release);
  }

 private:
  Waiting* const waiting_;
  std::atomic<HandleObserver*> observer_;
  std::atomic<bool> closed_{false};
};

// "Tell me when it is ready": the one completion primitive. Embedded in what waits. `fire` runs once, on the thread
// that seals the record (from its deferred queue), with no lock held; it must not block.
struct Waiter {
  using Fire = void (*)(Waiter&);
  explicit Waiter(Fire fire) : fire(fire) {}
  const Fire fire;
  Waiter* next = nullptr;
  Waiter* previous = nullptr;
};

// What a record holds; it describes and owns nothing.
struct Value {
  const TypeInfo* type = nullptr;
  const void* data = nullptr;  // the native object, or its encoded bytes
  std::size_t size : 63 = 0;   // of the encoded bytes; unused when native
  bool native : 1 = true;
};

// Runs what the calling thread put off: waiters to tell, records to free. Called by whoever is about to block.
void DrainDeferred();

class Record {
 public:
  Record(const Record&) = delete;
  Record& operator=(const Record&) = delete;

  // --- Counts.
  void AddHandle() { counts_.fetch_add(kHandle, std::memory_order_relaxed); }
  void DropHandle() {
    if (counts_.load(std::memory_order_acquire) == kHandle + kHold) return DropOnlyHandle();
    if (is_cache()) return DropCacheHandle();
    if ((counts_.fetch_sub(kHandle, std::memory_order_acq_rel) & kHandles) == kHandle) HandlesGone();
  }
  void AddHold() { counts_.fetch_add(kHold, std::memory_order_relaxed); }
  void DropHold() {
    if ((counts_.fetch_sub(kHold, std::memory_order_acq_rel) & kHolds) == kHold) StorageGone();
  }
  // For an index: a handle if there still is one; or, for a cache object, in any case. ReviveHandle says whether it is
  // the first one again: then its caller tells the observer.
  bool AddHandleIfAny();
  bool ReviveHandle();
  std::uint32_t handles() const {
    return static_cast<std::uint32_t>(counts_.load(std::memory_order_acquire) & kHandles);
  }

  // --- State.
  bool ready() const { return state(std::memory_order_acquire) & (kValue | kError); }
  bool has_value() const { return state(std::memory_order_acquire) & kValue; }
  bool has_error() const { return state(std::memory_order_acquire) & kError; }
  bool claimed() const { return state(std::memory_order_acquire) & kClaimed; }
  bool is_void() const { return state(std::memory_order_acquire) & kVoid; }
  bool may_run_again() const { return state(std::memory_order_relaxed) & kMayRunAgain; }
  bool is_call() const { return state(std::memory_order_relaxed) & kCall; }
  bool is_cache() const { return state(std::memory_order_relaxed) & kCache; }
  bool is_indexed() const { return state(std::memory_order_acquire) & kIndexed; }
  // Whether this caller is the one that may run, or drop the arguments of, a call.
  bool Claim() { return !(state_.fetch_or(kClaimed, std::memory_order_acq_rel) & kClaimed); }

  // --- Sealing: once.
  // Sets the value, asks the owner to admit it, and publishes it, or the owner's rejection. `size_beside` counts toward
  // the value (room that the record leaves unused). False when an error was sealed before: then the value is destroyed.
  // True also for a rejection that was sealed. For the one who makes the value (the claimer of a call), once.
  bool SealValue(const Value& value, std::size_t size_beside);
  // False, and no effect, when the record is sealed already.
  bool SealError(ErrorPtr error);

  // --- Waiters.
  // False when the record is ready: then the waiter is not added and will not fire.
  bool AddWaiter(Waiter& waiter);
  // False when it has fired or is about to: then its owner must wait for that.
  bool RemoveWaiter(Waiter& waiter);

  // --- Reading; the caller has a handle or a View.
  const Value& value() const { return value_; }  // has_value() only
  ErrorPtr error() const;                        // has_error() only
  // Bytes accounted for the value.
  std::size_t accounted() const { return accounted_.load(std::memory_order_relaxed); }
  // Pins a value that may be evicted: false when it is gone. Unpin with Unpin. Owned objects need no pin.
  bool PinIfPresent();
  void Unpin();
  // The same for readers that do not know: nothing to do for owned objects.
  bool PinIfPresentCache() { return !is_cache() || PinIfPresent(); }
  void UnpinCache() {
    if (is_cache()) Unpin();
  }
  // A share in the stored object itself; of an encoded value, in the one decode of it that is kept. The first View
  // makes an anchor; later ones neither lock nor allocate. (An anchor for each View: cache objects, and decodes that
  // the owner has no room to keep.) Errors: evicted; bytes that do not decode.
  absl::StatusOr<std::shared_ptr<const void>> View();
  // What View returns, once the first one was made; null before, and for cache objects.
  const std::shared_ptr<const void>* AnchorIfViewed() const {
    return (state(std::memory_order_acquire) & kViewed) ? &Anchor() : nullptr;
  }
  // Whether any View is out.
  bool HasViews();
  // Whether the caller's handle is all there is: no other handle, View or pin. Then the caller may move the value out.
  bool TakeIfOnlyHandle() {
    if (handles() != 1) return false;  // first: from here on nobody marks it, unless it is found in the index
    return !(state(std::memory_order_acquire) & (kCache | kIndexed | kViewed)) || TakeIfOnlyHandleSlow();
  }
  // The refs inside an encoded value, held with its bytes.
  std::span<const ObjectRef> inner_refs() const;
  // Null until the id was asked for or given.
  ObjectId IdOrNil() const;

  // --- For stores (their RecordOwner) and tests.
  RecordOwner* owner() const { return owner_; }
  // Before anybody else can see the record. Tells the observer of the first handle.
  void Adopt(RecordOwner& owner);
  void set_cache() { state_.fetch_or(kCache, std::memory_order_relaxed); }
  // Sets the value of a record that nobody else can see yet, admitted as `accounted` bytes.
  void SetValue(const Value& value) { value_ = value; }
  // Whether it has none of the marks that make its end something special to its store.
  bool is_plain() const { return !(state(std::memory_order_acquire) & (kCache | kIndexed | kAbandoned | kCharged)); }
  // The owner's mark on a value whose Views outlive its handles.
  void set_abandoned() { state_.fetch_or(kAbandoned, std::memory_order_relaxed); }
  bool is_abandoned() const { return state(std::memory_order_relaxed) & kAbandoned; }
  void set_accounted(std::size_t bytes) { accounted_.store(bytes, std::memory_order_relaxed); }
  void add_accounted(std::size_t bytes) { accounted_.fetch_add(bytes, std::memory_order_relaxed); }
  void PublishUnshared() {
    state_.store(state(std::memory_order_relaxed) | kClaimed | kSealing | kValue, std::memory_order_release);
  }
  // Replaces a native value by encoded bytes, kept with `inner`; destroys the native. Before publishing only.
  void MoveToBytes(const void* bytes, std::size_t size, std::vector<ObjectRef> inner);
  void set_id(const ObjectId& id);
  // A number by which the store finds an encoded value's bytes; 0 before. Set once, before publishing; may be asked for
  // meanwhile, by whoever drops the last handle.
  void set_place(std::uint64_t place);
  std::uint64_t place() const;
  void SetIndexed(bool indexed) {
    if (indexed) {
      state_.fetch_or(kIndexed, std::memory_order_acq_rel);
    } else {
      state_.fetch_and(~kIndexed, std::memory_order_acq_rel);
    }
  }
  // Cache objects: takes the value away unless it is pinned. The caller has the index's hold. After it, PinIfPresent
  // says false and the value is destroyed.
  bool TryEvict();
  bool evicted() const { return counts_.load(std::memory_order_acquire) & kEvicted; }
  // Whether someone beside the index and the handles holds it (cache objects).
  bool pinned_in_cache() const;
  // A relaxed stamp of the last use, for eviction in order of use.
  std::atomic<std::uint64_t>& recency();
  // The account that the bytes are charged to; null: the owner's own. Set before Adopt, and before admission.
  Account* charge() const { return (state(std::memory_order_relaxed) & kCharged) ? ChargeInExtras() : nullptr; }
  void set_charge(Account* charge) {
    if (charge != nullptr || (state(std::memory_order_relaxed) & kCharged)) ChangeCharge(charge);
  }
  // Of values that were put: when the value is gone, and its bytes are given back.
  void DropCharge() { set_charge(nullptr); }
  // A word of the observer's.
  std::atomic<void*>& observer_slot() { return observer_slot_; }
  std::atomic<std::uint32_t>& submitted() { return submitted_; }

  static void* operator new(std::size_t size) { return BlockCache::Take(size); }
  static void* operator new(std::size_t size, std::align_val_t align) { return ::operator new(size, align); }
  static void operator delete(void* block, std::size_t size) { BlockCache::Give(block, size); }
  static void operator delete(void* block, std::size_t, std::align_val_t align) { ::operator delete(block, align); }

 protected:
  // One handle, the hold of all handles, and `holds` more.
  explicit Record(std::uint32_t holds, bool is_call)
      : counts_(kHandle + (1 + holds) * kHold), state_(is_call ? std::uint32_t{kCall} : 0u) {}
  virtual ~Record();

  // --- Of calls that may run again: a run of theirs may be made void, and then ends without a trace.
  void SetMayRunAgain(bool may) {
    if (may) {
      state_.fetch_or(kMayRunAgain, std::memory_order_relaxed);
    } else {
      state_.fetch_and(~kMayRunAgain, std::memory_order_relaxed);
    }
  }
  bool is_sealed_or_void() const { return state(std::memory_order_acquire) & (kSealing | kVoid); }
  // False, and no effect, when it is sealed or may not run again. True also when it was void before.
  bool MakeVoid();
  // At the end of a run that may be void: whether it is, and seals nothing; else who seals. Who does goes on with one
  // of the two below.
  enum class RunEnd : std::uint8_t { kSeals, kSealedBefore, kVoid };
  RunEnd EndRun();
  void PublishValue(const Value& value, std::size_t size_beside);
  void PublishError(ErrorPtr error);
  // After the end of a void run: as if it had not been claimed.
  void Unclaim() { state_.fetch_and(~(kClaimed | kVoid), std::memory_order_release); }
  // The record's own spin bit: short, never around anything that can block or call out.
  void LockBit();
  void UnlockBit() { state_.fetch_and(~kLock, std::memory_order_release); }

 private:
  friend struct DeferredQueue;
  enum StateBit : std::uint32_t {
    kClaimed = 1u << 0,
    kSealing = 1u << 1,
    kValue = 1u << 2,
    kError = 1u << 3,
    kLock = 1u << 4,
    kHasWaiters = 1u << 5,
    kOrphaned = 1u << 6,  // the last handle went while pending: the sealer frees the value
    kIndexed = 1u << 7,
    kCall = 1u << 8,
    kCache = 1u << 9,
    kViewed = 1u << 10,     // extras hold an anchor
    kAbandoned = 1u << 11,  // Views outlive the handles
    kMayRunAgain = 1u << 12,
    kVoid = 1u << 13,
    kCharged = 1u << 14,  // extras name the account
  };
  static constexpr std::uint64_t kHandle = 1;
  static constexpr std::uint64_t kHandles = 0xffff'ffff;
  static constexpr std::uint64_t kHold = std::uint64_t{1} << 32;
  static constexpr std::uint64_t kEvicted = std::uint64_t{1} << 63;
  static constexpr std::uint64_t kHolds = ~kHandles & ~kEvicted;

  std::uint32_t state(std::memory_order order) const { return state_.load(order); }
  bool BeginSeal() { return !(state_.fetch_or(kSealing, std::memory_order_acq_rel) & kSealing); }
  // Sets and admits the value; else destroys it and says why.
  ErrorPtr Take(const Value& value, std::size_t size_beside);
  enum class Sealing : std::uint8_t { kIsMine, kNow };
  // False, and no effect, if the sealing, to be done now, was begun by another.
  bool Publish(std::uint32_t how, Sealing sealing);
  const std::shared_ptr<const void>& Anchor() const;
  void DropCacheHandle();
  void DropOnlyHandle();
  Account* ChargeInExtras() const;
  void ChangeCharge(Account* charge);
  void HandlesGone();
  void StorageGone();
  void FinishHandles();  // from the deferred queue: owner hooks, the value, the handles' hold
  void FinishStorage();  // from the deferred queue: what is left, then delete
  void ReleaseValue();
  void DestroyValue();  // which is there and admitted
  bool TakeIfOnlyHandleSlow();
  void GiveUpAnchor();
  absl::StatusOr<std::shared_ptr<const void>> MakeAnchor(std::atomic<int>* live);
  RecordExtras& Extras();

  std::atomic<std::uint64_t> counts_;
  std::atomic<std::uint32_t> state_;
  std::atomic<std::uint32_t> submitted_{0};
  Waiter* waiters_ = nullptr;        // under kLock
  Record* next_deferred_ = nullptr;  // in one thread's deferred queue
  RecordOwner* owner_ = nullptr;
  Value value_;  // its maker's until it is published
  std::atomic<std::size_t> accounted_{0};
  std::atomic<RecordExtras*> extras_{nullptr};  // rare state, made on demand
  std::atomic<void*> observer_slot_{nullptr};
};

// Keeps a record's storage, and says nothing of its value: what waits and graphs use, since another handle would make a
// ref look shared.
class RecordHold {
 public:
  RecordHold() = default;
  explicit RecordHold(Record& record) : record_(&record) { record_->AddHold(); }
  RecordHold(RecordHold&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
  RecordHold& operator=(RecordHold other) noexcept {
    std::swap(record_, other.record_);
    return *this;
  }
  ~RecordHold() {
    if (record_ != nullptr) record_->DropHold();
  }
  explicit operator bool() const { return record_ != nullptr; }
  Record* operator->() const { return record_; }
  Record& operator*() const { return *record_; }

 private:
  Record* record_ = nullptr;
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_RECORD_H_
