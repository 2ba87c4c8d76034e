// Ledger: how much a store holds, and the strict limit of it, without a lock or a shared word in the common case.
//
// Each thread takes room from its shard's credit and gives room back to it, within sections of a BiasedLock: no atomic
// step. A shard without enough credit gets some under the mutex; before anything is refused, the credit of all shards
// is called in, in an intrusion. Credit is room that nobody uses, so what is in use never exceeds limit - credit - free
// <= limit. Waiters are served in the order they came; one that its account's quota holds back does not hold back
// others. Who does not wait may take what is free while others wait for more. Threads: all methods, any thread.
#ifndef RUSTYRAY_OBJECT_STORE_LEDGER_H_
#define RUSTYRAY_OBJECT_STORE_LEDGER_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "core/biased_lock.h"
#include "core/id.h"
#include "core/mutex.h"
#include "core/parker.h"
#include "core/record.h"
#include "core/thread_context.h"

namespace rustyray::object_store {

class Ledger;

// One account of one store.
struct StoreAccount final : public core::Account {
  StoreAccount(Ledger& ledger, const core::AccountId& id, std::string holder, const core::RecordOwner* store)
      : core::Account(id, std::move(holder), store), ledger(ledger) {}
  void DropMaybeLastRef() override;
  bool IsLastRefDropped() { return DropRefLocked(); }
  // Adds `add` unless the sum would exceed the quota.
  bool TryAdd(std::size_t add) {
    std::size_t seen = bytes.load(std::memory_order_seq_cst);
    do {
      const std::size_t most = quota.load(std::memory_order_relaxed);
      if (seen > most || add > most - seen) return false;
    } while (!bytes.compare_exchange_weak(seen, seen + add, std::memory_order_seq_cst));
    return true;
  }
  std::atomic<std::size_t> bytes{0};
  std::atomic<std::size_t> quota{SIZE_MAX};
  Ledger& ledger;
  bool kept = false;  // for good; under the ledger's mutex
};

class Ledger {
 public:
  // What is asked for; `account` null: the account without a quota.
  struct Charge {
    std::size_t bytes = 0;
    StoreAccount* account = nullptr;
  };
  enum class Lack : std::uint8_t {
    kNothing,
    kRoom,
    kQuota,
    kTurn,  // others were there first
  };
  struct Shortage {
    Lack lack = Lack::kNothing;
    std::size_t missing = 0;  // bytes, for kRoom and kQuota
  };
  // A thread that waits for room; lies on its stack from Enqueue until it is granted or cancelled.
  struct Waiter {
    Waiter(Charge charge, core::Parker& parker) : charge(charge), parker(parker) {}
    const Charge charge;
    core::Parker& parker;                // unparked when one of the two is set
    std::atomic<bool> granted{false};    // it has the room
    std::atomic<bool> look_again{true};  // there may be something to evict
    Waiter* next = nullptr;              // under the mutex
    Waiter* previous = nullptr;
  };

  // `store`: whose it is.
  Ledger(std::size_t limit_bytes, const core::RecordOwner* store);
  Ledger(const Ledger&) = delete;
  Ledger& operator=(const Ledger&) = delete;

  // Takes room, or says what is missing. `in_turn`: not ahead of waiters.
  Shortage Take(Charge charge, bool in_turn) {
    if (charge.account != nullptr && !charge.account->TryAdd(charge.bytes)) return QuotaShortage(charge);
    if (!(in_turn && waiting_.load(std::memory_order_relaxed) != 0) && TakeCredit(charge.bytes)) return {};
    return TakeSlow(charge, in_turn);
  }
  // Gives room back; wakes waiters.
  void Give(Charge charge) {
    if (charge.account != nullptr) charge.account->bytes.fetch_sub(charge.bytes, std::memory_order_seq_cst);
    if (GiveCredit(static_cast<std::int64_t>(charge.bytes))) GiveSlow();
  }

  void Enqueue(Waiter& waiter);
  // False: it was granted.
  bool Cancel(Waiter& waiter);
  // What keeps `waiter` waiting; kNothing when it was granted.
  Shortage WhatHolds(const Waiter& waiter);
  // Something may be evicted that could not before: all waiters are to look again.
  void TellWaiters() {
    // Read by a write: whoever begins to wait later sees what the caller did before.
    if (waiting_.fetch_add(0, std::memory_order_seq_cst) != 0) TellWaitersSlow();
  }

  // Counters. The object's own is the last thing that the release of a value touches.
  void CountObject(std::size_t bytes, bool opaque) {
    Shard& shard = MyShard();
    if (opaque) CountOpaque(shard, 1, static_cast<std::int64_t>(bytes));
    ChangeObjects(shard, 1);
  }
  void DiscountObject(std::size_t bytes, bool opaque) {
    Shard& shard = MyShard();
    if (opaque) CountOpaque(shard, -1, -static_cast<std::int64_t>(bytes));
    ChangeObjects(shard, -1);
  }
  void CountBorrowed(std::int64_t bytes) { MyShard().borrowed_bytes.fetch_add(bytes, std::memory_order_relaxed); }

  std::size_t limit() const { return static_cast<std::size_t>(limit_); }
  struct Totals {
    std::size_t bytes, peak_bytes, objects, opaque_objects, opaque_bytes, borrowed_bytes;
  };
  Totals Sum();
  // Zero only if every object is gone and no thread is still within DiscountObject; for when nothing is put any more.
  std::int64_t objects_left() const;

  // Makes the account if need be; it lives as long as the ledger.
  StoreAccount& AccountFor(const core::AccountId& id);
  // The same, but it lives as long as its refs, of which the caller gets one.
  StoreAccount& Open(const core::AccountId& id, std::size_t quota, std::string holder);
  void DropRef(StoreAccount& account);
  // Bytes charged to it; 0 when there is no such account.
  std::size_t BytesOf(const core::AccountId& id);
  std::size_t accounts();
  void SetQuota(const core::AccountId& id, std::size_t bytes);
  // Bytes charged to no account.
  std::size_t UnnamedBytes();

 private:
  struct alignas(64) Shard {
    std::atomic<std::int64_t> credit{
        0};  // its own thread's, in sections or under the mutex; if shared, by atomic steps
    std::atomic<std::int64_t> lowest{0};  // credit since the epoch began, for the peak
    std::atomic<std::int64_t> objects{0};
    std::atomic<std::int64_t> opaque_objects{0};
    std::atomic<std::int64_t> opaque_bytes{0};
    std::atomic<std::int64_t> borrowed_bytes{0};
  };
  static constexpr std::size_t kShards = 64;

  // The first threads of the process have a shard each; the later ones share the other half.
  static constexpr std::size_t kOwnShards = kShards / 2;
  static bool HasOwnShard() { return core::ThisThreadNumber() < kOwnShards; }
  Shard& MyShard() {
    const std::size_t number = core::ThisThreadNumber();
    return shards_[number < kOwnShards ? number : kOwnShards + number % kOwnShards];
  }
  // Only its own thread writes this counter of a shard that has one: no atomic step is needed then.
  static void ChangeObjects(Shard& shard, std::int64_t change) {
    if (HasOwnShard()) [[likely]] {
      shard.objects.store(shard.objects.load(std::memory_order_relaxed) + change, std::memory_order_release);
    } else {
      shard.objects.fetch_add(change, std::memory_order_release);
    }
  }
  // False: there is not enough.
  bool TakeCredit(std::size_t bytes) {
    Shard& shard = MyShard();
    std::int64_t left;
    if (HasOwnShard()) [[likely]] {
      const core::BiasedLock::Section section(credits_);
      const std::int64_t credit = shard.credit.load(std::memory_order_relaxed);
      if (static_cast<std::uint64_t>(credit) < bytes) return false;  // credit is never negative
      left = credit - static_cast<std::int64_t>(bytes);
      shard.credit.store(left, std::memory_order_relaxed);
      if (left < shard.lowest.load(std::memory_order_relaxed)) shard.lowest.store(left, std::memory_order_relaxed);
      return true;
    }
    std::int64_t credit = shard.credit.load(std::memory_order_relaxed);
    do {
      if (static_cast<std::uint64_t>(credit) < bytes) return false;
      left = credit - static_cast<std::int64_t>(bytes);
    } while (!shard.credit.compare_exchange_weak(credit, left, std::memory_order_relaxed));
    if (left < shard.lowest.load(std::memory_order_relaxed)) shard.lowest.store(left, std::memory_order_relaxed);
    return true;
  }
  // Whether the rest is GiveSlow's: there is too much credit, or somebody waits. Who begins to wait fences, and so
  // either finds the credit or is seen here.
  bool GiveCredit(std::int64_t bytes) {
    Shard& shard = MyShard();
    if (HasOwnShard()) [[likely]] {
      const core::BiasedLock::Section section(credits_);
      const std::int64_t credit = shard.credit.load(std::memory_order_relaxed) + bytes;
      shard.credit.store(credit, std::memory_order_relaxed);
      core::LightFence();
      return credit > most_credit_ || waiting_.load(std::memory_order_relaxed) != 0;
    }
    const std::int64_t credit = shard.credit.fetch_add(bytes, std::memory_order_seq_cst) + bytes;
    return credit > most_credit_ || waiting_.load(std::memory_order_seq_cst) != 0;
  }
  static void CountOpaque(Shard& shard, std::int64_t objects, std::int64_t bytes) {
    shard.opaque_objects.fetch_add(objects, std::memory_order_relaxed);
    shard.opaque_bytes.fetch_add(bytes, std::memory_order_relaxed);
  }
  static Shortage QuotaShortage(const Charge& charge);

  Shortage TakeSlow(Charge charge, bool in_turn);
  void GiveSlow();
  void TellWaitersSlow();
  // Of this thread's shard; under the mutex nobody calls it in, so that no section is needed.
  std::int64_t TakeMyCredit() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void AddMyCredit(std::int64_t bytes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // All credit that can be seen becomes free_.
  void CallIn() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void EndEpoch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void BeginEpoch() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Unlink(Waiter& waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Serves those whose turn it is; the parkers to unpark after the lock go to `wake`.
  void Serve(std::vector<core::Parker*>& wake) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const core::RecordOwner* const store_;
  const std::int64_t limit_;
  const std::int64_t grant_;        // credit a shard gets at a time
  const std::int64_t most_credit_;  // credit a shard may keep
  std::array<Shard, kShards> shards_;
  core::BiasedLock credits_;               // of the shards that threads have to themselves; after the mutex
  std::atomic<std::uint32_t> waiting_{0};  // written under the mutex

  core::Mutex mutex_;
  std::int64_t free_ ABSL_GUARDED_BY(mutex_);  // room that is nobody's credit
  std::int64_t peak_ ABSL_GUARDED_BY(mutex_) = 0;
  Waiter* first_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Waiter* last_ ABSL_GUARDED_BY(mutex_) = nullptr;
  absl::flat_hash_map<core::AccountId, std::unique_ptr<StoreAccount>> accounts_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_LEDGER_H_
