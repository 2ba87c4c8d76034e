#include "core/block_cache.h"

#include <utility>

namespace rustyray::core {

// Frees what the thread kept, and lets it keep nothing more: destructors that run later free blocks, too.
struct BlockCache::AtThreadEnd {
  AtThreadEnd() {
    for (std::size_t i = 0; i < kLists; ++i) lists_[i].most = static_cast<std::uint32_t>(kMostBytes / SizeOf(i));
  }
  ~AtThreadEnd() {
    for (List& list : lists_) {
      list.most = list.count = 0;
      for (Free* block = std::exchange(list.first, nullptr); block != nullptr;) {
        ::operator delete(std::exchange(block, block->next));
      }
    }
  }
};

void BlockCache::GiveSlow(void* block, std::size_t index) {
  static thread_local const AtThreadEnd at_thread_end;  // made once for each thread
  static_cast<void>(at_thread_end);
  List& list = lists_[index];
  if (list.count >= list.most) return ::operator delete(block);
  list.first = ::new (block) Free{list.first};
  ++list.count;
}

}  // namespace rustyray::core
