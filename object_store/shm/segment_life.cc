// How a process comes to have a segment and gives it up, and what it can see of it as a whole.
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "object_store/shm/segment.h"

namespace rustyray::object_store::shm {
namespace {

// Blocks of each size at hand, so that one process keeps no more than a 256th of the store from the others.
std::uint32_t DepthFor(const Geometry& geometry) {
  constexpr std::uint64_t kBytesOfOneOfEach = 16 * 17 / 2 * kUnit;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(32, geometry.limit_bytes / 256 / kBytesOfOneOfEach));
}

}  // namespace

Segment::Segment(std::unique_ptr<SegmentFile> file)
    : file_(std::move(file)),
      geometry_(file_->geometry()),
      header_(file_->header()),
      shards_(reinterpret_cast<Shard*>(file_->base() + geometry_.shards_at)),
      buckets_(reinterpret_cast<std::atomic<std::uint32_t>*>(file_->base() + geometry_.buckets_at)),
      entries_(reinterpret_cast<Entry*>(file_->base() + geometry_.entries_at)),
      arena_(file_->base() + geometry_.arena_at),
      key_(file_->key()),
      slot_(file_->slot()),
      magazine_depth_(DepthFor(geometry_)),
      heap_pages_(*file_, exposure_),
      gate_(*file_),
      exposure_(arena_) {}

absl::StatusOr<std::shared_ptr<Segment>> Segment::Make(std::unique_ptr<SegmentFile> file) {
  std::shared_ptr<Segment> segment(new Segment(std::move(file)));
  ProcessSlot& slot = segment->header_.slots[segment->slot_];
  const std::optional<SlotWord> before = SlotWord::Unpack(slot.state.load(std::memory_order_acquire));
  if (!before.has_value() || before->live) {
    // The slot's last process died. Others take it for alive, now that this process holds its lock: so it is this
    // one's to recover.
    slot.active.store(0, std::memory_order_release);
    if (absl::Status status = segment->Recover(true, 0); !status.ok()) return status;
  }
  // Inside the gate: a recovery must not see it come.
  absl::Status announced = segment->Run([&] {
    segment->Announce();
    return Step::kDone;
  });
  if (!announced.ok()) return announced;
  if (absl::StatusOr<bool> reclaimed = segment->ReclaimDead(); !reclaimed.ok()) return reclaimed.status();
  return segment;
}

void Segment::Announce() {
  ProcessSlot& slot = header_.slots[slot_];
  slot_generation_ = SlotWord::Unpack(slot.state.load(std::memory_order_acquire)).value_or(SlotWord{}).generation + 1;
  slot.pid.store(static_cast<std::uint32_t>(getpid()), std::memory_order_relaxed);
  slot.state.store(SlotWord{true, slot_generation_}.Pack(), std::memory_order_seq_cst);
}

Segment::~Segment() {
  if (file_->forked() || slot_generation_ == 0) return;
  if (has_owned_.load(std::memory_order_relaxed)) CondemnOwned();
  // A slot that is not given up cleanly is found by the others, as after a death.
  const bool clean =
      Run([&] { return EmptyMagazine(); }).ok() &&
      Run([&] {
        header_.slots[slot_].state.store(SlotWord{false, slot_generation_}.Pack(), std::memory_order_seq_cst);
        return Step::kDone;
      }).ok();
  (void)clean;
}

void Segment::CondemnOwned() {
  const absl::StatusOr<std::vector<Object>> all = List();
  if (!all.ok()) return;
  for (const Object& object : *all) {
    if (object.fields.creator_slot != slot_ || object.fields.creator_generation != slot_generation_ ||
        object.fields.lifetime != static_cast<std::uint8_t>(Lifetime::kOwned)) {
      continue;
    }
    bool gone = false;
    (void)Run([&] { return Condemn(object.entry, object.generation, nullptr, gone); });
  }
}

absl::StatusOr<std::vector<Segment::Object>> Segment::List() {
  std::vector<Object> objects;
  const absl::Status status = Run([&] {
    objects.clear();
    for (std::uint32_t in = 0; in < geometry_.shards; ++in) {
      const std::uint32_t used =
          std::min(shard(in).next_unused.load(std::memory_order_relaxed), geometry_.entries_per_shard);
      for (std::uint32_t local = 0; local < used; ++local) {
        const std::uint32_t number = local * geometry_.shards + in;
        if (!EntryIsUsable(number)) continue;
        const std::uint64_t raw = entry(number).state.load(std::memory_order_acquire);
        const std::optional<EntryWord> word = EntryWord::Unpack(raw);
        if (!word.has_value()) return Step::kRecover;
        if (word->state != EntryState::kSealed && word->state != EntryState::kCreating) continue;
        const std::optional<EntryFields> fields = ReadFields(number);
        // It may have become another while it was read.
        if (entry(number).state.load(std::memory_order_acquire) != raw) continue;
        if (!fields.has_value()) return Step::kRecover;
        objects.push_back({.id = std::bit_cast<core::ObjectId>(std::array{fields->id_high, fields->id_low}),
                           .entry = number,
                           .generation = word->generation,
                           .fields = *fields,
                           .state = word->state});
      }
    }
    return Step::kDone;
  });
  if (!status.ok()) return status;
  return objects;
}

absl::StatusOr<Segment::Totals> Segment::Measure() {
  Totals totals;
  const absl::Status status = Run([&] {
    totals = {};
    for (std::uint32_t i = 0; i < geometry_.shards; ++i) {
      const Shard& its = shard(i);
      totals.objects += its.objects.load(std::memory_order_relaxed);
      totals.bytes += its.object_bytes.load(std::memory_order_relaxed);
      totals.creating += its.creating.load(std::memory_order_relaxed);
      totals.condemned += its.condemned.load(std::memory_order_relaxed);
      totals.condemned_bytes += its.condemned_bytes.load(std::memory_order_relaxed);
    }
    if (const Step step = gate_.Lock(header_.heap_lock); step != Step::kDone) return step;
    const BlockHeap::Holes holes = Heap().Measure();
    gate_.Unlock(header_.heap_lock);
    if (holes.damaged) return Step::kRecover;
    totals.free_bytes = holes.free_units * kUnit;
    totals.largest_hole = std::size_t{holes.largest} * kUnit;
    return Step::kDone;
  });
  if (!status.ok()) return status;
  totals.evictions = header_.evictions.load(std::memory_order_relaxed);
  totals.recoveries = header_.recoveries.load(std::memory_order_relaxed);
  totals.lost = header_.lost.load(std::memory_order_relaxed);
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    const std::optional<SlotWord> word = SlotWord::Unpack(header_.slots[slot].state.load(std::memory_order_relaxed));
    if (word.has_value() && word->live) totals.pids.push_back(header_.slots[slot].pid.load(std::memory_order_relaxed));
  }
  return totals;
}

}  // namespace rustyray::object_store::shm
