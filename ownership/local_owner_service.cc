#include "ownership/local_owner_service.h"

#include <string_view>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "core/call.h"
#include "core/mutex.h"
#include "core/type_name.h"
#include "ownership/slot_pages.h"

namespace rustyray::ownership {
namespace {

// What a report copies of a record while it may not block; names are made readable later.
struct Facts {
  LiveObject object;
  std::string_view type;  // raw; empty: no value
  std::string call;
};

void CopyFacts(core::Record& record, Facts& facts) {
  LiveObject& object = facts.object;
  object.handles = record.handles();
  object.submitted = record.submitted().load(std::memory_order_relaxed);
  if (record.is_indexed()) object.id = record.IdOrNil();
  if (record.charge() != nullptr) object.account = record.charge()->id();
  object.ready = record.ready();
  if (record.has_value()) {
    object.bytes = record.accounted();
    facts.type = record.value().type->name;
  }
  if (record.is_call()) {
    // Not the name that its user gave it: that may come later.
    facts.call = std::string(static_cast<core::Call&>(record).function().name);
  }
}

LiveObject Describe(Facts facts) {
  const std::string task = absl::StrCat("task ", facts.call);
  if (!facts.type.empty()) {
    facts.object.what = core::ReadableTypeName(facts.type);
    if (!facts.call.empty()) absl::StrAppend(&facts.object.what, " of ", task);
  } else if (facts.call.empty()) {
    facts.object.what = facts.object.ready ? "an error" : "an object that is not there yet";
  } else {
    facts.object.what = facts.object.ready ? absl::StrCat("error of ", task) : task;
  }
  return std::move(facts.object);
}

class LocalOwnerService final : public OwnerService {
 public:
  void OnFirstHandle(core::Record& record) override {
    record.observer_slot().store(SlotPages::Put(record), std::memory_order_relaxed);
  }

  void OnLastHandle(core::Record& record) override {
    auto* const slot = static_cast<Slot*>(record.observer_slot().load(std::memory_order_relaxed));
    if (slot != nullptr) SlotPages::Take(*slot, record);
  }

  void OnSubmitted(core::Record& argument) override { argument.submitted().fetch_add(1, std::memory_order_relaxed); }
  void OnArgumentReleased(core::Record& argument) override {
    argument.submitted().fetch_sub(1, std::memory_order_relaxed);
  }

  void OnStoredInside(core::Record& inner) override {
    core::MutexLock lock(mutex_);
    ++nested_[&inner];
  }
  void OnStoredInsideGone(core::Record& inner) override {
    core::MutexLock lock(mutex_);
    const auto at = nested_.find(&inner);
    if (at != nested_.end() && --at->second == 0) nested_.erase(at);
  }

  Counts Of(const core::ObjectRef& ref) override {
    if (!ref) return {};
    core::Record& record = *ref.record();
    Counts counts{.submitted = record.submitted().load(std::memory_order_relaxed)};
    {
      core::MutexLock lock(mutex_);
      if (const auto at = nested_.find(&record); at != nested_.end()) counts.nested = at->second;
    }
    const std::uint32_t handles = record.handles();
    const std::uint32_t others = counts.submitted + counts.nested;
    counts.local = handles > others ? handles - others : 0;
    return counts;
  }

  std::vector<LiveObject> LiveObjects() override {
    std::vector<Facts> all;
    SlotPages::ForEach(this, [&](core::Record& record) { CopyFacts(record, all.emplace_back()); });
    std::vector<LiveObject> live;
    live.reserve(all.size());
    for (Facts& facts : all) {
      if (facts.object.handles != 0) live.push_back(Describe(std::move(facts)));
    }
    return live;
  }

 private:
  core::Mutex mutex_;
  absl::flat_hash_map<const core::Record*, std::uint32_t> nested_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

std::shared_ptr<OwnerService> MakeLocalOwnerService() { return std::make_shared<LocalOwnerService>(); }

}  // namespace rustyray::ownership
