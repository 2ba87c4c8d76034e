#include "object_store/store_core.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "core/call.h"
#include "core/error.h"
#include "core/executor.h"

namespace rustyray::object_store {
namespace {

// Cores that records may still point at. Never freed; reachable, so that leak checkers know them.
struct RetiredCores {
  core::Mutex mutex;
  std::vector<StoreCore*> all ABSL_GUARDED_BY(mutex);
};

std::shared_ptr<core::Waiting> MakeWaiting() {
  struct WithClock {
    std::unique_ptr<core::Clock> clock = core::MakeRealClock();
    core::Waiting waiting{*clock};
  };
  auto both = std::make_shared<WithClock>();
  return {both, &both->waiting};
}

bool IsOpaque(const core::Value& value) { return value.native && value.type->opaque; }

absl::Status Invalid(std::string_view message) {
  return core::MakeStatus(absl::StatusCode::kInvalidArgument, core::ErrorKind::kInvalid, message);
}

absl::Status Taken(const core::ObjectId& id) {
  return core::MakeStatus(absl::StatusCode::kAlreadyExists, core::ErrorKind::kInvalid,
                          absl::StrCat("there is an object with the id ", id.Hex()));
}

absl::Status NotThere(const core::ObjectId& id) {
  return core::MakeStatus(absl::StatusCode::kNotFound, core::ErrorKind::kInvalid,
                          absl::StrCat("there is no object with the id ", id.Hex()));
}

}  // namespace

absl::Status StoreCore::WasClosed() {
  return core::MakeStatus(absl::StatusCode::kFailedPrecondition, core::ErrorKind::kShutdown,
                          "the object store was shut down");
}

StoreCore* StoreCore::Make(const StoreOptions& options, std::shared_ptr<Placement> placement) {
  return new StoreCore(options, std::move(placement), options.waiting != nullptr ? options.waiting : MakeWaiting());
}

StoreCore::StoreCore(const StoreOptions& options, std::shared_ptr<Placement> placement,
                     std::shared_ptr<core::Waiting> waiting)
    : RecordOwner(*waiting, options.observer.get()),
      default_lifetime_(options.default_lifetime),
      wait_at_limit_(options.wait_at_limit),
      kept_waiting_(std::move(waiting)),
      kept_observer_(options.observer),
      placement_(std::move(placement)),
      ledger_(options.limit_bytes, this) {}

void StoreCore::Shut() {
  Close();
  ledger_.TellWaiters();
}

void StoreCore::Retire() {
  Close();
  for (core::Record* const record : order_.TakeAll()) {
    index_.Remove(*record);
    record->DropHold();
  }
  index_.Clear();
  // Who is inside looks when it leaves.
  const bool in_use = placement_ != nullptr && inside_.fetch_or(kRetired, std::memory_order_seq_cst) != 0;
  // A value still there means a record that points here. Calls, and cache objects that were evicted, point here
  // without one; so may an observer that was not told any more.
  if (!in_use && ledger_.objects_left() == 0 && !handed_out_.load(std::memory_order_relaxed) &&
      !had_cache_objects_.load(std::memory_order_relaxed) && kept_observer_ == nullptr) {
    delete this;
    return;
  }
  {
    static RetiredCores* const retired = new RetiredCores;
    core::MutexLock lock(retired->mutex);
    retired->all.push_back(this);
  }
  if (placement_ != nullptr) RetirePlacementIfUnused();
}

// A thread that makes or ends a value of a store with a placement. The last one out of a store that is gone looks
// whether the placement may go.
class StoreCore::Inside {
 public:
  explicit Inside(StoreCore& core) : core_(core) { core_.inside_.fetch_add(kInside, std::memory_order_seq_cst); }
  ~Inside() {
    if (core_.inside_.fetch_sub(kInside, std::memory_order_seq_cst) == (kInside | kRetired)) {
      core_.RetirePlacementIfUnused();  // it was in use when it was retired, and so is kept for good
    }
  }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  StoreCore& core_;
};

void StoreCore::RetirePlacementIfUnused() {
  core::MutexLock lock(retiring_mutex_);
  // The order matters: who is no more inside has counted its object.
  if (placement_retired_ || inside_.load(std::memory_order_seq_cst) != kRetired) return;
  if (ledger_.objects_left() != 0) return;
  placement_retired_ = true;
  placement_->Retire();
}

// --- Putting.

absl::StatusOr<Placement::Prepared> StoreCore::Prepare(core::Record& record, bool cache) {
  absl::StatusOr<Placement::Prepared> prepared;
  if (placement_ != nullptr) {
    prepared = placement_->Prepare(record, cache);
    if (!prepared.ok()) return prepared;
  } else {
    prepared = Placement::InRecord(record);
  }
  prepared->bytes += record.accounted();
  return prepared;
}

absl::Status StoreCore::Place(core::Record& record, Placement::Prepared prepared, bool cache) {
  if (prepared.place == nullptr) return absl::OkStatus();
  absl::Status status;
  do {
    status = placement_->Place(record, prepared);
  } while (core::KindOf(status) == core::ErrorKind::kStoreFull &&
           Evict({.lack = Ledger::Lack::kRoom, .missing = prepared.bytes}, {.bytes = prepared.bytes}, order_.landed(),
                 {.caches = cache, .only_placed = true}));
  if (!status.ok()) rejected_.fetch_add(1, std::memory_order_relaxed);
  return status;
}

void StoreCore::Commit(core::Record& record, Placement::Prepared prepared) {
  record.set_accounted(prepared.bytes);
  if (prepared.place != nullptr) placement_->Commit(record, prepared);
  ledger_.CountObject(prepared.bytes, IsOpaque(record.value()));
}

bool StoreCore::TakeInPlace(core::Record& record, StoreAccount* account, bool in_turn) {
  const core::Value& value = record.value();
  const std::size_t bytes = value.type->AccountedSizeOf(value.data) + record.accounted();
  if (ledger_.Take({bytes, account}, in_turn).lack != Ledger::Lack::kNothing) return false;
  record.set_accounted(bytes);
  ledger_.CountObject(bytes, IsOpaque(value));
  return true;
}

core::Time StoreCore::WaitUntil(const PutOptions& options) {
  if (options.wait_until.has_value()) return *options.wait_until;
  if (wait_at_limit_ <= core::Duration::zero()) return core::Time::min();
  return core::SaturatingAdd(waiting().clock().Now(), wait_at_limit_);
}

absl::Status StoreCore::Publish(std::span<core::Record* const> records, const PutOptions& options) {
  if (closed()) return WasClosed();
  const bool cache = options.lifetime.value_or(default_lifetime_) == Lifetime::kCache;
  // The common case: one owned object that lies where it is, and room for it.
  if (records.size() == 1 && placement_ == nullptr && !cache && !options.id.has_value() && options.account.IsNil() &&
      core::CurrentAccount(*this) == nullptr &&
      TakeInPlace(*records[0], nullptr, options.wait_until.has_value() || wait_at_limit_ > core::Duration::zero())) {
    records[0]->Adopt(*this);
    records[0]->PublishUnshared();
    return absl::OkStatus();
  }
  if (options.id.has_value()) {
    if (records.size() != 1) return Invalid("one id cannot name several objects");
    if (options.id->IsNil()) return Invalid("the nil id names no object");
    if (!index_.Reserve(*options.id)) return Taken(*options.id);
  }
  auto* const account =
      options.account.IsNil() ? static_cast<StoreAccount*>(core::CurrentAccount(*this)) : AccountFor(options.account);
  // A put of one needs no list.
  std::vector<Placement::Prepared> several;
  Placement::Prepared one;
  if (records.size() > 1) several.resize(records.size());
  const std::span<Placement::Prepared> prepared =
      records.size() > 1 ? std::span(several) : std::span(&one, records.size());

  absl::Status status;
  std::size_t ready = 0;
  Ledger::Charge charge{.account = account};
  for (; ready < records.size() && status.ok(); ++ready) {
    if (cache || options.id.has_value() || placement_ != nullptr) {
      records[ready]->set_id(options.id.has_value() ? *options.id : core::ObjectId::Random());
    }
    absl::StatusOr<Placement::Prepared> next = Prepare(*records[ready], cache);
    status = next.status();
    if (!status.ok()) break;
    prepared[ready] = *next;
    charge.bytes += next->bytes;
    if (options.id.has_value() && placement_ != nullptr && next->place == nullptr &&
        placement_->ContainsElsewhere(*options.id)) {
      status = Taken(*options.id);
    }
  }
  if (cache) order_.BeginPut();
  const absl::Cleanup end_put = [&] {
    if (cache) order_.EndPut();
  };
  if (status.ok()) {
    status = Acquire(charge, {.wait_until = WaitUntil(options), .values = records.size(), .caches = cache});
    for (std::size_t i = 0; status.ok() && i < ready; ++i) {
      status = Place(*records[i], prepared[i], cache);
      if (!status.ok()) ledger_.Give(charge);
    }
  }
  if (!status.ok()) {
    for (std::size_t i = 0; i < ready; ++i) {
      if (prepared[i].place != nullptr) placement_->Abandon(prepared[i]);
    }
    if (options.id.has_value()) index_.Unreserve(*options.id);
    return status;
  }
  if (cache && !had_cache_objects_.load(std::memory_order_relaxed)) {
    had_cache_objects_.store(true, std::memory_order_relaxed);
  }
  for (std::size_t i = 0; i < records.size(); ++i) {
    core::Record& record = *records[i];
    record.set_charge(account);
    if (cache) record.set_cache();
    Commit(record, prepared[i]);
    record.Adopt(*this);
    if (cache || options.id.has_value()) {
      MakeFindable(record);
    } else {
      record.PublishUnshared();
    }
  }
  return absl::OkStatus();
}

void StoreCore::MakeFindable(core::Record& record) {
  const core::ObjectId id = record.IdOrNil();
  record.PublishUnshared();
  if (!record.is_cache()) {
    index_.Insert(id, record);
    return;
  }
  record.AddHold();
  index_.Insert(id, record);
  if (!order_.Add(record)) record.DropHold();
  ledger_.TellWaiters();  // it may be evicted
}

core::ErrorPtr StoreCore::Admit(core::Record& record) {
  if (placement_ == nullptr) return AdmitHere(record);
  // Before it looks whether the store is closed: either that is seen, or Retire sees this.
  const Inside inside(*this);
  return AdmitHere(record);
}

core::ErrorPtr StoreCore::AdmitHere(core::Record& record) {
  if (closed()) return core::ErrorFromStatus(WasClosed(), "");
  if (placement_ == nullptr && TakeInPlace(record, static_cast<StoreAccount*>(record.charge()), false)) return nullptr;
  if (placement_ != nullptr) {
    // The name that others will find it by; whoever asks for it meanwhile gets the same.
    core::MutexLock lock(naming_mutex_);
    if (record.IdOrNil().IsNil()) record.set_id(core::ObjectId::Random());
  }
  absl::StatusOr<Placement::Prepared> prepared = Prepare(record, false);
  if (!prepared.ok()) return core::ErrorFromStatus(prepared.status(), "");
  const Ledger::Charge charge{prepared->bytes, static_cast<StoreAccount*>(record.charge())};
  absl::Status status = Acquire(charge, {});
  if (status.ok()) {
    status = Place(record, *prepared, false);
    if (!status.ok()) ledger_.Give(charge);
  }
  if (!status.ok()) {
    if (prepared->place != nullptr) placement_->Abandon(*prepared);
    return core::ErrorFromStatus(status, "");
  }
  Commit(record, *prepared);
  return nullptr;
}

void StoreCore::OnValueGone(core::Record& record, std::size_t bytes) {
  if (placement_ == nullptr && record.is_plain()) [[likely]] {  // the common case of what is below
    const bool opaque = IsOpaque(record.value());
    ledger_.Give({.bytes = bytes});
    ledger_.DiscountObject(bytes, opaque);
    return;
  }
  std::optional<Inside> inside;
  if (placement_ != nullptr) inside.emplace(*this);
  if (placement_ != nullptr && !record.value().native) placement_->Free(record);
  if (record.is_abandoned()) viewed_.AbandonedGone(record, bytes);
  if (record.is_cache() && !record.is_indexed()) order_.Forget(record);
  const bool opaque = IsOpaque(record.value());
  ledger_.Give({bytes, static_cast<StoreAccount*>(record.charge())});
  if (!record.is_call()) record.DropCharge();  // a call that still runs may look at it
  ledger_.DiscountObject(bytes, opaque);       // the core may be gone after it, unless this thread is inside
}

// --- Finding.

core::ObjectId StoreCore::Index(core::Record& record) {
  if (placement_ != nullptr && record.has_value() && !record.value().native && placement_->IsElsewhere(record)) {
    return record.IdOrNil();
  }
  if (record.is_cache()) return record.IdOrNil();  // it has been given out already, and is gone from the index for good
  core::MutexLock lock(naming_mutex_);
  core::ObjectId id = record.IdOrNil();
  if (record.is_indexed()) return id;
  if (id.IsNil()) {
    id = core::ObjectId::Random();
    record.set_id(id);
  }
  if (!closed()) index_.Insert(id, record);
  return id;
}

absl::StatusOr<core::ObjectRef> StoreCore::Find(const core::ObjectId& id) {
  auto [ref, revived, leaves] = index_.Find(id);
  // What is on its way out here may still be there where it was placed: nobody is to find it again as another object.
  if (!ref) return placement_ != nullptr && !leaves ? FindElsewhere(id) : NotThere(id);
  if (revived) {
    if (core::HandleObserver* const told = observer()) told->OnFirstHandle(*ref.record());
  }
  NoteRead(*ref.record());
  return std::move(ref);
}

absl::StatusOr<core::ObjectRef> StoreCore::FindElsewhere(const core::ObjectId& id) {
  if (closed()) return WasClosed();
  absl::StatusOr<core::Record*> found = placement_->FindElsewhere(id);
  if (!found.ok()) return found.status();
  if (*found == nullptr) return NotThere(id);
  core::Record& record = **found;
  record.set_id(id);
  ledger_.CountObject(0, false);  // whoever put it pays for it
  record.Adopt(*this);
  record.PublishUnshared();
  return core::ObjectRef::Adopt(&record);
}

void StoreCore::NoteRead(core::Record& record) {
  if (record.is_cache()) order_.Touch(record);
}

absl::Status StoreCore::Delete(const core::ObjectId& id) {
  order_.BeginRemoval();
  const absl::Cleanup end_removal = [&] { order_.EndRemoval(); };
  const bool was_elsewhere = placement_ != nullptr && placement_->DeleteElsewhere(id).ok();
  const ObjectIndex::Taken taken = index_.Take(id);
  if (!taken.found) return was_elsewhere ? absl::OkStatus() : NotThere(id);
  if (core::Record* const record = taken.cache_object) {
    if (order_.Remove(*record)) record->DropHold();
    record->DropHold();
  }
  return absl::OkStatus();
}

// --- Accounts and statistics.

absl::Status StoreCore::SetQuota(const core::AccountId& id, std::size_t bytes) {
  if (id.IsNil()) return Invalid("the nil account has no quota: the store's limit is its limit");
  ledger_.SetQuota(id, bytes);
  return absl::OkStatus();
}

std::size_t StoreCore::AccountBytes(const core::AccountId& id) {
  return id.IsNil() ? ledger_.UnnamedBytes() : ledger_.BytesOf(id);
}

core::AccountPtr StoreCore::OpenAccount(const core::AccountId& id, std::size_t quota, std::string holder) {
  return core::AccountPtr(&ledger_.Open(id, quota, std::move(holder)));
}

void StoreCore::OnBorrow(core::Record& record, bool begins) {
  // Of an encoded value its bytes only: a decode may be kept before the borrow ends.
  const auto bytes =
      static_cast<std::int64_t>(record.value().native ? record.accounted() : placement_->BytesOf(record));
  ledger_.CountBorrowed(begins ? bytes : -bytes);
}

StoreStatistics StoreCore::Statistics() {
  const Ledger::Totals totals = ledger_.Sum();
  const EvictionOrder::Totals cache = order_.Sum();
  const ObjectIndex::Counts counts = index_.SumCounts();
  const std::size_t viewed = viewed_.SumBytes();
  return {.limit_bytes = ledger_.limit(),
          .objects = totals.objects,
          .bytes = totals.bytes,
          .peak_bytes = totals.peak_bytes,
          .cache_objects = cache.objects,
          .cache_bytes = cache.bytes,
          .pinned_bytes = std::min(viewed + totals.borrowed_bytes + cache.pinned_bytes, totals.bytes),
          .viewed_bytes = viewed,
          .borrowed_bytes = totals.borrowed_bytes,
          .cache_pinned_bytes = cache.pinned_bytes,
          .opaque_objects = totals.opaque_objects,
          .opaque_bytes = totals.opaque_bytes,
          .accounts = ledger_.accounts(),
          .hits = counts.hits,
          .misses = counts.misses,
          .evictions = cache.evictions,
          .rejected = rejected_.load(std::memory_order_relaxed)};
}

// --- The store.

namespace {

class StoreOverCore final : public ObjectStore {
 public:
  explicit StoreOverCore(StoreCore* core) : core_(core) {}
  ~StoreOverCore() override { core_->Retire(); }

  absl::StatusOr<core::ObjectRef> Find(const core::ObjectId& id) override { return core_->Find(id); }
  bool Contains(const core::ObjectId& id) override { return core_->Contains(id); }
  absl::Status Delete(const core::ObjectId& id) override { return core_->Delete(id); }
  StoreStatistics Statistics() override { return core_->Statistics(); }
  absl::Status SetQuota(const core::AccountId& account, std::size_t bytes) override {
    return core_->SetQuota(account, bytes);
  }
  std::size_t AccountBytes(const core::AccountId& account) override { return core_->AccountBytes(account); }
  core::Account* AccountFor(const core::AccountId& account) override { return core_->AccountFor(account); }
  core::AccountPtr OpenAccount(const core::AccountId& id, std::size_t quota, std::string holder) override {
    core_->HandOut();  // who holds the account gives it back there
    return core_->OpenAccount(id, quota, std::move(holder));
  }
  core::RecordOwner& owner() override {
    core_->HandOut();
    return *core_;
  }
  core::Waiting& waiting() override { return core_->waiting(); }
  void Close() override { core_->Shut(); }

 private:
  absl::Status Publish(std::span<core::Record* const> records, const PutOptions& options) override {
    return core_->Publish(records, options);
  }
  void NoteRead(const core::ObjectRef& ref) override { core_->NoteRead(*ref.record()); }

  StoreCore* const core_;  // frees itself when it retires
};

}  // namespace

std::unique_ptr<ObjectStore> MakeStoreOver(const StoreOptions& options, std::shared_ptr<Placement> placement) {
  return std::make_unique<StoreOverCore>(StoreCore::Make(options, std::move(placement)));
}

}  // namespace rustyray::object_store
