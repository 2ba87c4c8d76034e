// Recovery: makes a segment whole again after a process died in it, or words of it were damaged. It has the segment to
// itself; all that is derived is made anew from the entries, which alone are believed, as far as their checks hold.
// It may die at any step: whoever takes over begins anew, and each step that it takes on an entry holds by itself.
#include <algorithm>
#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "object_store/shm/crash_point.h"
#include "object_store/shm/segment.h"

namespace rustyray::object_store::shm {

absl::Status Segment::Recover(bool inherited, std::uint32_t epoch_seen) {
  bool taken_over = false;
  Step closed = gate_.Close(inherited, taken_over);
  // Others' recoveries take an inherited slot for this process's own.
  while (inherited && closed == Step::kAgain) closed = gate_.Close(inherited, taken_over);
  switch (closed) {
    case Step::kAgain:
      return absl::OkStatus();
    case Step::kStuck:
    case Step::kRecover:
      return Stuck();
    case Step::kDone:
      break;
  }
  // A recovery that its process left half done has to be done, whatever else was recovered meanwhile.
  if (inherited || taken_over || header_.epoch.load(std::memory_order_acquire) == epoch_seen) Rebuild(inherited);
  gate_.Open();
  return absl::OkStatus();
}

void Segment::Rebuild(bool inherited) {
  RUSTYRAY_CRASH_POINT("recover.closed");
  // Who lives. A slot whose word is damaged counts as its holder's, in any generation.
  struct Process {
    bool alive = false;
    std::optional<std::uint32_t> generation;
  };
  std::array<Process, kSlots> processes;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    const std::optional<SlotWord> word = SlotWord::Unpack(header_.slots[slot].state.load(std::memory_order_acquire));
    if (word.has_value() && !word->live) continue;
    processes[slot].alive = slot == slot_ ? !inherited : gate_.Lives(slot);
    if (slot == slot_) {
      processes[slot].generation = slot_generation_;
    } else if (word.has_value()) {
      processes[slot].generation = word->generation;
    }
  }
  const auto pinned = [&](std::uint32_t number) {
    const std::uint32_t chunk = number / geometry_.entries_per_pin_chunk;
    for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
      if (processes[slot].alive && header_.slots[slot].PinsUsed(chunk) && PinsOf(slot, number).load() != 0) return true;
    }
    return false;
  };

  struct Kept {
    Block block;
    std::uint32_t entry;
    std::uint64_t hash;
    EntryState state;
  };
  std::vector<Kept> kept;
  std::vector<std::uint32_t> free;
  std::uint64_t lost = 0;
  const auto free_entry = [&](std::uint32_t number, std::uint32_t generation) {
    entry(number).state.store(EntryWord{EntryState::kFree, generation + 1}.Pack(), std::memory_order_release);
    entry(number).checksum.store(0, std::memory_order_relaxed);
    free.push_back(number);
  };
  const auto look_at = [&](std::uint32_t number) {
    Entry& its = entry(number);
    const std::uint64_t raw = its.state.load(std::memory_order_acquire);
    std::optional<EntryWord> word = EntryWord::Unpack(raw);
    if (word.has_value() && word->state == EntryState::kFree) {
      if (word->generation != 0) free.push_back(number);
      return;
    }
    const std::optional<EntryFields> fields = ReadFields(number);
    if (!word.has_value() || !fields.has_value()) {
      // Nobody finds it any more. What it may occupy stays as long as somebody has it pinned.
      const auto generation = static_cast<std::uint32_t>(raw);
      ++lost;
      if (!pinned(number)) return free_entry(number, generation);
      word = EntryWord{EntryState::kCondemned, generation};
      its.state.store(word->Pack(), std::memory_order_release);
      const std::uint64_t place = its.fixed[2].load(std::memory_order_relaxed);
      const Block block = fields.has_value()
                              ? Block{fields->unit, fields->units}
                              : Block{static_cast<std::uint32_t>(place >> 32), static_cast<std::uint32_t>(place)};
      if (block.units != 0 && block.unit < geometry_.arena_units && block.units <= geometry_.arena_units - block.unit) {
        kept.push_back({block, number, 0, EntryState::kCondemned});
      }
      return;
    }
    const Process& creator = processes[fields->creator_slot];
    const bool creator_lives =
        creator.alive && (!creator.generation.has_value() || *creator.generation == fields->creator_generation);
    EntryState state = word->state;
    if (state == EntryState::kCreating && !creator_lives) return free_entry(number, word->generation);
    if (state == EntryState::kSealed && !creator_lives &&
        fields->lifetime == static_cast<std::uint8_t>(Lifetime::kOwned)) {
      state = EntryState::kCondemned;
    }
    if (state == EntryState::kCondemned) {
      if (!pinned(number)) return free_entry(number, word->generation);
      its.state.store(EntryWord{EntryState::kCondemned, word->generation}.Pack(), std::memory_order_release);
    }
    const core::ObjectId id =
        std::bit_cast<core::ObjectId>(std::array<std::uint64_t, 2>{fields->id_high, fields->id_low});
    kept.push_back({{fields->unit, fields->units}, number, HashOf(id), state});
  };
  std::vector<std::uint32_t> used_entries(geometry_.shards, 0);
  file_->VisitPages(geometry_.entries_at, sizeof(Entry) * std::uint64_t{geometry_.max_entries},
                    [&](std::uint64_t offset, std::uint64_t size) {
                      const std::uint64_t first = (offset - geometry_.entries_at + sizeof(Entry) - 1) / sizeof(Entry);
                      const std::uint64_t end = (offset + size - geometry_.entries_at) / sizeof(Entry);
                      for (std::uint64_t number = first; number < end && number < geometry_.max_entries; ++number) {
                        const auto at = static_cast<std::uint32_t>(number);
                        if (entry(at).state.load(std::memory_order_relaxed) == 0) continue;
                        look_at(at);
                        used_entries[at % geometry_.shards] = at / geometry_.shards + 1;
                      }
                    });
  RUSTYRAY_CRASH_POINT("recover.entries");

  // The heap. Blocks that overlap cannot both be right: the ones that are pinned and damaged give way first.
  std::sort(kept.begin(), kept.end(), [](const Kept& a, const Kept& b) {
    return a.block.unit != b.block.unit ? a.block.unit < b.block.unit
                                        : a.state == EntryState::kSealed && b.state != a.state;
  });
  std::vector<Block> used;
  std::vector<Kept> survivors;
  for (const Kept& each : kept) {
    if (!used.empty() && each.block.unit < used.back().unit + used.back().units) {
      ++lost;
      free_entry(each.entry, EntryWord::Unpack(entry(each.entry).state.load()).value_or(EntryWord{}).generation);
      continue;
    }
    used.push_back(each.block);
    survivors.push_back(each);
  }
  // It takes no pages that are not there; a heap that cannot be rebuilt has no room, and says so.
  (void)Heap().Rebuild(used);
  RUSTYRAY_CRASH_POINT("recover.heap");

  // The shards.
  file_->VisitPages(geometry_.buckets_at, std::uint64_t{4} * geometry_.buckets_per_shard * geometry_.shards,
                    [&](std::uint64_t offset, std::uint64_t size) { std::memset(file_->base() + offset, 0, size); });
  for (std::uint32_t i = 0; i < geometry_.shards; ++i) {
    Shard& its = shard(i);
    its.lock.word.store(0);
    its.version.store((its.version.load() | 1) + 1);
    its.free_head.store(0);
    its.next_unused.store(used_entries[i]);
    for (auto* const counter :
         {&its.objects, &its.object_bytes, &its.creating, &its.condemned, &its.condemned_bytes, &its.used_units}) {
      counter->store(0);
    }
  }
  std::sort(free.begin(), free.end(), std::greater<>());
  for (const std::uint32_t number : free) {
    Shard& its = shard(number % geometry_.shards);
    entry(number).next.store(its.free_head.load(), std::memory_order_relaxed);
    its.free_head.store(number + 1);
  }
  for (const Kept& each : survivors) {
    Shard& its = shard(each.entry % geometry_.shards);
    const std::uint64_t bytes = std::uint64_t{each.block.units} * kUnit;
    its.used_units.fetch_add(each.block.units);
    if (each.state == EntryState::kCondemned) {
      its.condemned.fetch_add(1);
      its.condemned_bytes.fetch_add(bytes);
      continue;
    }
    std::atomic<std::uint32_t>& bucket = BucketOf(each.hash);
    entry(each.entry).next.store(bucket.load(), std::memory_order_relaxed);
    bucket.store(each.entry + 1, std::memory_order_release);
    if (each.state == EntryState::kCreating) {
      its.creating.fetch_add(1);
    } else {
      its.objects.fetch_add(1);
      its.object_bytes.fetch_add(bytes);
    }
  }
  RUSTYRAY_CRASH_POINT("recover.shards");

  // The dead, last: until here a second recovery would find the same.
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    ProcessSlot& its = header_.slots[slot];
    const std::optional<SlotWord> word = SlotWord::Unpack(its.state.load());
    if (processes[slot].alive || (word.has_value() && !word->live)) continue;
    for (std::uint32_t chunk = 0; chunk < kPinChunks; ++chunk) {
      if (!its.PinsUsed(chunk)) continue;
      const std::uint64_t in_row = std::uint64_t{4} * chunk * geometry_.entries_per_pin_chunk;
      if (in_row >= geometry_.pin_row_bytes) continue;
      const std::uint64_t row = geometry_.pins_at + geometry_.pin_row_bytes * slot;
      file_->VisitPages(
          row + in_row,
          std::min<std::uint64_t>(std::uint64_t{4} * geometry_.entries_per_pin_chunk, geometry_.pin_row_bytes - in_row),
          [&](std::uint64_t offset, std::uint64_t size) { std::memset(file_->base() + offset, 0, size); });
    }
    for (auto& used_word : its.pins_used) used_word.store(0);
    for (auto& used_word : its.pins_used_too) used_word.store(0);
    its.active.store(0);
    its.state.store(SlotWord{false, word.has_value() ? word->generation : 0}.Pack());
    RUSTYRAY_CRASH_POINT("recover.slot");
  }
  // The living: nobody is active now.
  for (ProcessSlot& its : header_.slots) {
    if (!CountWord::Valid(its.active.load())) its.active.store(0);
  }
  if (!inherited && slot_generation_ != 0) header_.slots[slot_].state.store(SlotWord{true, slot_generation_}.Pack());
  header_.heap_lock.word.store(0);
  header_.lost.fetch_add(lost, std::memory_order_relaxed);
  header_.recoveries.fetch_add(1, std::memory_order_relaxed);
  header_.epoch.fetch_add(1, std::memory_order_release);
  TellEvent(header_.changes);
  RUSTYRAY_CRASH_POINT("recover.done");
}

absl::StatusOr<bool> Segment::ReclaimDead() {
  const std::uint32_t epoch = header_.epoch.load(std::memory_order_acquire);
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    const std::uint64_t state = header_.slots[slot].state.load(std::memory_order_acquire);
    if (state == 0) continue;
    const std::optional<SlotWord> word = SlotWord::Unpack(state);
    if ((word.has_value() && !word->live) || gate_.Lives(slot)) continue;
    if (absl::Status status = Recover(false, epoch); !status.ok()) return status;
    return true;
  }
  return false;
}

}  // namespace rustyray::object_store::shm
