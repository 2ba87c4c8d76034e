#include "object_store/shm/layout.h"

#include <algorithm>
#include <bit>
#include <cstddef>

#include "absl/strings/str_cat.h"
#include "object_store/shm/failure.h"

namespace rustyray::object_store::shm {
namespace {

constexpr std::uint64_t kMostObjects = 1u << 26;

constexpr std::uint64_t RoundUp(std::uint64_t value, std::uint64_t step) { return (value + step - 1) / step * step; }

absl::Status Invalid(std::string_view message) { return Failure(absl::StatusCode::kInvalidArgument, message); }

}  // namespace

absl::StatusOr<Geometry> Geometry::For(std::uint64_t limit_bytes, std::uint64_t max_objects,
                                       std::uint64_t spare_bytes) {
  if (limit_bytes < kUnit) {
    return Invalid(absl::StrCat("a limit of ", limit_bytes,
                                " bytes holds nothing: a shared-memory store needs at least ", kUnit, " bytes"));
  }
  if (limit_bytes > kMostLimit) {
    return Invalid(absl::StrCat("a limit of ", limit_bytes, " bytes is more than a shared-memory store can have, ",
                                kMostLimit, " bytes"));
  }
  if (max_objects > kMostObjects) {
    return Invalid(absl::StrCat(max_objects, " objects are more than a shared-memory store can have, ", kMostObjects));
  }
  const std::uint64_t limit_units = limit_bytes / kUnit;
  if (max_objects == 0) max_objects = std::clamp<std::uint64_t>(limit_bytes / 256, 1024, 1u << 20);
  // A shard for each 256 entries, so that each has some of every kind of luck; 64 are enough for any machine.
  const auto shards = static_cast<std::uint32_t>(std::bit_floor(std::clamp<std::uint64_t>(max_objects / 256, 1, 64)));
  // Ids spread over shards by chance: a quarter more entries, so that a shard is not full before the store is.
  const std::uint64_t entries = RoundUp(max_objects + (shards > 1 ? max_objects / 4 : 0), shards);
  return FromParts(limit_bytes, static_cast<std::uint32_t>(limit_units + limit_units / 8 + spare_bytes / kUnit + 1),
                   static_cast<std::uint32_t>(entries), shards);
}

absl::StatusOr<Geometry> Geometry::FromParts(std::uint64_t limit_bytes, std::uint32_t arena_units,
                                             std::uint32_t max_entries, std::uint32_t shards) {
  Geometry geometry{
      .limit_bytes = limit_bytes, .arena_units = arena_units, .max_entries = max_entries, .shards = shards};
  if (limit_bytes < kUnit || limit_bytes > kMostLimit || arena_units < limit_bytes / kUnit ||
      arena_units > 5 * kMostLimit / 2 / kUnit || !std::has_single_bit(shards) || shards > 64 || max_entries == 0 ||
      max_entries % shards != 0 || max_entries > 2 * kMostObjects) {
    return Invalid("the sizes in the header of the segment fit no store");
  }
  geometry.entries_per_shard = max_entries / shards;
  geometry.buckets_per_shard = std::bit_ceil(geometry.entries_per_shard);
  // A chunk of a row is whole pages.
  geometry.entries_per_pin_chunk =
      static_cast<std::uint32_t>(RoundUp((max_entries + kPinChunks - 1) / kPinChunks, kPage / sizeof(std::uint32_t)));
  std::uint64_t at = 0;
  // Each part ends on a page of its own, which is never readable (a guard).
  const auto place = [&at](std::uint64_t bytes) {
    const std::uint64_t begin = at;
    at = RoundUp(at + bytes, kPage) + kPage;
    return begin;
  };
  place(sizeof(SegmentHeader));
  geometry.shards_at = place(sizeof(Shard) * shards);
  geometry.buckets_at = place(std::uint64_t{4} * geometry.buckets_per_shard * shards);
  geometry.entries_at = place(sizeof(Entry) * std::uint64_t{max_entries});
  geometry.pin_row_bytes = RoundUp(std::uint64_t{4} * max_entries, kPage);
  geometry.pins_at = place(geometry.pin_row_bytes * kSlots);
  geometry.tags_at = place(sizeof(HeapTag) * std::uint64_t{arena_units});
  at = RoundUp(at, std::uint64_t{2} << 20);  // for huge pages
  geometry.arena_at = place(kUnit * std::uint64_t{arena_units});
  geometry.segment_bytes = at;
  return geometry;
}

std::uint32_t LayoutHash() {
  std::uint64_t hash = 0;
  for (const std::size_t size : {sizeof(SegmentHeader),
                                 offsetof(SegmentHeader, gate),
                                 offsetof(SegmentHeader, epoch),
                                 offsetof(SegmentHeader, changes),
                                 offsetof(SegmentHeader, heap),
                                 offsetof(SegmentHeader, slots),
                                 offsetof(SegmentHeader, sealed),
                                 sizeof(ProcessSlot),
                                 offsetof(ProcessSlot, pins_used),
                                 sizeof(Shard),
                                 offsetof(Shard, used_units),
                                 sizeof(Entry),
                                 offsetof(Entry, name),
                                 offsetof(Entry, fixed),
                                 sizeof(HeapTag),
                                 sizeof(HeapState),
                                 std::size_t{kSlots},
                                 std::size_t{kPinChunks},
                                 std::size_t{kWaitWords},
                                 kUnit,
                                 kPage}) {
    hash = Combine(hash, size);
  }
  return static_cast<std::uint32_t>(hash);
}

std::uint64_t HeaderChecksum(const SegmentHeader::Fixed& fixed) {
  return Checksum({reinterpret_cast<const char*>(&fixed), offsetof(SegmentHeader::Fixed, checksum)}, kMagic);
}

}  // namespace rustyray::object_store::shm
