#include "object_store/eviction_order.h"

#include <iterator>
#include <utility>

namespace rustyray::object_store {
namespace {

// Removals that this thread is in: destructors that it runs may come back here.
thread_local constinit int removals_of_this_thread = 0;

}  // namespace

void EvictionOrder::Link(core::Record& record) {
  const std::uint64_t stamp = record.recency().load(std::memory_order_relaxed);
  by_stamp_.emplace(stamp, &record);
  stamps_.emplace(&record, stamp);
}

void EvictionOrder::BeginPut() {
  core::MutexLock lock(mutex_);
  ++in_motion_;
}

void EvictionOrder::EndPut() {
  core::MutexLock lock(mutex_);
  landed_.fetch_add(1, std::memory_order_release);
  Rest();
}

void EvictionOrder::BeginRemoval() {
  ++removals_of_this_thread;
  BeginPut();
}

void EvictionOrder::EndRemoval() {
  --removals_of_this_thread;
  EndPut();
}

void EvictionOrder::Rest() {
  --in_motion_;
  less_in_motion_.NotifyAll();
}

bool EvictionOrder::Add(core::Record& record) {
  Touch(record);
  core::MutexLock lock(mutex_);
  if (!record.is_indexed()) {
    deleted_.insert(&record);
    return false;
  }
  Link(record);
  return true;
}

bool EvictionOrder::Remove(core::Record& record) {
  core::MutexLock lock(mutex_);
  const auto at = stamps_.find(&record);
  if (at == stamps_.end()) return false;
  by_stamp_.erase(at->second);
  stamps_.erase(at);
  deleted_.insert(&record);
  return true;
}

void EvictionOrder::Forget(core::Record& record) {
  core::MutexLock lock(mutex_);
  deleted_.erase(&record);
}

bool EvictionOrder::Pick(const Wanted& wanted, std::uint64_t landed, bool putting,
                         std::vector<core::Record*>& victims) {
  core::MutexLock lock(mutex_);
  std::size_t found = 0;
  for (auto at = by_stamp_.begin(); at != by_stamp_.end() && found < wanted.bytes;) {
    core::Record& record = *at->second;
    if (const std::uint64_t stamp = record.recency().load(std::memory_order_relaxed); stamp != at->first) {
      at = by_stamp_.erase(at);
      const auto moved = by_stamp_.emplace(stamp, &record).first;  // it is met again
      if (std::next(moved) == at) at = moved;
      stamps_[&record] = stamp;
      continue;
    }
    if ((wanted.account == nullptr || record.charge() == wanted.account) &&
        !(wanted.only_encoded && record.value().native) && !record.pinned_in_cache()) {
      victims.push_back(&record);
      found += record.accounted();
    }
    ++at;
  }
  if (found < wanted.bytes) {
    victims.clear();
    // What is in motion may be enough.
    if (removals_of_this_thread != 0) return false;
    if (putting) Rest();
    while (in_motion_ != 0 && landed_.load(std::memory_order_relaxed) == landed) less_in_motion_.Wait(mutex_);
    if (putting) ++in_motion_;
    return landed_.load(std::memory_order_relaxed) != landed;
  }
  for (core::Record* const victim : victims) {
    const auto at = stamps_.find(victim);
    by_stamp_.erase(at->second);
    stamps_.erase(at);
  }
  ++in_motion_;
  ++removals_of_this_thread;
  return true;
}

bool EvictionOrder::PutBack(core::Record& record) {
  core::MutexLock lock(mutex_);
  if (!record.is_indexed()) {
    deleted_.insert(&record);
    return false;
  }
  Link(record);
  return true;
}

void EvictionOrder::CountEviction() {
  core::MutexLock lock(mutex_);
  ++evictions_;
}

std::vector<core::Record*> EvictionOrder::TakeAll() {
  core::MutexLock lock(mutex_);
  std::vector<core::Record*> all;
  all.reserve(by_stamp_.size());
  for (const auto& [stamp, record] : by_stamp_) all.push_back(record);
  by_stamp_.clear();
  stamps_.clear();
  return all;
}

EvictionOrder::Totals EvictionOrder::Sum() {
  core::MutexLock lock(mutex_);
  Totals sum{.objects = by_stamp_.size() + deleted_.size(), .evictions = evictions_};
  const auto add = [&](const core::Record& record) {
    sum.bytes += record.accounted();
    if (record.pinned_in_cache()) sum.pinned_bytes += record.accounted();
  };
  for (const auto& [stamp, record] : by_stamp_) add(*record);
  for (const core::Record* const record : deleted_) add(*record);
  return sum;
}

}  // namespace rustyray::object_store
