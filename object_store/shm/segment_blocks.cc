// Blocks: how a segment gets and gives back room in its arena, and evicts for it.
#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "object_store/shm/crash_point.h"
#include "object_store/shm/failure.h"
#include "object_store/shm/segment.h"

namespace rustyray::object_store::shm {
namespace {

// Blocks fetched at once for the magazine.
constexpr std::uint32_t kRefill = 16;
// Victims found in one look over all entries: at least so many, or a part of those there are, so that the look is
// shared by many evictions.
constexpr std::size_t kFewestVictims = 1024;
// How often one eviction looks anew when others took all that it found.
constexpr int kMostLooks = 16;
// How often a create that finds no hole looks again, for holes that others made meanwhile.
constexpr int kMostRounds = 1 << 20;

}  // namespace

bool Segment::HeapPages::ReserveTags(std::uint32_t from, std::uint32_t to) {
  return file_.Reserve(file_.geometry().tags_at + std::uint64_t{from} * sizeof(HeapTag),
                       std::uint64_t{to - from} * sizeof(HeapTag));
}

bool Segment::HeapPages::ReserveUnits(std::uint32_t from, std::uint32_t to) {
  const std::uint64_t at = file_.geometry().arena_at + std::uint64_t{from} * kUnit;
  const std::uint64_t size = std::uint64_t{to - from} * kUnit;
  if (!file_.Allocate(at, size)) return false;
  exposure_.Hide(file_.base() + at, size);
  return true;
}

BlockHeap Segment::Heap() {
  return {header_.heap, reinterpret_cast<HeapTag*>(file_->base() + geometry_.tags_at), geometry_.arena_units,
          geometry_.limit_bytes / kUnit, heap_pages_};
}

Step Segment::TakeBlock(std::uint32_t units, Block& block, BlockHeap::Result& result) {
  if (units <= Magazine::kMostUnits && magazine_depth_ > 0) {
    core::MutexLock lock(magazine_.mutex);
    return TakeSmallBlock(units, block, result);
  }
  if (const Step step = gate_.Lock(header_.heap_lock); step != Step::kDone) return step;
  RUSTYRAY_CRASH_POINT("heap.locked");
  result = Heap().Take(units, block);
  RUSTYRAY_CRASH_POINT("heap.taken");
  gate_.Unlock(header_.heap_lock);
  return result == BlockHeap::Result::kDamaged ? Step::kRecover : Step::kDone;
}

Step Segment::TakeSmallBlock(std::uint32_t units, Block& block, BlockHeap::Result& result) {
  ForgetOldBlocks();
  std::vector<std::uint32_t>& ready = magazine_.blocks[units];
  if (ready.empty()) {
    if (const Step step = gate_.Lock(header_.heap_lock); step != Step::kDone) return step;
    RUSTYRAY_CRASH_POINT("refill.locked");
    BlockHeap heap = Heap();
    const std::uint32_t several = std::min(kRefill, magazine_depth_);
    result = heap.Take(units * several, block);
    RUSTYRAY_CRASH_POINT("refill.taken");
    if (result == BlockHeap::Result::kOk) {
      result = heap.Split(block, several);
      for (std::uint32_t i = several; i > 0; --i) ready.push_back(block.unit + (i - 1) * units);
    } else if (result != BlockHeap::Result::kDamaged && heap.Take(units, block) == BlockHeap::Result::kOk) {
      result = BlockHeap::Result::kOk;
      ready.push_back(block.unit);
    }
    gate_.Unlock(header_.heap_lock);
    if (result == BlockHeap::Result::kDamaged) return Step::kRecover;
    if (ready.empty()) return Step::kDone;
  }
  block = {ready.back(), units};
  ready.pop_back();
  result = BlockHeap::Result::kOk;
  return Step::kDone;
}

void Segment::ForgetOldBlocks() {
  const std::uint32_t epoch = header_.epoch.load(std::memory_order_acquire);
  if (magazine_.epoch == epoch) return;
  for (std::vector<std::uint32_t>& blocks : magazine_.blocks) blocks.clear();
  magazine_.epoch = epoch;
}

// Within an operation whose entry no longer has the block. If it cannot be given back, whoever closed the gate, or
// finds the damage, makes the heap anew without it.
void Segment::GiveBlock(Block block, bool to_heap) {
  std::vector<Block> back = {};
  if (!to_heap && block.units <= Magazine::kMostUnits && magazine_depth_ > 0) {
    core::MutexLock lock(magazine_.mutex);
    ForgetOldBlocks();
    std::vector<std::uint32_t>& ready = magazine_.blocks[block.units];
    ready.push_back(block.unit);
    if (ready.size() <= magazine_depth_) return;
    for (std::size_t keep = magazine_depth_ / 2; ready.size() > keep; ready.pop_back()) {
      back.push_back({ready.back(), block.units});
    }
  } else {
    back.push_back(block);
  }
  if (gate_.Lock(header_.heap_lock) != Step::kDone) return;
  RUSTYRAY_CRASH_POINT("give.locked");
  BlockHeap heap = Heap();
  for (const Block& each : back) {
    if (heap.Give(each) != BlockHeap::Result::kOk) break;
  }
  gate_.Unlock(header_.heap_lock);
  RUSTYRAY_CRASH_POINT("give.unlocked");
}

Step Segment::EmptyMagazine() {
  core::MutexLock lock(magazine_.mutex);
  ForgetOldBlocks();
  if (const Step step = gate_.Lock(header_.heap_lock); step != Step::kDone) return step;
  BlockHeap heap = Heap();
  bool damaged = false;
  for (std::uint32_t units = 1; units <= Magazine::kMostUnits; ++units) {
    for (const std::uint32_t unit : magazine_.blocks[units]) {
      damaged = damaged || heap.Give({unit, units}) != BlockHeap::Result::kOk;
    }
    magazine_.blocks[units].clear();
  }
  gate_.Unlock(header_.heap_lock);
  return damaged ? Step::kRecover : Step::kDone;
}

// In this order: the blocks at hand here, what the dead had, cache objects, the blocks at hand elsewhere.
absl::StatusOr<bool> Segment::MakeRoom(std::uint32_t units, bool lacks_block, bool lacks_pages, int round) {
  if (round >= kMostRounds) return false;
  if (round == 0) {
    if (absl::Status status = Run([&] { return EmptyMagazine(); }); !status.ok()) return status;
    const absl::StatusOr<bool> reclaimed = ReclaimDead();
    if (!reclaimed.ok()) return reclaimed.status();
    return true;
  }
  if (EvictOne()) return true;
  if (!lacks_block) return false;
  // What others gave back since the create looked.
  bool there_is_now = false;
  std::uint64_t taken = 0;
  const auto look = [&] {
    if (const Step step = gate_.Lock(header_.heap_lock); step != Step::kDone) return step;
    there_is_now = !lacks_pages && Heap().Measure().largest >= units;
    taken = header_.heap.taken;
    gate_.Unlock(header_.heap_lock);
    return Step::kDone;
  };
  if (absl::Status looked = Run(look); !looked.ok()) return looked;
  if (there_is_now) return true;
  const std::uint32_t epoch = header_.epoch.load(std::memory_order_acquire);
  std::uint64_t in_entries = 0;
  for (std::uint32_t i = 0; i < geometry_.shards; ++i) {
    in_entries += shard(i).used_units.load(std::memory_order_relaxed);
  }
  if (taken < in_entries + units) return false;
  // Others have at least that much at hand: a heap made anew takes it from them.
  if (absl::Status status = Recover(false, epoch); !status.ok()) return status;
  const std::uint64_t before = taken;
  if (absl::Status looked = Run(look); !looked.ok()) return looked;
  return taken < before;
}

void Segment::FindVictims() {
  std::vector<Victim> all;
  for (std::uint32_t number = 0; number < geometry_.max_entries; ++number) {
    const Shard& its = shard(number % geometry_.shards);
    if (number / geometry_.shards >= its.next_unused.load(std::memory_order_relaxed)) {
      // Shards fill about alike: far beyond them all there is nothing.
      bool any = false;
      for (std::uint32_t i = 0; i < geometry_.shards && !any; ++i) {
        any = number / geometry_.shards < shard(i).next_unused.load(std::memory_order_relaxed);
      }
      if (!any) break;
      continue;
    }
    if (!EntryIsUsable(number)) continue;
    const Entry& candidate = entry(number);
    const std::optional<EntryWord> word = EntryWord::Unpack(candidate.state.load(std::memory_order_acquire));
    if (!word.has_value() || word->state != EntryState::kSealed) continue;
    const auto lifetime = static_cast<std::uint8_t>(candidate.fixed[5].load(std::memory_order_relaxed) >> 16);
    if (lifetime != static_cast<std::uint8_t>(Lifetime::kCache)) continue;
    all.push_back({candidate.recency.load(std::memory_order_relaxed), number, word->generation});
  }
  // Who is pinned counts as in use now: it is not looked at again and again.
  if (all.size() <= kFewestVictims) std::erase_if(all, [this](const Victim& victim) { return IsPinned(victim.entry); });
  // Others find the same: the more of the last ones they took, the more are looked for at once, so that all together
  // search about as often as one alone would.
  if (victims_found_ > 0) {
    victims_part_ = victims_taken_ < victims_found_ / 2 ? std::max(victims_part_ / 2, kLargestPart)
                                                        : std::min(victims_part_ * 2, kSmallestPart);
  }
  const std::size_t wanted = std::min(all.size(), std::max(kFewestVictims, all.size() / victims_part_));
  const auto older = [](const Victim& a, const Victim& b) { return a.recency < b.recency; };
  std::nth_element(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(wanted), all.end(), older);
  all.resize(wanted);
  std::sort(all.begin(), all.end(), [](const Victim& a, const Victim& b) { return a.recency > b.recency; });
  victims_ = std::move(all);
  victims_found_ = victims_.size();
  victims_taken_ = 0;
}

bool Segment::EvictOne() {
  core::MutexLock lock(victims_mutex_);
  for (int looks = 0;;) {
    if (victims_.empty()) {
      if (++looks > kMostLooks) return true;                                  // others made room meanwhile
      const absl::Status looked = Run([&]() ABSL_NO_THREAD_SAFETY_ANALYSIS {  // the lock is held, out there
        FindVictims();
        return Step::kDone;
      });
      if (!looked.ok() || victims_.empty()) return false;
    }
    const Victim victim = victims_.back();
    victims_.pop_back();
    // Most that are gone need no lock to be seen so.
    if (entry(victim.entry).state.load(std::memory_order_relaxed) !=
        EntryWord{EntryState::kSealed, victim.generation}.Pack()) {
      continue;
    }
    bool gone = false;
    const absl::Status status = Run([&] { return Condemn(victim.entry, victim.generation, &victim.recency, gone); });
    if (!status.ok()) return false;
    if (!gone) continue;
    ++victims_taken_;
    header_.evictions.fetch_add(1, std::memory_order_relaxed);
    TellEvent(header_.changes);
    return true;
  }
}

absl::Status Segment::NoRoom(const Wanted& wanted, BlockHeap::Result why) {
  const absl::StatusOr<Totals> now = Measure();
  if (!now.ok()) return now.status();
  if (why == BlockHeap::Result::kNoPages) {
    return Failure(absl::StatusCode::kResourceExhausted,
                   absl::StrCat("no memory for an object of ", wanted.size, " bytes: the file system of ",
                                file_->path(), " is full, before the store's limit of ", geometry_.limit_bytes,
                                " bytes (", now->bytes, " in use)"));
  }
  return Failure(
      absl::StatusCode::kResourceExhausted,
      absl::StrCat("the shared-memory store is full: an object of ", wanted.size, " bytes does not fit the limit of ",
                   geometry_.limit_bytes, " bytes (", now->bytes + now->condemned_bytes, " in use, ", now->free_bytes,
                   " free, largest hole ", now->largest_hole, ", the rest is pinned or owned)"));
}

}  // namespace rustyray::object_store::shm
