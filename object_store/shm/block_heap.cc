#include "object_store/shm/block_heap.h"

#include <algorithm>
#include <bit>

namespace rustyray::object_store::shm {
namespace {

// The frontier moves by this many units at least, if there are so many: 1 MiB.
constexpr std::uint32_t kExtension = (1u << 20) / kUnit;

constexpr std::uint32_t Header(std::uint32_t units, bool used) { return units << 1 | (used ? 1u : 0u); }

}  // namespace

BlockHeap::Bin BlockHeap::BinOf(std::uint32_t units) {
  if (units < HeapState::kSteps) return {0, units};
  const auto top = static_cast<std::uint32_t>(std::bit_width(units)) - 1;  // at least 4
  return {top - 3, (units >> (top - 4)) & (HeapState::kSteps - 1)};
}

// Whether a free block begins there, as far as its own tags say.
bool BlockHeap::FreeBlockAt(std::uint32_t unit, std::uint32_t& units) const {
  const std::uint32_t frontier = std::min(state_.frontier, units_);
  if (unit >= frontier || !pages_.ReserveTags(unit, unit + 1)) return false;
  const std::uint32_t front = tags_[unit].front;
  units = front >> 1;
  return (front & 1) == 0 && units > 0 && units <= frontier - unit &&
         pages_.ReserveTags(unit + units - 1, unit + units) && tags_[unit + units - 1].back == front;
}

bool BlockHeap::Mark(Block block, bool used) {
  if (!pages_.ReserveTags(block.unit, block.unit + 1) ||
      !pages_.ReserveTags(block.unit + block.units - 1, block.unit + block.units)) {
    return false;
  }
  tags_[block.unit].front = Header(block.units, used);
  tags_[block.unit + block.units - 1].back = Header(block.units, used);
  return true;
}

bool BlockHeap::Insert(Block block) {
  const Bin bin = BinOf(block.units);
  std::uint32_t& head = state_.heads[bin.of_class][bin.step];
  const std::uint32_t first = head;
  if (first != 0) {
    std::uint32_t units = 0;
    if (!FreeBlockAt(first - 1, units)) return false;
    tags_[first - 1].previous = block.unit + 1;
  }
  tags_[block.unit].next = first;
  tags_[block.unit].previous = 0;
  head = block.unit + 1;
  state_.step_bits[bin.of_class] |= 1u << bin.step;
  state_.class_bits |= 1u << bin.of_class;
  return true;
}

bool BlockHeap::Remove(Block block) {
  const Bin bin = BinOf(block.units);
  std::uint32_t& head = state_.heads[bin.of_class][bin.step];
  const std::uint32_t next = tags_[block.unit].next;
  const std::uint32_t previous = tags_[block.unit].previous;
  std::uint32_t units = 0;
  if (next != 0 && (!FreeBlockAt(next - 1, units) || tags_[next - 1].previous != block.unit + 1)) return false;
  if (previous == 0) {
    if (head != block.unit + 1) return false;
    head = next;
  } else {
    if (!FreeBlockAt(previous - 1, units) || tags_[previous - 1].next != block.unit + 1) return false;
    tags_[previous - 1].next = next;
  }
  if (next != 0) tags_[next - 1].previous = previous;
  if (head == 0) {
    state_.step_bits[bin.of_class] &= ~(1u << bin.step);
    if (state_.step_bits[bin.of_class] == 0) state_.class_bits &= ~(1u << bin.of_class);
  }
  return true;
}

BlockHeap::Result BlockHeap::TakeHole(Block hole, std::uint32_t units, Block& block) {
  if (!Remove(hole)) return Result::kDamaged;
  block = {hole.unit, units};
  if (!Mark(block, true)) return Result::kNoPages;  // cannot be: its first unit has a tag, its last is in a hole
  if (const std::uint32_t rest = hole.units - units; rest > 0) {
    const Block left{hole.unit + units, rest};
    if (!Mark(left, false)) return Result::kNoPages;
    if (!Insert(left)) return Result::kDamaged;
  }
  state_.taken += units;
  return Result::kOk;
}

BlockHeap::Result BlockHeap::Take(std::uint32_t units, Block& block) {
  if (units == 0 || units > units_ || state_.taken > most_taken_ || units > most_taken_ - state_.taken) {
    return state_.taken > most_taken_ ? Result::kDamaged : Result::kFull;
  }
  const Bin bin = BinOf(units);
  for (std::uint32_t of_class = bin.of_class; of_class < HeapState::kClasses; ++of_class) {
    if ((state_.class_bits >> of_class & 1) == 0) continue;
    std::uint32_t steps = state_.step_bits[of_class];
    if (of_class == bin.of_class) steps &= ~0u << bin.step;
    for (steps &= (1u << HeapState::kSteps) - 1; steps != 0; steps &= steps - 1) {
      const auto step = static_cast<std::uint32_t>(std::countr_zero(steps));
      Block best;
      std::uint32_t at = state_.heads[of_class][step];
      if (at == 0) return Result::kDamaged;
      for (int looks = 0; at != 0 && looks < kMostLooks; ++looks) {
        std::uint32_t found = 0;
        if (!FreeBlockAt(at - 1, found)) return Result::kDamaged;
        const Bin its = BinOf(found);
        if (its.of_class != of_class || its.step != step) return Result::kDamaged;
        if (found >= units && (best.units == 0 || found < best.units)) best = {at - 1, found};
        if (found == units) break;
        at = tags_[at - 1].next;
      }
      if (best.units != 0) return TakeHole(best, units, block);
    }
  }
  return Extend(units, block);
}

BlockHeap::Result BlockHeap::Extend(std::uint32_t units, Block& block) {
  const std::uint32_t frontier = state_.frontier;
  if (frontier > units_) return Result::kDamaged;
  // A hole that ends at the frontier grows.
  Block hole{frontier, 0};
  if (frontier > 0) {
    if (!pages_.ReserveTags(frontier - 1, frontier)) return Result::kDamaged;
    const std::uint32_t back = tags_[frontier - 1].back;
    if ((back >> 1) == 0 || (back >> 1) > frontier) return Result::kDamaged;
    if ((back & 1) == 0) {
      hole = {frontier - (back >> 1), back >> 1};
      std::uint32_t found = 0;
      if (!FreeBlockAt(hole.unit, found) || found != hole.units || found >= units) return Result::kDamaged;
    }
  }
  const std::uint32_t missing = units - hole.units;
  if (missing > units_ - frontier) return Result::kFull;
  std::uint32_t more = std::min(std::max(missing, kExtension), units_ - frontier);
  if (!pages_.ReserveUnits(frontier, frontier + more)) {
    more = missing;
    if (!pages_.ReserveUnits(frontier, frontier + more)) return Result::kNoPages;
  }
  if (!pages_.ReserveTags(frontier + more - 1, frontier + more) || !pages_.ReserveTags(frontier, frontier + 1)) {
    return Result::kNoPages;
  }
  if (hole.units != 0 && !Remove(hole)) return Result::kDamaged;
  hole.units += more;
  state_.frontier = frontier + more;
  if (!Mark(hole, false)) return Result::kNoPages;
  if (!Insert(hole)) return Result::kDamaged;
  return TakeHole(hole, units, block);
}

BlockHeap::Result BlockHeap::Give(Block block) {
  const std::uint32_t frontier = state_.frontier;
  if (frontier > units_ || block.units == 0 || block.unit >= frontier || block.units > frontier - block.unit ||
      !pages_.ReserveTags(block.unit, block.unit + 1) ||
      !pages_.ReserveTags(block.unit + block.units - 1, block.unit + block.units) ||
      tags_[block.unit].front != Header(block.units, true) ||
      tags_[block.unit + block.units - 1].back != Header(block.units, true) || state_.taken < block.units) {
    return Result::kDamaged;
  }
  state_.taken -= block.units;
  Block hole = block;
  std::uint32_t found = 0;
  if (const std::uint32_t end = block.unit + block.units; end < frontier && FreeBlockAt(end, found)) {
    if (!Remove({end, found})) return Result::kDamaged;
    hole.units += found;
  }
  if (block.unit > 0) {
    if (!pages_.ReserveTags(block.unit - 1, block.unit)) return Result::kDamaged;
    const std::uint32_t back = tags_[block.unit - 1].back;
    if ((back >> 1) == 0 || (back >> 1) > block.unit) return Result::kDamaged;
    if ((back & 1) == 0) {
      const Block before{block.unit - (back >> 1), back >> 1};
      if (!FreeBlockAt(before.unit, found) || found != before.units || !Remove(before)) return Result::kDamaged;
      hole = {before.unit, before.units + hole.units};
    }
  }
  return Mark(hole, false) && Insert(hole) ? Result::kOk : Result::kDamaged;
}

BlockHeap::Result BlockHeap::Split(Block block, std::uint32_t parts) {
  if (parts == 0 || block.units % parts != 0) return Result::kDamaged;
  const std::uint32_t each = block.units / parts;
  for (std::uint32_t i = 0; i < parts; ++i) {
    if (!Mark({block.unit + i * each, each}, true)) return Result::kNoPages;
  }
  return Result::kOk;
}

BlockHeap::Holes BlockHeap::Measure() const {
  Holes holes;
  if (state_.frontier > units_ || state_.taken > most_taken_) return {.damaged = true};
  const std::uint64_t allowed = most_taken_ - state_.taken;
  holes.free_units = std::min<std::uint64_t>(allowed, units_ - std::min<std::uint64_t>(state_.taken, units_));
  std::uint32_t at_end = units_ - state_.frontier;
  if (state_.frontier > 0 && pages_.ReserveTags(state_.frontier - 1, state_.frontier)) {
    const std::uint32_t back = tags_[state_.frontier - 1].back;
    if ((back & 1) == 0 && (back >> 1) <= state_.frontier) at_end += back >> 1;
  }
  holes.largest = at_end;
  if (state_.class_bits != 0) {
    const auto of_class = static_cast<std::uint32_t>(std::bit_width(state_.class_bits)) - 1;
    const std::uint32_t steps = state_.step_bits[of_class] & ((1u << HeapState::kSteps) - 1);
    if (steps == 0) return {.damaged = true};
    std::uint32_t at = state_.heads[of_class][static_cast<std::uint32_t>(std::bit_width(steps)) - 1];
    for (std::uint32_t steps_left = units_; at != 0; --steps_left) {
      std::uint32_t found = 0;
      if (steps_left == 0 || !FreeBlockAt(at - 1, found)) return {.damaged = true};
      holes.largest = std::max(holes.largest, found);
      at = tags_[at - 1].next;
    }
  }
  holes.largest = static_cast<std::uint32_t>(std::min<std::uint64_t>(holes.largest, allowed));
  return holes;
}

BlockHeap::Result BlockHeap::Rebuild(std::span<const Block> used) {
  const std::uint32_t end = used.empty() ? 0 : used.back().unit + used.back().units;
  state_ = {};
  state_.frontier = end;
  std::uint32_t at = 0;
  for (const Block& block : used) {
    if (block.unit > at) {
      const Block hole{at, block.unit - at};
      if (!pages_.ReserveUnits(hole.unit, hole.unit + hole.units) || !Mark(hole, false)) return Result::kNoPages;
      if (!Insert(hole)) return Result::kDamaged;
    }
    if (!Mark(block, true)) return Result::kNoPages;
    state_.taken += block.units;
    at = block.unit + block.units;
  }
  return Result::kOk;
}

}  // namespace rustyray::object_store::shm
