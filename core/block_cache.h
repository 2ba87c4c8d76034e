// BlockCache: the storage of records and of private copies. A thread keeps what it frees, for its next one of that
// size.
//
// malloc keeps seven blocks of a size for a thread; the eighth costs hundreds of instructions, and there are a thousand
// calls in flight. Here a thread keeps up to kMostBytes of each size, and a block comes and goes in a few instructions.
// Blocks come from operator new, one by one: what is too much, too large, or left when the thread ends goes back there.
// Threads: any; a block may be freed by another thread than made it. The sanitizers see each block made and freed.
#ifndef RUSTYRAY_CORE_BLOCK_CACHE_H_
#define RUSTYRAY_CORE_BLOCK_CACHE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>

namespace rustyray::core {

// How often this thread got a block that it had kept, and so no new one: tests that count allocations count these, too.
inline thread_local constinit std::uint64_t blocks_reused_by_this_thread = 0;

namespace internal {

struct FreeBlock {
  FreeBlock* next;
};

// One thread's blocks of one size.
struct FreeBlocks {
  FreeBlock* first = nullptr;
  std::uint32_t count = 0;
  std::uint32_t most = 0;  // 0 before the thread's first block is freed, and when the thread is ending
};

}  // namespace internal

class BlockCache {
 public:
  // Larger ones are malloc's.
  static constexpr std::size_t kLargest = 504;
  static constexpr std::size_t kMostBytes = 256 * 1024;

  static void* Take(std::size_t size) {
    if (kCaches && size <= kLargest) [[likely]] {
      const std::size_t index = Index(size);
      if (Free* const block = lists_[index].first; block != nullptr) [[likely]] {
        ++blocks_reused_by_this_thread;
        lists_[index].first = block->next;
        --lists_[index].count;
        return block;
      }
      return ::operator new(SizeOf(index));
    }
    return ::operator new(size);
  }

  static void Give(void* block, std::size_t size) {
    if (kCaches && size <= kLargest) [[likely]] {
      List& list = lists_[Index(size)];
      if (list.count < list.most) [[likely]] {
        list.first = ::new (block) Free{list.first};
        ++list.count;
        return;
      }
      return GiveSlow(block, Index(size));
    }
    ::operator delete(block);
  }

 private:
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  static constexpr bool kCaches = false;
#else
  static constexpr bool kCaches = true;
#endif
  using Free = internal::FreeBlock;
  using List = internal::FreeBlocks;
  struct AtThreadEnd;

  // Sizes as malloc has them, on 64-bit machines: 24, 40, 56, ... bytes.
  static constexpr std::size_t Index(std::size_t size) { return size <= 24 ? 0 : (size - 9) / 16; }
  static constexpr std::size_t SizeOf(std::size_t index) { return 24 + 16 * index; }
  static constexpr std::size_t kLists = (kLargest - 9) / 16 + 1;
  static void GiveSlow(void* block, std::size_t index);

  static inline thread_local constinit std::array<List, kLists> lists_{};
};

// The same for std::allocate_shared.
template <class T>
struct BlockAllocator {
  using value_type = T;
  BlockAllocator() = default;
  template <class U>
  BlockAllocator(const BlockAllocator<U>&) {}  // NOLINT: allocators convert
  T* allocate(std::size_t count) {
    if constexpr (alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__) {
      return static_cast<T*>(::operator new (count * sizeof(T), std::align_val_t{alignof(T)}));
    } else {
      return static_cast<T*>(BlockCache::Take(count * sizeof(T)));
    }
  }
  void deallocate(T* block, std::size_t count) {
    if constexpr (alignof(T) > __STDCPP_DEFAULT_NEW_ALIGNMENT__) {
      ::operator delete (block, std::align_val_t{alignof(T)});
    } else {
      BlockCache::Give(block, count * sizeof(T));
    }
  }
  friend bool operator==(const BlockAllocator&, const BlockAllocator&) { return true; }
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_BLOCK_CACHE_H_
