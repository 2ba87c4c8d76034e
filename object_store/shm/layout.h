// Layout: what lies where in a shared segment. Version 1; docs/shared_memory.md has the picture. Internal to
// //object_store/shm.
//
// The ground truth is the entries: their state words, and their fixed words under a checksum; beside them who is alive
// (the slots, and locks of the file that the kernel drops with a process) and what each process has pinned. All else,
// that is chains of buckets, lists of free entries, the heap's tags and lists, counters and locks, is derived, and
// rebuilt from it by recovery.
// Nothing in a segment is a pointer. Words that several processes write are atomic; whoever reads a derived word checks
// it against the geometry, which each process keeps a copy of.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_LAYOUT_H_
#define RUSTYRAY_OBJECT_STORE_SHM_LAYOUT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "object_store/shm/block_heap.h"
#include "object_store/shm/words.h"

namespace rustyray::object_store::shm {

inline constexpr std::uint64_t kMagic = 0x5272'5368'6d53'6567;
inline constexpr std::uint32_t kLayoutVersion = 1;
inline constexpr std::size_t kPage = 4096;
inline constexpr std::uint32_t kSlots = 64;       // processes at a time
inline constexpr std::uint32_t kPinChunks = 512;  // parts of a row of pins, each reserved on first use
inline constexpr std::uint32_t kWaitWords = 256;
// Far below what offsets could name; a segment is address space, and its pages come when they are used.
inline constexpr std::uint64_t kMostLimit = std::uint64_t{100} << 30;
inline constexpr std::uint32_t kNoEntry = 0xffff'ffff;

// Sizes and places (bytes from the segment's start), computed alike by everybody from the first four.
struct Geometry {
  std::uint64_t limit_bytes = 0;  // of blocks taken, rounded down to units
  std::uint32_t arena_units = 0;  // at least the limit
  std::uint32_t max_entries = 0;  // a multiple of shards
  std::uint32_t shards = 0;       // a power of two

  std::uint32_t entries_per_shard = 0;
  std::uint32_t buckets_per_shard = 0;  // a power of two
  std::uint32_t entries_per_pin_chunk = 0;
  std::uint64_t shards_at = 0;
  std::uint64_t buckets_at = 0;
  std::uint64_t entries_at = 0;
  std::uint64_t pins_at = 0;
  std::uint64_t pin_row_bytes = 0;
  std::uint64_t tags_at = 0;
  std::uint64_t arena_at = 0;
  std::uint64_t segment_bytes = 0;

  // `max_objects` 0: as many as are likely for the limit. InvalidArgument for a limit that no segment can have.
  // `spare_bytes`: addresses beyond the limit and an eighth of it, for the holes that blocks of all sizes leave; they
  // take pages only as holes are left.
  static absl::StatusOr<Geometry> For(std::uint64_t limit_bytes, std::uint64_t max_objects, std::uint64_t spare_bytes);
  // The same from the four that a header has; nothing else is trusted.
  static absl::StatusOr<Geometry> FromParts(std::uint64_t limit_bytes, std::uint32_t arena_units,
                                            std::uint32_t max_entries, std::uint32_t shards);
};

// A lock: who holds it (HolderWord), or 0. Waited for as a futex.
struct LockWord {
  std::atomic<std::uint32_t> word;
};

// What a waiter sleeps on: an even count of events, and in the lowest bit whether anybody sleeps.
struct alignas(64) EventWord {
  std::atomic<std::uint32_t> word;
};

struct alignas(128) ProcessSlot {
  std::atomic<std::uint64_t> state;   // SlotWord
  std::atomic<std::uint32_t> active;  // CountWord: operations that its threads are in
  std::atomic<std::uint32_t> pid;     // as the process sees itself: for people
  // Which chunks of its row of pins were ever used. Twice: one that either says was used, was.
  std::array<std::atomic<std::uint64_t>, kPinChunks / 64> pins_used;
  std::array<std::atomic<std::uint64_t>, kPinChunks / 64> pins_used_too;

  bool PinsUsed(std::uint32_t chunk) const {
    const std::uint64_t bit = std::uint64_t{1} << (chunk % 64);
    return ((pins_used[chunk / 64].load(std::memory_order_seq_cst) |
             pins_used_too[chunk / 64].load(std::memory_order_relaxed)) &
            bit) != 0;
  }
};

struct alignas(128) Shard {
  LockWord lock;
  std::atomic<std::uint32_t> version;      // odd while chains change
  std::atomic<std::uint32_t> free_head;    // of entries that were used before; linked by Entry::next
  std::atomic<std::uint32_t> next_unused;  // the shard's entries from here on never were; counted within the shard
  std::atomic<std::uint64_t> objects;      // sealed
  std::atomic<std::uint64_t> object_bytes;
  std::atomic<std::uint64_t> creating;
  std::atomic<std::uint64_t> condemned;
  std::atomic<std::uint64_t> condemned_bytes;
  std::atomic<std::uint64_t> used_units;  // of blocks that entries have, in whatever state
};

// The fixed words of an entry, as copied out and checked.
struct EntryFields {
  std::uint64_t id_high = 0;
  std::uint64_t id_low = 0;
  std::uint32_t unit = 0;   // where its block begins in the arena
  std::uint32_t units = 0;  // of the block
  std::uint64_t size = 0;   // bytes of payload
  std::uint64_t fingerprint = 0;
  std::uint8_t creator_slot = 0;
  std::uint8_t align_log2 = 0;
  std::uint8_t lifetime = 0;
  std::uint16_t name_size = 0;
  std::uint32_t creator_generation = 0;

  Block block() const { return {unit, units}; }
};

inline constexpr std::size_t kInlineName = 32;  // bytes; a longer name lies in the block, behind the payload

struct alignas(128) Entry {
  // Mutable.
  std::atomic<std::uint64_t> state;  // EntryWord
  std::atomic<std::uint32_t> next;   // in its bucket's chain or in the list of free ones: entry + 1, 0 ends
  std::atomic<std::uint32_t> has_payload_checksum;
  std::atomic<std::uint64_t> recency;
  std::atomic<std::uint64_t> payload_checksum;
  // Fixed from creation until the entry is free again.
  std::array<std::atomic<std::uint64_t>, kInlineName / 8> name;
  std::array<std::atomic<std::uint64_t>, 7> fixed;
  std::atomic<std::uint64_t> checksum;  // of fixed, name, the entry's number and the key; 0 in a free entry
};
static_assert(sizeof(Entry) == 128);

struct SegmentHeader {
  // Written before the segment can be found; checked when it is opened, never read again.
  struct Fixed {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t keep;  // whether it stays when the last process is gone
    std::uint64_t limit_bytes;
    std::uint32_t arena_units;
    std::uint32_t max_entries;
    std::uint32_t shards;
    std::uint32_t layout;  // LayoutHash()
    std::uint64_t key;     // random; every hash and checksum of the segment depends on it
    std::uint64_t checksum;
  } fixed;

  alignas(64) std::atomic<std::uint64_t> gate;  // GateWord: who recovers it; 0: open
  std::atomic<std::uint32_t> epoch;             // one more with each recovery
  std::atomic<std::uint64_t> recoveries;
  std::atomic<std::uint64_t> evictions;
  std::atomic<std::uint64_t> lost;  // entries given up by recoveries because their words were damaged
  EventWord changes;                // anything sealed or deleted
  alignas(64) LockWord heap_lock;
  HeapState heap;
  std::array<ProcessSlot, kSlots> slots;
  std::array<EventWord, kWaitWords> sealed;  // by hash of id
};

// Structures are mapped over zeroed pages: zero is their first state, and they are never destroyed.
static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<std::uint32_t>::is_always_lock_free);

// Of the sizes and places of all structures: another build with other ones is refused, whatever its version says.
std::uint32_t LayoutHash();

// The checksum of a header's fixed part, `checksum` left out.
std::uint64_t HeaderChecksum(const SegmentHeader::Fixed& fixed);

}  // namespace rustyray::object_store::shm

#endif  // RUSTYRAY_OBJECT_STORE_SHM_LAYOUT_H_
