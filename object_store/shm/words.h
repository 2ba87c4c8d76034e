// Words: how the mutable words of a shared segment are encoded, so that a word with a bit flipped is not mistaken for
// another valid one: states and counts never, words with a check of 16 bits once in 65,536 flips. Internal to
// //object_store/shm.
//
// All functions are pure; any thread.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_WORDS_H_
#define RUSTYRAY_OBJECT_STORE_SHM_WORDS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace rustyray::object_store::shm {

// A mixer of 64 bits: every input bit changes every output bit with probability near 1/2 (the finalizer of
// SplitMix64, Steele, Lea and Flood, 2014).
constexpr std::uint64_t Mix(std::uint64_t bits) {
  bits += 0x9e3779b97f4a7c15;
  bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9;
  bits = (bits ^ (bits >> 27)) * 0x94d049bb133111eb;
  return bits ^ (bits >> 31);
}

constexpr std::uint64_t Combine(std::uint64_t hash, std::uint64_t word) { return Mix(hash ^ Mix(word)); }

// Of any number of bytes, 8 at a step in four lanes. Against accidents, not against intent.
std::uint64_t Checksum(std::string_view bytes, std::uint64_t seed);

// The life of an entry. The codes differ from each other in at least 4 bits; the word has a check beside.
enum class EntryState : std::uint8_t {
  kFree = 0x00,       // memory never written is a free entry
  kCreating = 0x1e,   // being written by its creator
  kSealed = 0x66,     // immutable, findable
  kCondemned = 0xd2,  // deleted, findable no more; the bytes stay for those who have it pinned
};

struct EntryWord {
  EntryState state = EntryState::kFree;
  std::uint32_t generation = 0;  // of the entry; one more each time it becomes free

  friend constexpr bool operator==(const EntryWord&, const EntryWord&) = default;

  // [check:16][spare:8][state:8][generation:32]; all zeros is {kFree, 0}.
  constexpr std::uint64_t Pack() const {
    const std::uint64_t low = static_cast<std::uint64_t>(state) << 32 | generation;
    return low == 0 ? 0 : (Mix(low) >> 48 << 48) | low;
  }
  // Nothing if the word was not packed by Pack.
  static constexpr std::optional<EntryWord> Unpack(std::uint64_t word) {
    const auto state = static_cast<EntryState>(word >> 32 & 0xff);
    if (state != EntryState::kFree && state != EntryState::kCreating && state != EntryState::kSealed &&
        state != EntryState::kCondemned) {
      return std::nullopt;
    }
    const EntryWord entry{state, static_cast<std::uint32_t>(word)};
    return entry.Pack() == word ? std::optional(entry) : std::nullopt;
  }
};

// A count that only one process writes, by atomic addition: the low half is the count, the high half its negative.
struct CountWord {
  static constexpr std::uint32_t kOne = 0xffff'0001;       // added: one more
  static constexpr std::uint32_t kMinusOne = 0x0000'ffff;  // added: one less; wraps as it should
  static constexpr std::uint32_t kMost = 60'000;

  static constexpr bool Valid(std::uint32_t word) { return ((word + (word >> 16)) & 0xffff) == 0; }
  static constexpr std::uint32_t Count(std::uint32_t word) { return word & 0xffff; }
};

// Who holds a lock: nobody (0) or a process slot, and whether others wait for it.
struct HolderWord {
  std::uint32_t slot = 0;
  bool waiters = false;

  // [check:16][waiters:1][slot + 1:15].
  constexpr std::uint32_t Pack() const {
    const std::uint32_t low = (waiters ? 0x8000u : 0u) | (slot + 1);
    return static_cast<std::uint32_t>(Mix(low) >> 48 << 16) | low;
  }
  // Nothing for 0, and for what Pack did not pack.
  static constexpr std::optional<HolderWord> Unpack(std::uint32_t word) {
    if ((word & 0x7fff) == 0) return std::nullopt;
    const HolderWord holder{(word & 0x7fff) - 1, (word & 0x8000) != 0};
    return holder.Pack() == word ? std::optional(holder) : std::nullopt;
  }
};

// Who has closed the gate, each time anew: who finds it closed by somebody dead takes over from that closing alone.
struct GateWord {
  std::uint32_t slot = 0;
  std::uint32_t closing = 1;  // drawn at random, not 0; what waiters sleep on

  // [check:16][slot:16][closing:32].
  constexpr std::uint64_t Pack() const {
    const std::uint64_t low = std::uint64_t{slot} << 32 | closing;
    return (Mix(low) >> 48 << 48) | low;
  }
  // Nothing for 0, which is an open gate, and for what Pack did not pack.
  static constexpr std::optional<GateWord> Unpack(std::uint64_t word) {
    const GateWord gate{static_cast<std::uint32_t>(word >> 32 & 0xffff), static_cast<std::uint32_t>(word)};
    return gate.closing != 0 && gate.Pack() == word ? std::optional(gate) : std::nullopt;
  }
};

// Whether a process has a slot, and which of the processes that had it in turn.
struct SlotWord {
  bool live = false;
  std::uint32_t generation = 0;

  friend constexpr bool operator==(const SlotWord&, const SlotWord&) = default;

  // [check:24][live:8][generation:32]; all zeros is {false, 0}.
  constexpr std::uint64_t Pack() const {
    const std::uint64_t low = static_cast<std::uint64_t>(live ? 0x5a : 0) << 32 | generation;
    return low == 0 ? 0 : (Mix(low) >> 40 << 40) | low;
  }
  static constexpr std::optional<SlotWord> Unpack(std::uint64_t word) {
    const SlotWord slot{(word >> 32 & 0xff) == 0x5a, static_cast<std::uint32_t>(word)};
    return slot.Pack() == word ? std::optional(slot) : std::nullopt;
  }
};

}  // namespace rustyray::object_store::shm

#endif  // RUSTYRAY_OBJECT_STORE_SHM_WORDS_H_
