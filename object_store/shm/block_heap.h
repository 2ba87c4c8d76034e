// BlockHeap: hands out runs of units (64 bytes each) of an arena: best fit in bins, neighbours that are free merged at
// once. Internal to //object_store/shm.
//
// All it knows lies in a HeapState and an array of tags, one a unit, apart from the arena, so that a payload written
// past its end damages neither. Units below the frontier were handed out before: their pages are there and warm, and
// they are used first.
// Invariant, at rest: the blocks below the frontier tile it; a block's size and use stand in the tags of its first and
// last unit; no two free neighbours; each free block is in the bin of its size.
// Nothing read from tags or state is trusted: what does not fit the invariant is reported as damage, with no access out
// of bounds; the state must then be rebuilt. It may have been damaged further by then, never the arena.
// Threads: the caller holds a lock for all methods.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_BLOCK_HEAP_H_
#define RUSTYRAY_OBJECT_STORE_SHM_BLOCK_HEAP_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace rustyray::object_store::shm {

inline constexpr std::size_t kUnit = 64;  // bytes; also the alignment of payloads

// Zero is a heap with nothing handed out.
struct HeapState {
  static constexpr std::uint32_t kClasses = 32;  // powers of two
  static constexpr std::uint32_t kSteps = 16;    // bins a class
  std::uint32_t frontier;                        // units
  std::uint32_t spare;
  std::uint64_t taken;  // units in blocks that are handed out
  std::uint32_t class_bits;
  std::array<std::uint32_t, kClasses> step_bits;
  std::array<std::array<std::uint32_t, kSteps>, kClasses> heads;  // unit + 1 of the bin's first free block; 0: none
};

struct HeapTag {
  std::uint32_t front;  // in a block's first unit: size << 1 | in use
  std::uint32_t back;   // in its last unit: the same
  std::uint32_t next;   // in a free block's first unit: unit + 1 of the next in its bin
  std::uint32_t previous;
};

struct Block {
  std::uint32_t unit = 0;
  std::uint32_t units = 0;
  friend bool operator==(const Block&, const Block&) = default;
};

class BlockHeap {
 public:
  enum class Result : std::uint8_t {
    kOk,
    kFull,     // no hole of that size
    kNoPages,  // the system has no memory for more pages
    kDamaged,  // rebuild it
  };
  // Makes sure that tags or units [from, to) have pages; false: there is no memory for them.
  class Pages {
   public:
    virtual ~Pages() = default;
    virtual bool ReserveTags(std::uint32_t from, std::uint32_t to) = 0;
    virtual bool ReserveUnits(std::uint32_t from, std::uint32_t to) = 0;
  };
  struct Holes {
    std::uint64_t free_units = 0;  // below `most_taken` and the arena's end
    std::uint32_t largest = 0;     // units in one piece
    bool damaged = false;
  };

  // `tags` has `units` elements. `most_taken` units may be handed out at a time. All outlive the heap.
  BlockHeap(HeapState& state, HeapTag* tags, std::uint32_t units, std::uint64_t most_taken, Pages& pages)
      : state_(state), tags_(tags), units_(units), most_taken_(most_taken), pages_(pages) {}

  Result Take(std::uint32_t units, Block& block);
  Result Give(Block block);
  // Cuts what was taken as one block into `parts` of equal size; each is then a block of its own.
  Result Split(Block block, std::uint32_t parts);
  Holes Measure() const;
  // Makes the heap anew: `used`, in the order of units and without overlap, is taken and all else is free.
  Result Rebuild(std::span<const Block> used);
  // How often a block may be looked at in one bin before the next bin is taken.
  static constexpr int kMostLooks = 16;

 private:
  struct Bin {
    std::uint32_t of_class;
    std::uint32_t step;
  };
  static Bin BinOf(std::uint32_t units);
  bool FreeBlockAt(std::uint32_t unit, std::uint32_t& units) const;
  bool Mark(Block block, bool used);
  bool Insert(Block block);
  bool Remove(Block block);
  Result TakeHole(Block hole, std::uint32_t units, Block& block);
  Result Extend(std::uint32_t units, Block& block);

  HeapState& state_;
  HeapTag* const tags_;
  const std::uint32_t units_;
  const std::uint64_t most_taken_;
  Pages& pages_;
};

}  // namespace rustyray::object_store::shm

#endif  // RUSTYRAY_OBJECT_STORE_SHM_BLOCK_HEAP_H_
