#include "object_store/ledger.h"

#include <algorithm>
#include <limits>

namespace rustyray::object_store {
namespace {

constexpr std::int64_t kMostGrant = 256 * 1024;

std::size_t NotNegative(std::int64_t number) { return static_cast<std::size_t>(std::max<std::int64_t>(number, 0)); }

void UnparkAll(const std::vector<core::Parker*>& parkers) {
  for (core::Parker* const parker : parkers) parker->Unpark();
}

}  // namespace

void StoreAccount::DropMaybeLastRef() { ledger.DropRef(*this); }

Ledger::Ledger(std::size_t limit_bytes, const core::RecordOwner* store)
    : store_(store),
      limit_(static_cast<std::int64_t>(
          std::min(limit_bytes, static_cast<std::size_t>(std::numeric_limits<std::int64_t>::max())))),
      grant_(std::min(kMostGrant, limit_ / static_cast<std::int64_t>(4 * kShards))),
      most_credit_(2 * grant_),
      free_(limit_) {}

Ledger::Shortage Ledger::QuotaShortage(const Charge& charge) {
  const std::size_t bytes = charge.account->bytes.load(std::memory_order_relaxed);
  const std::size_t quota = charge.account->quota.load(std::memory_order_relaxed);
  // At least 1: what did not fit a moment ago may fit by now.
  return {Lack::kQuota, std::max<std::size_t>(bytes + charge.bytes > quota ? bytes + charge.bytes - quota : 0, 1)};
}

Ledger::Shortage Ledger::TakeSlow(Charge charge, bool in_turn) {
  Shortage shortage;
  {
    core::MutexLock lock(mutex_);
    EndEpoch();
    if (in_turn && first_ != nullptr) {
      shortage.lack = Lack::kTurn;
    } else {
      if (static_cast<std::uint64_t>(free_) < charge.bytes) CallIn();
      if (static_cast<std::uint64_t>(free_) < charge.bytes) {
        shortage = {Lack::kRoom, charge.bytes - static_cast<std::size_t>(free_)};
      } else {
        free_ -= static_cast<std::int64_t>(charge.bytes);
        if (first_ == nullptr) {
          const std::int64_t credit = std::min(grant_, free_ / static_cast<std::int64_t>(kShards));
          free_ -= credit;
          AddMyCredit(credit);
        }
      }
    }
    BeginEpoch();
  }
  if (shortage.lack != Lack::kNothing && charge.account != nullptr) {
    charge.account->bytes.fetch_sub(charge.bytes, std::memory_order_seq_cst);
    if (waiting_.load(std::memory_order_seq_cst) != 0) GiveSlow();
  }
  return shortage;
}

void Ledger::GiveSlow() {
  std::vector<core::Parker*> wake;
  {
    core::MutexLock lock(mutex_);
    EndEpoch();
    if (first_ != nullptr) {
      CallIn();
      Serve(wake);
    } else {
      const std::int64_t credit = TakeMyCredit();
      const std::int64_t kept = std::min(credit, grant_);
      AddMyCredit(kept);
      free_ += credit - kept;
    }
    BeginEpoch();
  }
  UnparkAll(wake);
}

std::int64_t Ledger::TakeMyCredit() {
  Shard& shard = MyShard();
  if (!HasOwnShard()) return shard.credit.exchange(0, std::memory_order_seq_cst);
  const std::int64_t credit = shard.credit.load(std::memory_order_relaxed);
  shard.credit.store(0, std::memory_order_relaxed);
  return credit;
}

void Ledger::AddMyCredit(std::int64_t bytes) {
  Shard& shard = MyShard();
  if (HasOwnShard()) {
    shard.credit.store(shard.credit.load(std::memory_order_relaxed) + bytes, std::memory_order_relaxed);
  } else {
    shard.credit.fetch_add(bytes, std::memory_order_relaxed);
  }
}

void Ledger::CallIn() {
  free_ += TakeMyCredit();
  const auto has_credit = [](const Shard& shard) { return shard.credit.load(std::memory_order_relaxed) != 0; };
  if (std::none_of(shards_.begin(), shards_.end(), has_credit)) return;
  const core::BiasedLock::Intrusion intrusion(credits_);
  for (Shard& shard : shards_) {
    if (has_credit(shard)) free_ += shard.credit.exchange(0, std::memory_order_seq_cst);
  }
}

void Ledger::EndEpoch() {
  std::int64_t unused = free_;
  for (const Shard& shard : shards_) {
    unused += std::min(shard.lowest.load(std::memory_order_relaxed), shard.credit.load(std::memory_order_relaxed));
  }
  peak_ = std::max(peak_, limit_ - unused);
}

void Ledger::BeginEpoch() {
  for (Shard& shard : shards_) {
    const std::int64_t credit = shard.credit.load(std::memory_order_relaxed);
    if (shard.lowest.load(std::memory_order_relaxed) != credit) shard.lowest.store(credit, std::memory_order_relaxed);
  }
}

void Ledger::Enqueue(Waiter& waiter) {
  std::vector<core::Parker*> wake;
  {
    core::MutexLock lock(mutex_);
    EndEpoch();
    waiter.previous = last_;
    (last_ != nullptr ? last_->next : first_) = &waiter;
    last_ = &waiter;
    waiting_.fetch_add(1, std::memory_order_seq_cst);
    // From here on each release comes to the mutex. What was released before lies in the credits, to be seen by all.
    core::HeavyFence();
    CallIn();
    Serve(wake);
    BeginEpoch();
  }
  UnparkAll(wake);
}

void Ledger::Unlink(Waiter& waiter) {
  (waiter.previous != nullptr ? waiter.previous->next : first_) = waiter.next;
  (waiter.next != nullptr ? waiter.next->previous : last_) = waiter.previous;
  waiting_.fetch_sub(1, std::memory_order_seq_cst);
}

bool Ledger::Cancel(Waiter& waiter) {
  std::vector<core::Parker*> wake;
  {
    core::MutexLock lock(mutex_);
    if (waiter.granted.load(std::memory_order_relaxed)) return false;
    EndEpoch();
    Unlink(waiter);
    CallIn();
    Serve(wake);
    BeginEpoch();
    // The next in line may find something to evict.
    for (Waiter* other = first_; other != nullptr; other = other->next) {
      other->look_again.store(true, std::memory_order_release);
      wake.push_back(&other->parker);
    }
  }
  UnparkAll(wake);
  return true;
}

void Ledger::Serve(std::vector<core::Parker*>& wake) {
  bool served = false;
  for (Waiter* waiter = first_; waiter != nullptr;) {
    Waiter* const next = waiter->next;
    const Charge& charge = waiter->charge;
    if (charge.account == nullptr || charge.account->TryAdd(charge.bytes)) {
      if (static_cast<std::uint64_t>(free_) < charge.bytes) {
        if (charge.account != nullptr) charge.account->bytes.fetch_sub(charge.bytes, std::memory_order_seq_cst);
        break;
      }
      free_ -= static_cast<std::int64_t>(charge.bytes);
      Unlink(*waiter);
      wake.push_back(&waiter->parker);
      waiter->granted.store(true, std::memory_order_release);  // from here on it may be gone
      served = true;
    }
    waiter = next;
  }
  if (!served) return;
  for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next) {
    waiter->look_again.store(true, std::memory_order_release);
    wake.push_back(&waiter->parker);
  }
}

Ledger::Shortage Ledger::WhatHolds(const Waiter& waiter) {
  core::MutexLock lock(mutex_);
  if (waiter.granted.load(std::memory_order_relaxed)) return {};
  const auto over_quota = [](const Charge& charge) {
    if (charge.account == nullptr) return false;
    const std::size_t bytes = charge.account->bytes.load(std::memory_order_relaxed);
    const std::size_t quota = charge.account->quota.load(std::memory_order_relaxed);
    return bytes > quota || charge.bytes > quota - bytes;
  };
  if (over_quota(waiter.charge)) return QuotaShortage(waiter.charge);
  for (const Waiter* before = waiter.previous; before != nullptr; before = before->previous) {
    if (!over_quota(before->charge)) return {Lack::kTurn, 0};
  }
  return {Lack::kRoom,
          std::max<std::size_t>(waiter.charge.bytes - std::min(NotNegative(free_), waiter.charge.bytes), 1)};
}

void Ledger::TellWaitersSlow() {
  std::vector<core::Parker*> wake;
  {
    core::MutexLock lock(mutex_);
    for (Waiter* waiter = first_; waiter != nullptr; waiter = waiter->next) {
      waiter->look_again.store(true, std::memory_order_release);
      wake.push_back(&waiter->parker);
    }
  }
  UnparkAll(wake);
}

Ledger::Totals Ledger::Sum() {
  core::MutexLock lock(mutex_);
  EndEpoch();
  BeginEpoch();
  std::int64_t unused = free_;
  std::int64_t objects = 0, opaque_objects = 0, opaque_bytes = 0, borrowed_bytes = 0;
  for (const Shard& shard : shards_) {
    unused += shard.credit.load(std::memory_order_acquire);
    objects += shard.objects.load(std::memory_order_relaxed);
    opaque_objects += shard.opaque_objects.load(std::memory_order_relaxed);
    opaque_bytes += shard.opaque_bytes.load(std::memory_order_relaxed);
    borrowed_bytes += shard.borrowed_bytes.load(std::memory_order_relaxed);
  }
  return {.bytes = NotNegative(limit_ - unused),
          .peak_bytes = NotNegative(peak_),
          .objects = NotNegative(objects),
          .opaque_objects = NotNegative(opaque_objects),
          .opaque_bytes = NotNegative(opaque_bytes),
          .borrowed_bytes = NotNegative(borrowed_bytes)};
}

std::int64_t Ledger::objects_left() const {
  std::int64_t objects = 0;
  for (const Shard& shard : shards_) objects += shard.objects.load(std::memory_order_acquire);
  return objects;
}

StoreAccount& Ledger::AccountFor(const core::AccountId& id) {
  core::MutexLock lock(mutex_);
  std::unique_ptr<StoreAccount>& account = accounts_[id];
  if (account == nullptr) {
    account = std::make_unique<StoreAccount>(*this, id, "", store_);
  } else if (!account->kept) {
    account->AddRef();
  }
  account->kept = true;
  return *account;
}

StoreAccount& Ledger::Open(const core::AccountId& id, std::size_t quota, std::string holder) {
  core::MutexLock lock(mutex_);
  std::unique_ptr<StoreAccount>& account = accounts_[id];
  if (account == nullptr) {
    account = std::make_unique<StoreAccount>(*this, id, std::move(holder), store_);
  } else {
    account->AddRef();
  }
  account->quota.store(quota, std::memory_order_seq_cst);
  return *account;
}

void Ledger::DropRef(StoreAccount& account) {
  std::unique_ptr<StoreAccount> closed;  // after the lock
  core::MutexLock lock(mutex_);
  if (!account.IsLastRefDropped()) return;
  const auto at = accounts_.find(account.id());
  closed = std::move(at->second);
  accounts_.erase(at);
}

std::size_t Ledger::BytesOf(const core::AccountId& id) {
  core::MutexLock lock(mutex_);
  const auto at = accounts_.find(id);
  return at != accounts_.end() ? at->second->bytes.load(std::memory_order_relaxed) : 0;
}

std::size_t Ledger::accounts() {
  core::MutexLock lock(mutex_);
  return accounts_.size();
}

std::size_t Ledger::UnnamedBytes() {
  const std::size_t all = Sum().bytes;
  core::MutexLock lock(mutex_);
  std::size_t named = 0;
  for (const auto& [id, account] : accounts_) named += account->bytes.load(std::memory_order_relaxed);
  return all - std::min(named, all);
}

void Ledger::SetQuota(const core::AccountId& id, std::size_t bytes) {
  AccountFor(id).quota.store(bytes, std::memory_order_seq_cst);
  if (waiting_.load(std::memory_order_seq_cst) != 0) GiveSlow();
}

}  // namespace rustyray::object_store
