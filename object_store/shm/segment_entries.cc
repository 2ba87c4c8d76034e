// The entries of a segment: how they are found by id, what is written into them and believed of them, and how they are
// taken and freed.
#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "object_store/shm/crash_point.h"
#include "object_store/shm/segment.h"

namespace rustyray::object_store::shm {
namespace {

// A look without a lock is tried this often before it takes the lock.
constexpr int kLooksWithoutLock = 64;

// In the machine's own order: a segment never leaves it.
std::array<std::uint64_t, 2> WordsOf(const core::ObjectId& id) {
  return std::bit_cast<std::array<std::uint64_t, 2>>(id);
}

std::uint64_t Now() { return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count()); }

}  // namespace

// --- Finding.

std::uint64_t Segment::HashOf(const core::ObjectId& id) const {
  const auto [high, low] = WordsOf(id);
  return Combine(Combine(key_, high), low);
}

std::atomic<std::uint32_t>& Segment::BucketOf(std::uint64_t hash) const {
  const std::uint64_t bucket = (hash >> 32) & (geometry_.buckets_per_shard - 1);
  return buckets_[std::uint64_t{ShardOf(hash)} * geometry_.buckets_per_shard + bucket];
}

bool Segment::HasPage(const std::atomic<std::uint32_t>& bucket) const {
  const char* const at = reinterpret_cast<const char*>(&bucket);
  return file_->Reserve(static_cast<std::uint64_t>(at - file_->base()), sizeof(bucket));
}

bool Segment::EntryIsUsable(std::uint32_t number) const {
  return number < geometry_.max_entries &&
         file_->Reserve(geometry_.entries_at + std::uint64_t{number} * sizeof(Entry), sizeof(Entry));
}

Step Segment::Walk(const core::ObjectId& id, std::uint64_t hash, Found& found) const {
  found = {};
  const auto [high, low] = WordsOf(id);
  const std::uint32_t shard = ShardOf(hash);
  std::atomic<std::uint32_t>& bucket = BucketOf(hash);
  if (!HasPage(bucket)) return Step::kDone;  // nobody ever wrote it
  std::uint32_t next = bucket.load(std::memory_order_acquire);
  for (std::uint32_t steps = 0; next != 0; ++steps) {
    const std::uint32_t number = next - 1;
    if (steps > geometry_.entries_per_shard || !EntryIsUsable(number) || number % geometry_.shards != shard) {
      return Step::kRecover;
    }
    const Entry& at = entry(number);
    if (at.fixed[0].load(std::memory_order_acquire) == high && at.fixed[1].load(std::memory_order_acquire) == low) {
      const std::optional<EntryWord> word = EntryWord::Unpack(at.state.load(std::memory_order_acquire));
      if (!word.has_value()) return Step::kRecover;
      if (word->state == EntryState::kSealed || word->state == EntryState::kCreating) {
        found = {number, *word};
        return Step::kDone;
      }
    }
    next = at.next.load(std::memory_order_acquire);
  }
  return Step::kDone;
}

Step Segment::Find(const core::ObjectId& id, std::uint64_t hash, Found& found) {
  Shard& its = shard(ShardOf(hash));
  for (int look = 0; look < kLooksWithoutLock; ++look) {
    const std::uint32_t version = its.version.load(std::memory_order_acquire);
    const Step step = Walk(id, hash, found);
    if (step == Step::kDone && found.entry != kNoEntry) return step;
    // What a chain says while it changes means nothing, also that it is damaged.
    if ((version & 1) == 0 && its.version.load(std::memory_order_acquire) == version) return step;
  }
  if (const Step step = gate_.Lock(its.lock); step != Step::kDone) return step;
  // Odd, although nobody changes it: damaged.
  if ((its.version.load(std::memory_order_relaxed) & 1) != 0) its.version.fetch_add(1, std::memory_order_relaxed);
  const Step step = Walk(id, hash, found);
  gate_.Unlock(its.lock);
  return step;
}

// --- Fields.

void Segment::Expose(Block block) const {
  exposure_.Expose(arena_ + std::size_t{block.unit} * kUnit, std::size_t{block.units} * kUnit);
}

void Segment::Conceal(Block block) const {
  exposure_.Conceal(arena_ + std::size_t{block.unit} * kUnit, std::size_t{block.units} * kUnit);
}

std::uint64_t Segment::FieldsChecksum(std::uint32_t number, const std::array<std::uint64_t, 7>& fixed) const {
  std::uint64_t hash = key_ ^ number;
  for (const std::uint64_t word : fixed) hash = Combine(hash, word);
  for (const auto& word : entry(number).name) hash = Combine(hash, word.load(std::memory_order_relaxed));
  return hash | 1;  // never 0
}

void Segment::WriteFields(std::uint32_t number, const Wanted& wanted, Block block) {
  Entry& to = entry(number);
  const auto [high, low] = WordsOf(wanted.id);
  const std::array<std::uint64_t, 7> fixed = {
      high,
      low,
      std::uint64_t{block.unit} << 32 | block.units,
      wanted.size,
      wanted.fingerprint,
      std::uint64_t{slot_} | std::uint64_t(std::bit_width(wanted.align) - 1) << 8 |
          static_cast<std::uint64_t>(wanted.lifetime) << 16 | std::uint64_t{wanted.type_name.size()} << 32,
      slot_generation_,
  };
  std::array<std::uint64_t, kInlineName / 8> name = {};
  if (wanted.type_name.size() <= kInlineName) {
    std::memcpy(name.data(), wanted.type_name.data(), wanted.type_name.size());
  } else {
    name[0] = Checksum(wanted.type_name, key_);
    char* const behind = arena_ + std::size_t{block.unit} * kUnit + wanted.size;
    Expose(block);
    std::memcpy(behind, wanted.type_name.data(), wanted.type_name.size());
    Conceal(block);
  }
  for (std::size_t i = 0; i < name.size(); ++i) to.name[i].store(name[i], std::memory_order_relaxed);
  for (std::size_t i = 0; i < fixed.size(); ++i) to.fixed[i].store(fixed[i], std::memory_order_relaxed);
  RUSTYRAY_CRASH_POINT("create.fields");
  to.checksum.store(FieldsChecksum(number, fixed), std::memory_order_relaxed);
  to.has_payload_checksum.store(0, std::memory_order_relaxed);
  to.recency.store(Now(), std::memory_order_relaxed);
}

std::optional<EntryFields> Segment::ReadFields(std::uint32_t number) const {
  const Entry& from = entry(number);
  std::array<std::uint64_t, 7> fixed;
  for (std::size_t i = 0; i < fixed.size(); ++i) fixed[i] = from.fixed[i].load(std::memory_order_relaxed);
  if (from.checksum.load(std::memory_order_relaxed) != FieldsChecksum(number, fixed)) return std::nullopt;
  const EntryFields fields{.id_high = fixed[0],
                           .id_low = fixed[1],
                           .unit = static_cast<std::uint32_t>(fixed[2] >> 32),
                           .units = static_cast<std::uint32_t>(fixed[2]),
                           .size = fixed[3],
                           .fingerprint = fixed[4],
                           .creator_slot = static_cast<std::uint8_t>(fixed[5]),
                           .align_log2 = static_cast<std::uint8_t>(fixed[5] >> 8),
                           .lifetime = static_cast<std::uint8_t>(fixed[5] >> 16),
                           .name_size = static_cast<std::uint16_t>(fixed[5] >> 32),
                           .creator_generation = static_cast<std::uint32_t>(fixed[6])};
  // The checksum is no secret to whoever can write here: what follows from the fields is looked at, too.
  const std::uint64_t behind = fields.name_size > kInlineName ? fields.name_size : 0;
  const std::uint64_t room = std::uint64_t{fields.units} * kUnit;
  if (fields.units == 0 || fields.unit >= geometry_.arena_units || fields.units > geometry_.arena_units - fields.unit ||
      fields.size > room || behind > room - fields.size || fields.creator_slot >= kSlots || fields.align_log2 > 6) {
    return std::nullopt;
  }
  return fields;
}

std::string Segment::TypeNameOf(std::uint32_t number) const {
  constexpr std::string_view kDamaged = "(a name that is damaged)";
  const Entry& from = entry(number);
  std::array<std::uint64_t, kInlineName / 8> name;
  for (std::size_t i = 0; i < name.size(); ++i) name[i] = from.name[i].load(std::memory_order_relaxed);
  const std::optional<EntryFields> fields = ReadFields(number);
  if (!fields.has_value()) return std::string(kDamaged);
  if (fields->name_size <= kInlineName) return {reinterpret_cast<const char*>(name.data()), fields->name_size};
  const char* const behind = arena_ + std::size_t{fields->unit} * kUnit + fields->size;
  Expose(fields->block());
  std::string read(behind, fields->name_size);
  Conceal(fields->block());
  return Checksum(read, key_) == name[0] ? read : std::string(kDamaged);
}

// --- Taking and freeing.

Step Segment::TakeEntry(std::uint32_t number_of_shard, std::uint32_t& number, bool& no_pages) {
  Shard& its = shard(number_of_shard);
  no_pages = false;
  number = kNoEntry;
  if (const std::uint32_t head = its.free_head.load(std::memory_order_relaxed); head != 0) {
    if (!EntryIsUsable(head - 1) || (head - 1) % geometry_.shards != number_of_shard) return Step::kRecover;
    const std::optional<EntryWord> word = EntryWord::Unpack(entry(head - 1).state.load(std::memory_order_relaxed));
    if (!word.has_value() || word->state != EntryState::kFree) return Step::kRecover;
    its.free_head.store(entry(head - 1).next.load(std::memory_order_relaxed), std::memory_order_relaxed);
    number = head - 1;
    return Step::kDone;
  }
  const std::uint32_t local = its.next_unused.load(std::memory_order_relaxed);
  if (local > geometry_.entries_per_shard) return Step::kRecover;
  if (local == geometry_.entries_per_shard) return Step::kDone;
  const std::uint32_t fresh = local * geometry_.shards + number_of_shard;
  if (!EntryIsUsable(fresh)) {
    no_pages = true;
    return Step::kDone;
  }
  if (EntryWord::Unpack(entry(fresh).state.load(std::memory_order_relaxed)) != EntryWord{}) return Step::kRecover;
  its.next_unused.store(local + 1, std::memory_order_relaxed);
  number = fresh;
  return Step::kDone;
}

Step Segment::Unlink(std::uint32_t number, std::uint64_t hash) {
  Shard& its = shard(ShardOf(hash));
  std::atomic<std::uint32_t>* link = &BucketOf(hash);
  for (std::uint32_t steps = 0; steps <= geometry_.entries_per_shard; ++steps) {
    const std::uint32_t next = link->load(std::memory_order_relaxed);
    if (next == 0 || !EntryIsUsable(next - 1)) return Step::kRecover;
    if (next - 1 != number) {
      link = &entry(next - 1).next;
      continue;
    }
    its.version.fetch_add(1, std::memory_order_acq_rel);
    RUSTYRAY_CRASH_POINT("unlink.version");
    link->store(entry(number).next.load(std::memory_order_relaxed), std::memory_order_release);
    its.version.fetch_add(1, std::memory_order_acq_rel);
    return Step::kDone;
  }
  return Step::kRecover;
}

void Segment::FreeEntry(std::uint32_t number, EntryWord was) {
  Entry& freed = entry(number);
  Shard& its = shard(number % geometry_.shards);
  freed.state.store(EntryWord{EntryState::kFree, was.generation + 1}.Pack(), std::memory_order_release);
  RUSTYRAY_CRASH_POINT("free.state");
  freed.checksum.store(0, std::memory_order_relaxed);  // afterwards: an entry in use has its checksum
  freed.next.store(its.free_head.load(std::memory_order_relaxed), std::memory_order_relaxed);
  its.free_head.store(number + 1, std::memory_order_relaxed);
}

std::size_t Segment::BlockBytes(std::size_t size, std::size_t name_size) {
  const std::size_t all = size + (name_size > kInlineName ? name_size : 0);
  return std::max<std::size_t>(1, (all + kUnit - 1) / kUnit) * kUnit;
}

void Segment::Touch(const Object& object) {
  if (object.fields.lifetime == static_cast<std::uint8_t>(Lifetime::kCache)) {
    entry(object.entry).recency.store(Now(), std::memory_order_relaxed);
  }
}

}  // namespace rustyray::object_store::shm
