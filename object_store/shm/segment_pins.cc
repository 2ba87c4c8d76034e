// The pins of a segment: who holds which entries, and what goes when the last of them lets go.
#include <algorithm>
#include <utility>

#include "object_store/shm/crash_point.h"
#include "object_store/shm/segment.h"

namespace rustyray::object_store::shm {

std::atomic<std::uint32_t>& Segment::PinsOf(std::uint32_t slot, std::uint32_t number) const {
  char* const row = file_->base() + geometry_.pins_at + geometry_.pin_row_bytes * slot;
  return reinterpret_cast<std::atomic<std::uint32_t>*>(row)[number];
}

bool Segment::Pin(std::uint32_t number) {
  const std::uint32_t chunk = number / geometry_.entries_per_pin_chunk;
  ProcessSlot& mine = header_.slots[slot_];
  const std::uint64_t bit = std::uint64_t{1} << (chunk % 64);
  if ((mine.pins_used[chunk / 64].load(std::memory_order_relaxed) &
       mine.pins_used_too[chunk / 64].load(std::memory_order_relaxed) & bit) == 0) {
    const std::uint64_t in_row = std::uint64_t{4} * chunk * geometry_.entries_per_pin_chunk;
    const std::uint64_t bytes =
        std::min<std::uint64_t>(std::uint64_t{4} * geometry_.entries_per_pin_chunk, geometry_.pin_row_bytes - in_row);
    if (!file_->Reserve(geometry_.pins_at + geometry_.pin_row_bytes * slot_ + in_row, bytes)) return false;
    mine.pins_used_too[chunk / 64].fetch_or(bit, std::memory_order_seq_cst);
    mine.pins_used[chunk / 64].fetch_or(bit, std::memory_order_seq_cst);
  }
  const std::uint32_t before = PinsOf(slot_, number).fetch_add(CountWord::kOne, std::memory_order_seq_cst);
  if (CountWord::Count(before) < CountWord::kMost) return true;
  PinsOf(slot_, number).fetch_add(CountWord::kMinusOne, std::memory_order_seq_cst);
  return false;
}

bool Segment::DropPin(std::uint32_t number) {
  std::atomic<std::uint32_t>& pins = PinsOf(slot_, number);
  std::uint32_t before = pins.load(std::memory_order_relaxed);
  // A damaged count is not counted down: the object then stays until this process ends.
  while (CountWord::Valid(before) && CountWord::Count(before) > 0) {
    if (pins.compare_exchange_weak(before, before + CountWord::kMinusOne, std::memory_order_seq_cst)) {
      return CountWord::Count(before) == 1;
    }
  }
  return false;
}

bool Segment::IsPinned(std::uint32_t number) const {
  const std::uint32_t chunk = number / geometry_.entries_per_pin_chunk;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    const ProcessSlot& of = header_.slots[slot];
    const std::uint64_t state = of.state.load(std::memory_order_relaxed);
    if (state == 0) continue;
    const std::optional<SlotWord> word = SlotWord::Unpack(state);
    if (word.has_value() && !word->live) continue;
    if (of.PinsUsed(chunk) && PinsOf(slot, number).load(std::memory_order_seq_cst) != 0) return true;
  }
  return false;
}

int Segment::PinnedBy(std::uint32_t number) const {
  const std::uint32_t chunk = number / geometry_.entries_per_pin_chunk;
  int processes = 0;
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    const ProcessSlot& of = header_.slots[slot];
    if (of.PinsUsed(chunk) && PinsOf(slot, number).load(std::memory_order_relaxed) != 0) ++processes;
  }
  return processes;
}

void Segment::Unpin(std::uint32_t number) {
  if (file_->forked()) return;
  const std::optional<EntryFields> fields = kAddressSanitized ? ReadFields(number) : std::nullopt;
  if (fields.has_value()) Conceal(fields->block());
  Drop(number);
}

void Segment::Drop(std::uint32_t number) {
  if (!DropPin(number)) return;
  RUSTYRAY_CRASH_POINT("release.unpinned");
  FreeIfCondemned(number);
}

void Segment::FreeIfCondemned(std::uint32_t number) {
  const auto condemned = [&] {
    const std::optional<EntryWord> word = EntryWord::Unpack(entry(number).state.load(std::memory_order_seq_cst));
    return word.has_value() && word->state == EntryState::kCondemned ? word : std::nullopt;
  };
  if (!condemned().has_value()) return;
  Shard& its = shard(number % geometry_.shards);
  // If it fails, a recovery is due, and frees it.
  (void)Run([&] {
    if (const Step step = gate_.Lock(its.lock); step != Step::kDone) return step;
    const std::optional<EntryWord> word = condemned();
    const std::optional<EntryFields> fields = ReadFields(number);
    const bool free = word.has_value() && fields.has_value() && !IsPinned(number);
    if (free) {
      RUSTYRAY_CRASH_POINT("release.free");
      FreeEntry(number, *word);
      its.used_units.fetch_sub(fields->units, std::memory_order_relaxed);
      its.condemned.fetch_sub(1, std::memory_order_relaxed);
      its.condemned_bytes.fetch_sub(std::uint64_t{fields->units} * kUnit, std::memory_order_relaxed);
    }
    gate_.Unlock(its.lock);
    if (free) GiveBlock({fields->unit, fields->units}, false);
    return Step::kDone;
  });
}

}  // namespace rustyray::object_store::shm
