// How a store core makes room: takes it from the ledger, evicts, waits, and says why there is none.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "core/error.h"
#include "core/executor.h"
#include "core/parker.h"
#include "core/thread_context.h"
#include "object_store/store_core.h"

namespace rustyray::object_store {
namespace {

// How often a put that does not wait looks for room that other threads take first. Each time something else got in, so
// nobody looks in vain for ever; and where placing takes long, room is free for a small part of the time only.
constexpr int kMostLooks = 10'000;

}  // namespace

absl::Status StoreCore::CheckFits(const Ledger::Charge& charge, std::size_t values) {
  if (charge.bytes > ledger_.limit()) return NoRoom(charge, Ledger::Lack::kRoom, values, false);
  if (charge.account != nullptr && charge.bytes > charge.account->quota.load(std::memory_order_relaxed)) {
    return NoRoom(charge, Ledger::Lack::kQuota, values, false);
  }
  return absl::OkStatus();
}

absl::Status StoreCore::Acquire(Ledger::Charge charge, const Asker& asker) {
  const bool waits = asker.wait_until != core::Time::min();
  if (ledger_.Take(charge, waits).lack == Ledger::Lack::kNothing) return absl::OkStatus();
  if (absl::Status status = CheckFits(charge, asker.values); !status.ok()) return status;
  Ledger::Shortage shortage;
  for (int looks = 0; looks < kMostLooks; ++looks) {
    const std::uint64_t landed = order_.landed();
    shortage = ledger_.Take(charge, waits);
    if (shortage.lack == Ledger::Lack::kNothing) return absl::OkStatus();
    if (shortage.lack == Ledger::Lack::kTurn || !Evict(shortage, charge, landed, {.caches = asker.caches})) break;
  }
  return waits ? WaitForRoom(charge, asker) : NoRoom(charge, shortage.lack, asker.values, false);
}

absl::Status StoreCore::WaitForRoom(Ledger::Charge charge, const Asker& asker) {
  core::DrainDeferred();
  if (asker.caches) order_.EndPut();
  core::Parker& parker = core::ThisThreadParker();
  Ledger::Waiter waiter(charge, parker);
  ledger_.Enqueue(waiter);
  absl::Status status;
  {
    const core::BlockingScope scope;
    status = scope.status();
    while (status.ok() && !waiter.granted.load(std::memory_order_acquire)) {
      if (closed()) {
        status = WasClosed();
        break;
      }
      const bool late = asker.wait_until != core::kNever && waiting().clock().Now() >= asker.wait_until;
      if (waiter.look_again.exchange(false, std::memory_order_acq_rel)) {
        const std::uint64_t landed = order_.landed();
        const Ledger::Shortage shortage = ledger_.WhatHolds(waiter);
        if (shortage.lack == Ledger::Lack::kRoom || shortage.lack == Ledger::Lack::kQuota) {
          if (Evict(shortage, charge, landed, {})) waiter.look_again.store(true, std::memory_order_relaxed);
        }
        if (!late) continue;
      }
      if (late) break;
      waiting().clock().ParkUntil(parker, asker.wait_until);
    }
  }
  if (asker.caches) order_.BeginPut();
  if (waiter.granted.load(std::memory_order_acquire)) return absl::OkStatus();
  const Ledger::Lack lack = ledger_.WhatHolds(waiter).lack;
  if (!ledger_.Cancel(waiter)) return absl::OkStatus();
  return status.ok() ? NoRoom(charge, lack, asker.values, true) : status;
}

bool StoreCore::Evict(Ledger::Shortage shortage, const Ledger::Charge& charge, std::uint64_t landed, Evicting how) {
  std::vector<core::Record*> victims;
  const EvictionOrder::Wanted wanted{.bytes = shortage.missing,
                                     .account = shortage.lack == Ledger::Lack::kQuota ? charge.account : nullptr,
                                     .only_encoded = how.only_placed};
  if (!order_.Pick(wanted, landed, how.caches, victims)) return false;
  for (core::Record* const victim : victims) {
    if (victim->TryEvict()) {
      // What is no more in the index must not be found elsewhere.
      if (placement_ != nullptr) placement_->Hide(*victim);
      index_.Remove(*victim);
      order_.CountEviction();
      victim->DropHold();
    } else if (!order_.PutBack(*victim)) {
      victim->DropHold();
    }
  }
  if (!victims.empty()) order_.EndRemoval();
  return true;
}

absl::Status StoreCore::NoRoom(const Ledger::Charge& charge, Ledger::Lack lack, std::size_t values, bool waited) {
  rejected_.fetch_add(1, std::memory_order_relaxed);
  const StoreStatistics now = Statistics();
  const std::string asked = values == 1 ? absl::StrCat("a value of ", charge.bytes, " bytes")
                                        : absl::StrCat(values, " values of ", charge.bytes, " bytes together");
  const std::string store = absl::StrCat("the store's limit of ", now.limit_bytes, " bytes (", now.bytes,
                                         " in use, of them ", now.pinned_bytes, " pinned)");
  std::string message;
  if (lack == Ledger::Lack::kQuota) {
    const std::string account = charge.account->holder().empty() ? absl::StrCat("account ", charge.account->id().Hex())
                                                                 : charge.account->holder();
    message = absl::StrCat(account, " is over its quota: ", asked, " does not fit its quota of ",
                           charge.account->quota.load(std::memory_order_relaxed), " bytes (",
                           charge.account->bytes.load(std::memory_order_relaxed), " in use)");
  } else if (charge.bytes > now.limit_bytes) {
    message = absl::StrCat(asked, " can never fit: it is larger than ", store);
  } else {
    message = absl::StrCat("the object store is full: ", asked, " does not fit ", store);
  }
  if (waited) absl::StrAppend(&message, "; no room came until the deadline");
  return core::MakeStatus(absl::StatusCode::kResourceExhausted, core::ErrorKind::kStoreFull, message);
}

core::ErrorPtr StoreCore::OnDecodeKept(core::Record& record, std::size_t bytes) {
  absl::Status status = Acquire({bytes, static_cast<StoreAccount*>(record.charge())}, {});
  if (!status.ok()) return core::ErrorFromStatus(status, "");
  record.add_accounted(bytes);
  return nullptr;
}

void StoreCore::OnDecodeDropped(core::Record& record, std::size_t bytes) {
  record.add_accounted(-bytes);
  ledger_.Give({bytes, static_cast<StoreAccount*>(record.charge())});
}

}  // namespace rustyray::object_store
