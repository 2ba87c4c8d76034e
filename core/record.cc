#include "core/record.h"

#include <sched.h>

#include <cassert>
#include <new>
#include <span>
#include <string_view>
#include <utility>

#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/record_extras.h"

namespace rustyray::core {

// What one thread put off. Waiters go first: somebody waits for them.
struct DeferredQueue {
  Waiter* first_waiter = nullptr;
  Waiter* last_waiter = nullptr;
  Record* records = nullptr;  // each needs FinishHandles, or FinishStorage when its holds are gone
  bool draining = false;

  void PushWaiters(Waiter* first) {
    Waiter* last = first;
    while (last->next != nullptr) last = last->next;
    if (last_waiter != nullptr) {
      last_waiter->next = first;
    } else {
      first_waiter = first;
    }
    last_waiter = last;
  }

  void PushRecord(Record& record) {
    record.next_deferred_ = records;
    records = &record;
  }

  void Drain() {
    const bool outer = std::exchange(draining, true);
    while (first_waiter != nullptr || records != nullptr) {
      if (Waiter* const waiter = first_waiter; waiter != nullptr) {
        first_waiter = waiter->next;
        if (first_waiter == nullptr) last_waiter = nullptr;
        waiter->fire(*waiter);
        continue;
      }
      Record& record = *std::exchange(records, records->next_deferred_);
      if ((record.counts_.load(std::memory_order_relaxed) & Record::kHolds) == 0) {
        record.FinishStorage();
      } else {
        record.FinishHandles();
      }
    }
    draining = outer;
  }

  void DrainUnlessDraining() {
    if (!draining) Drain();
  }
};

namespace {

thread_local constinit DeferredQueue deferred_queue;

}  // namespace

void DrainDeferred() {
  if (deferred_queue.first_waiter != nullptr || deferred_queue.records != nullptr) deferred_queue.Drain();
}

Record::~Record() {
  DropCharge();
  delete extras_.load(std::memory_order_acquire);
}

// --- Counts.

bool Record::AddHandleIfAny() {
  std::uint64_t counts = counts_.load(std::memory_order_relaxed);
  while ((counts & kHandles) != 0) {
    if (counts_.compare_exchange_weak(counts, counts + kHandle, std::memory_order_acq_rel)) return true;
  }
  return false;
}

bool Record::ReviveHandle() {
  std::uint64_t counts = counts_.load(std::memory_order_relaxed);
  for (;;) {
    const bool first = (counts & kHandles) == 0;
    if (counts_.compare_exchange_weak(counts, counts + kHandle + (first ? kHold : 0), std::memory_order_acq_rel)) {
      return first;
    }
  }
}

void Record::DropCacheHandle() {
  // The last handle and the hold of all handles go in one step: with the hold alone the object would look pinned, and
  // an eviction would pass it by. So the observer is told before, while the handle keeps the storage.
  HandleObserver* const observer = owner_ != nullptr ? owner_->observer() : nullptr;
  bool told = false;
  std::uint64_t counts = counts_.load(std::memory_order_acquire);
  for (;;) {
    const bool last = (counts & kHandles) == kHandle;
    if (observer != nullptr && last != told) {
      if (last) {
        observer->OnLastHandle(*this);
      } else {
        observer->OnFirstHandle(*this);  // it was found meanwhile
      }
      told = last;
    }
    if (counts_.compare_exchange_weak(counts, counts - kHandle - (last ? kHold : 0), std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
      if (last && (counts & kHolds) == kHold) StorageGone();
      return;
    }
  }
}

void Record::DropOnlyHandle() {
  const std::uint32_t seen = state(std::memory_order_acquire);
  // Looked at again: until it went from the index, somebody may have found it there.
  const bool plain = (seen & (kValue | kError)) && !(seen & (kIndexed | kCache | kViewed)) &&
                     counts_.load(std::memory_order_acquire) == kHandle + kHold;
  if (!plain || deferred_queue.draining) {
    if (seen & kCache) return DropCacheHandle();
    if ((counts_.fetch_sub(kHandle, std::memory_order_acq_rel) & kHandles) == kHandle) HandlesGone();
    return;
  }
  // The common end: nobody else can reach the record any more, so that nothing of it need be atomic or put off.
  deferred_queue.draining = true;
  if (owner_ != nullptr) {
    if (HandleObserver* const observer = owner_->observer()) observer->OnLastHandle(*this);
  }
  FinishStorage();
  deferred_queue.Drain();  // what the value referred to
  deferred_queue.draining = false;
}

void Record::HandlesGone() {
  deferred_queue.PushRecord(*this);
  deferred_queue.DrainUnlessDraining();
}

void Record::StorageGone() {
  deferred_queue.PushRecord(*this);
  deferred_queue.DrainUnlessDraining();
}

void Record::FinishHandles() {
  if (owner_ != nullptr) {
    if (is_indexed()) owner_->OnLastHandle(*this);
    if (HandleObserver* const observer = owner_->observer()) observer->OnLastHandle(*this);
  }
  // A pending record is told apart from a sealed one in the very word that sealing changes, so exactly one of the two
  // sides frees the value.
  std::uint32_t seen = state(std::memory_order_acquire);
  if (!(seen & (kValue | kError))) seen = state_.fetch_or(kOrphaned, std::memory_order_acq_rel);
  if (seen & kViewed) {
    GiveUpAnchor();
  } else if (seen & kValue) {
    ReleaseValue();
  }
  DropHold();
}

void Record::FinishStorage() {
  ReleaseValue();
  delete this;
}

void Record::ReleaseValue() {
  if ((state(std::memory_order_acquire) & kValue) && value_.data != nullptr) DestroyValue();
}

void Record::DestroyValue() {
  if (value_.native && value_.type->destroy != nullptr) value_.type->destroy(const_cast<void*>(value_.data));
  if (RecordExtras* const extras = extras_.load(std::memory_order_acquire)) {
    extras->inner.clear();
  }
  if (owner_ != nullptr) owner_->OnValueGone(*this, accounted());
  value_.data = nullptr;
}

// --- Sealing.

ErrorPtr Record::Take(const Value& value, std::size_t size_beside) {
  value_ = value;
  set_accounted(size_beside);
  ErrorPtr rejected = owner_ != nullptr ? owner_->Admit(*this) : nullptr;
  if (rejected != nullptr) {
    if (value_.native && value_.type->destroy != nullptr) value_.type->destroy(const_cast<void*>(value_.data));
    value_ = {};
  }
  return rejected;
}

bool Record::SealValue(const Value& value, std::size_t size_beside) {
  if (state(std::memory_order_acquire) & kSealing) {
    if (value.type->destroy != nullptr) value.type->destroy(const_cast<void*>(value.data));
    return false;
  }
  if (ErrorPtr rejected = Take(value, size_beside)) return SealError(std::move(rejected));
  if (Publish(kValue, Sealing::kNow)) [[likely]]
    return true;
  DestroyValue();
  return false;
}

void Record::PublishValue(const Value& value, std::size_t size_beside) {
  if (ErrorPtr rejected = Take(value, size_beside)) return PublishError(std::move(rejected));
  Publish(kValue, Sealing::kIsMine);
}

bool Record::SealError(ErrorPtr error) {
  if (!BeginSeal()) return false;
  PublishError(std::move(error));
  return true;
}

void Record::PublishError(ErrorPtr error) {
  Extras().error = std::move(error);
  Publish(kError, Sealing::kIsMine);
}

bool Record::MakeVoid() {
  std::uint32_t seen = state(std::memory_order_relaxed);
  do {
    if (!(seen & kMayRunAgain) || (seen & kSealing)) return false;
  } while (!state_.compare_exchange_weak(seen, seen | kVoid, std::memory_order_acq_rel, std::memory_order_relaxed));
  return true;
}

Record::RunEnd Record::EndRun() {
  std::uint32_t seen = state(std::memory_order_acquire);
  do {
    if (seen & kVoid) return RunEnd::kVoid;
    if (seen & kSealing) return RunEnd::kSealedBefore;
  } while (!state_.compare_exchange_weak(seen, seen | kSealing, std::memory_order_acq_rel, std::memory_order_acquire));
  return RunEnd::kSeals;
}

bool Record::Publish(std::uint32_t how, Sealing sealing) {
  const std::uint32_t taken = sealing == Sealing::kNow ? std::uint32_t{kSealing} : 0u;
  std::uint32_t seen = state(std::memory_order_relaxed);
  while (!(seen & (kLock | kHasWaiters | taken))) {
    if (!state_.compare_exchange_weak(seen, seen | kSealing | how, std::memory_order_acq_rel,
                                      std::memory_order_relaxed)) {
      continue;
    }
    if ((seen & kOrphaned) && how == kValue) ReleaseValue();
    return true;
  }
  if (sealing == Sealing::kNow && !BeginSeal()) return false;
  LockBit();
  Waiter* const waiters = std::exchange(waiters_, nullptr);
  seen = state_.fetch_or(how, std::memory_order_acq_rel);
  UnlockBit();
  if ((seen & kOrphaned) && how == kValue) ReleaseValue();
  if (waiters == nullptr) return true;
  deferred_queue.PushWaiters(waiters);
  deferred_queue.DrainUnlessDraining();
  return true;
}

// --- Waiters.

bool Record::AddWaiter(Waiter& waiter) {
  if (ready()) return false;
  LockBit();
  if (ready()) {
    UnlockBit();
    return false;
  }
  state_.fetch_or(kHasWaiters, std::memory_order_relaxed);
  waiter.previous = nullptr;
  waiter.next = waiters_;
  if (waiters_ != nullptr) waiters_->previous = &waiter;
  waiters_ = &waiter;
  UnlockBit();
  return true;
}

bool Record::RemoveWaiter(Waiter& waiter) {
  LockBit();
  if (ready()) {
    UnlockBit();
    return false;
  }
  (waiter.previous != nullptr ? waiter.previous->next : waiters_) = waiter.next;
  if (waiter.next != nullptr) waiter.next->previous = waiter.previous;
  UnlockBit();
  return true;
}

void Record::LockBit() {
  ++locks_taken_by_this_thread;
  for (int spins = 0; state_.fetch_or(kLock, std::memory_order_acquire) & kLock;) {
    while (state_.load(std::memory_order_relaxed) & kLock) {
      if (++spins % 64 == 0) sched_yield();
    }
  }
}

// --- Reading.

ErrorPtr Record::error() const { return extras_.load(std::memory_order_acquire)->error; }

bool Record::PinIfPresent() {
  if (!(counts_.fetch_add(kHold, std::memory_order_acq_rel) & kEvicted)) return true;
  DropHold();
  return false;
}

void Record::Unpin() {
  RecordOwner* const owner = owner_;  // outlives the record
  DropHold();
  if (owner != nullptr) owner->OnUnpinned();
}

namespace {

// The deleter of an anchor: frees the decode, if it is one, and gives the hold back.
struct AnchorDeleter {
  Record* record;
  std::atomic<int>* live;       // null for the Views of cache objects, which nobody counts
  const TypeInfo* decode_type;  // null when the object is the record's own

  void operator()(const void* object) const {
    if (decode_type != nullptr) {
      if (decode_type->destroy != nullptr) decode_type->destroy(const_cast<void*>(object));
      ::operator delete (const_cast<void*>(object), std::align_val_t{decode_type->align});
    }
    if (live == nullptr) {
      record->Unpin();
      return;
    }
    live->fetch_sub(1, std::memory_order_release);
    record->DropHold();
  }
};

}  // namespace

absl::StatusOr<std::shared_ptr<const void>> Record::MakeAnchor(std::atomic<int>* live) {
  if (value_.native) {
    AddHold();
    if (live != nullptr) live->fetch_add(1, std::memory_order_relaxed);
    return std::shared_ptr<const void>(value_.data, AnchorDeleter{this, live, nullptr});
  }
  const TypeInfo& type = *value_.type;
  void* const room = ::operator new (type.size, std::align_val_t{type.align});
  absl::Status decoded =
      type.codec->decode(std::string_view(static_cast<const char*>(value_.data), value_.size), inner_refs(), room);
  if (!decoded.ok()) {
    ::operator delete (room, std::align_val_t{type.align});
    return decoded;
  }
  AddHold();
  if (live != nullptr) live->fetch_add(1, std::memory_order_relaxed);
  return std::shared_ptr<const void>(room, AnchorDeleter{this, live, &type});
}

absl::StatusOr<std::shared_ptr<const void>> Record::View() {
  if (is_cache()) {
    if (!PinIfPresent()) {
      return MakeStatus(absl::StatusCode::kNotFound, ErrorKind::kEvicted, "the object was evicted from its store");
    }
    auto view = MakeAnchor(nullptr);
    Unpin();
    return view;
  }
  if (const std::shared_ptr<const void>* const anchor = AnchorIfViewed()) return *anchor;
  RecordExtras& extras = Extras();
  auto made = MakeAnchor(&extras.live_anchors);
  if (!made.ok()) return made.status();
  std::size_t decode_bytes = 0;
  if (!value_.native && owner_ != nullptr) {
    decode_bytes = value_.type->accounted != nullptr ? value_.type->accounted(made->get()) : value_.type->size;
    if (owner_->OnDecodeKept(*this, decode_bytes) != nullptr) return made;
  }
  LockBit();
  const bool first = !(state(std::memory_order_relaxed) & kViewed);
  if (first) {
    extras.anchor = *made;
    state_.fetch_or(kViewed, std::memory_order_release);
  }
  std::shared_ptr<const void> view = extras.anchor;
  UnlockBit();
  if (owner_ != nullptr) {
    if (first) {
      owner_->OnFirstView(*this);
    } else if (!value_.native) {
      owner_->OnDecodeDropped(*this, decode_bytes);
    }
  }
  return view;
}

const std::shared_ptr<const void>& Record::Anchor() const { return extras_.load(std::memory_order_relaxed)->anchor; }

bool Record::HasViews() {
  if (!(state(std::memory_order_acquire) & kViewed)) return false;
  LockBit();
  const bool out = extras_.load(std::memory_order_relaxed)->anchor.use_count() > 1;
  UnlockBit();
  return out;
}

bool Record::TakeIfOnlyHandleSlow() {
  if (is_cache() || handles() != 1) return false;
  const bool indexed = is_indexed();
  if (indexed && !owner_->UnindexIfOnlyHandle(*this)) return false;
  if (!(state(std::memory_order_acquire) & kViewed)) return true;
  // Give the record's share of the anchor up and see whether its deleter ran: a use count alone orders nothing.
  RecordExtras& extras = *extras_.load(std::memory_order_relaxed);
  LockBit();
  std::shared_ptr<const void> share = std::move(extras.anchor);
  state_.fetch_and(~kViewed, std::memory_order_relaxed);
  UnlockBit();
  const std::weak_ptr<const void> weak = share;
  share.reset();
  while (extras.live_anchors.load(std::memory_order_acquire) != 0) {
    if (std::shared_ptr<const void> back = weak.lock()) {
      LockBit();
      extras.anchor = std::move(back);
      state_.fetch_or(kViewed, std::memory_order_release);
      UnlockBit();
      if (indexed) owner_->Index(*this);
      return false;
    }
    sched_yield();  // the last View's deleter is on its way in another thread
  }
  if (owner_ != nullptr) owner_->OnViewsAbandoned(*this);
  return true;
}

void Record::GiveUpAnchor() {
  if (owner_ != nullptr) owner_->OnViewsAbandoned(*this);
  RecordExtras& extras = *extras_.load(std::memory_order_acquire);
  LockBit();
  std::shared_ptr<const void> share = std::move(extras.anchor);
  state_.fetch_and(~kViewed, std::memory_order_relaxed);
  UnlockBit();
  share.reset();
  if (extras.live_anchors.load(std::memory_order_acquire) == 0) ReleaseValue();
}

// --- For stores.

RecordExtras& Record::Extras() {
  RecordExtras* seen = extras_.load(std::memory_order_acquire);
  if (seen != nullptr) return *seen;
  auto made = std::make_unique<RecordExtras>();
  if (extras_.compare_exchange_strong(seen, made.get(), std::memory_order_acq_rel)) return *made.release();
  return *seen;
}

void Record::Adopt(RecordOwner& owner) {
  owner_ = &owner;
  if (HandleObserver* const observer = owner.observer()) observer->OnFirstHandle(*this);
}

void Record::MoveToBytes(const void* bytes, std::size_t size, std::vector<ObjectRef> inner) {
  if (value_.native && value_.type->destroy != nullptr) value_.type->destroy(const_cast<void*>(value_.data));
  value_.data = bytes;
  value_.size = size;
  value_.native = false;
  if (!inner.empty()) Extras().inner = std::move(inner);
}

std::span<const ObjectRef> Record::inner_refs() const {
  const RecordExtras* const extras = extras_.load(std::memory_order_acquire);
  return extras != nullptr ? std::span<const ObjectRef>(extras->inner) : std::span<const ObjectRef>();
}

ObjectId Record::IdOrNil() const {
  const RecordExtras* const extras = extras_.load(std::memory_order_acquire);
  return extras != nullptr ? extras->id : ObjectId::Nil();
}

Account* Record::ChargeInExtras() const { return extras_.load(std::memory_order_acquire)->charge; }

void Record::ChangeCharge(Account* charge) {
  Account* const before = this->charge();
  if (charge != nullptr) {
    charge->AddRef();
    Extras().charge = charge;
    state_.fetch_or(kCharged, std::memory_order_release);
  } else if (before != nullptr) {
    state_.fetch_and(~kCharged, std::memory_order_relaxed);
  }
  if (before != nullptr) before->DropRef();
}

void Record::set_id(const ObjectId& id) { Extras().id = id; }

void Record::set_place(std::uint64_t place) { Extras().place.store(place, std::memory_order_relaxed); }

std::uint64_t Record::place() const {
  const RecordExtras* const extras = extras_.load(std::memory_order_acquire);
  return extras != nullptr ? extras->place.load(std::memory_order_relaxed) : 0;
}

std::atomic<std::uint64_t>& Record::recency() { return Extras().recency; }

bool Record::TryEvict() {
  std::uint64_t counts = counts_.load(std::memory_order_acquire);
  do {
    const std::uint64_t base = (counts & kHandles) == 0 ? kHold : 2 * kHold;
    if ((counts & kEvicted) || (counts & kHolds) != base) return false;
  } while (!counts_.compare_exchange_weak(counts, counts | kEvicted, std::memory_order_acq_rel));
  ReleaseValue();
  return true;
}

bool Record::pinned_in_cache() const {
  const std::uint64_t counts = counts_.load(std::memory_order_acquire);
  const std::uint64_t unpinned = ((counts & kHandles) == 0 ? 0 : kHold) + (is_indexed() ? kHold : 0);
  return (counts & kHolds) > unpinned;
}

}  // namespace rustyray::core
