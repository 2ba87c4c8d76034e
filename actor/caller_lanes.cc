#include "actor/caller_lanes.h"

#include <algorithm>
#include <deque>
#include <unordered_map>

namespace rustyray::actor {

struct CallerLanes::Lanes {
  std::unordered_map<CallerId, std::deque<HeldCall*>> by_caller;  // no lane is empty
  std::unordered_map<const core::Call*, HeldCall*> by_call;
  std::uint64_t numbers = 0;
};

CallerLanes::CallerLanes() = default;
CallerLanes::~CallerLanes() = default;

bool CallerLanes::Has(CallerId caller, const core::Mutex&) const {
  return lanes_ != nullptr && lanes_->by_caller.contains(caller);
}

HeldCall* CallerLanes::Find(const core::Call& call, const core::Mutex&) const {
  if (lanes_ == nullptr) return nullptr;
  const auto at = lanes_->by_call.find(&call);
  return at != lanes_->by_call.end() ? at->second : nullptr;
}

core::Call* CallerLanes::FirstBefore(const core::Call& call, const core::Mutex& guard) const {
  const HeldCall* const held = Find(call, guard);
  if (held == nullptr) return nullptr;
  HeldCall* const first = lanes_->by_caller.at(held->caller).front();
  return first != held && first->submitted ? &first->call : nullptr;
}

std::vector<core::RecordHold> CallerLanes::InOrder(const core::Mutex&) const {
  std::vector<core::RecordHold> holds;
  if (lanes_ == nullptr) return holds;
  std::vector<HeldCall*> calls;
  for (const auto& [call, held] : lanes_->by_call) {
    if (held->submitted) calls.push_back(held);
  }
  std::sort(calls.begin(), calls.end(), [](HeldCall* a, HeldCall* b) { return a->number_ < b->number_; });
  for (HeldCall* const held : calls) holds.emplace_back(held->call);
  return holds;
}

void CallerLanes::Add(HeldCall& held, const core::Mutex&) {
  if (lanes_ == nullptr) lanes_ = std::make_unique<Lanes>();
  held.number_ = lanes_->numbers++;
  lanes_->by_caller[held.caller].push_back(&held);
  lanes_->by_call[&held.call] = &held;
  count_.fetch_add(1, std::memory_order_release);
}

void CallerLanes::Release(CallerId caller, absl::FunctionRef<void(HeldCall&)> take, const core::Mutex&) {
  if (lanes_ == nullptr) return;
  const auto lane = lanes_->by_caller.find(caller);
  if (lane == lanes_->by_caller.end()) return;
  std::deque<HeldCall*>& calls = lane->second;
  std::uint32_t released = 0;
  while (!calls.empty() && (calls.front()->ready || calls.front()->sealed)) {
    HeldCall* const held = calls.front();
    calls.pop_front();
    lanes_->by_call.erase(&held->call);
    ++released;
    take(*held);
  }
  if (calls.empty()) lanes_->by_caller.erase(lane);
  count_.fetch_sub(released, std::memory_order_seq_cst);  // last: then the caller's next call may go ahead
}

}  // namespace rustyray::actor
