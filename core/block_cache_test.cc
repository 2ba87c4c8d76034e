#include "core/block_cache.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "core/testing/allocation_count.h"
#include "gtest/gtest.h"

namespace rustyray::core {
namespace {

std::uint64_t NewBlocks() { return AllocationsOfThisThread() - blocks_reused_by_this_thread; }

TEST(BlockCache, GivesTheBlockFreedLastToTheNextOfItsSize) {
  if (!AllocationsAreCounted()) GTEST_SKIP() << "the sanitizers get every block";
  void* const first = BlockCache::Take(200);
  BlockCache::Give(first, 200);
  const std::uint64_t made = NewBlocks();
  const std::uint64_t reused = blocks_reused_by_this_thread;
  for (const std::size_t size : {200, 193, 199}) {  // malloc makes no difference between these
    void* const again = BlockCache::Take(size);
    EXPECT_EQ(again, first);
    BlockCache::Give(again, size);
  }
  EXPECT_EQ(NewBlocks() - made, 0u);
  EXPECT_EQ(blocks_reused_by_this_thread - reused, 3u);
}

TEST(BlockCache, BlocksOfAllSizesAreDistinctAndLargeEnough) {
  std::vector<std::pair<char*, std::size_t>> blocks;
  for (int round = 0; round < 3; ++round) {
    for (std::size_t size = 1; size <= 600; ++size) {
      blocks.emplace_back(static_cast<char*>(BlockCache::Take(size)), size);
      std::memset(blocks.back().first, static_cast<int>(size), size);
    }
    for (const auto& [block, size] : blocks) {
      ASSERT_EQ(std::count(block, block + size, static_cast<char>(size)), static_cast<std::ptrdiff_t>(size));
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(block) % __STDCPP_DEFAULT_NEW_ALIGNMENT__, 0u);
      BlockCache::Give(block, size);
    }
    blocks.clear();
  }
}

TEST(BlockCache, KeepsABoundedNumberOfBytes) {
  if (!AllocationsAreCounted()) GTEST_SKIP() << "the sanitizers get every block";
  constexpr std::size_t kSize = 504;
  std::vector<void*> blocks(2 * BlockCache::kMostBytes / kSize);
  for (void*& block : blocks) block = BlockCache::Take(kSize);
  for (void* const block : blocks) BlockCache::Give(block, kSize);
  const std::uint64_t before = NewBlocks();
  for (void*& block : blocks) block = BlockCache::Take(kSize);
  const std::uint64_t made = NewBlocks() - before;
  EXPECT_GE(made, blocks.size() / 2);
  EXPECT_LE(made, blocks.size() / 2 + 1);
  for (void* const block : blocks) BlockCache::Give(block, kSize);
}

TEST(BlockCache, ABlockMayBeFreedByAnotherThreadAlsoWhileThatEnds) {
  struct Late {
    ~Late() {
      for (void* const block : blocks) BlockCache::Give(block, 100);
    }
    std::vector<void*> blocks;
  };
  for (int round = 0; round < 50; ++round) {
    std::vector<void*> blocks(100);
    for (void*& block : blocks) block = BlockCache::Take(100);
    std::thread([&] {
      static thread_local Late late;  // made first, so destroyed last: after the cache of the thread
      late.blocks.assign(blocks.begin() + 50, blocks.end());
      for (int i = 0; i < 50; ++i) BlockCache::Give(blocks[static_cast<std::size_t>(i)], 100);
    }).join();
  }
}

TEST(BlockAllocator, SharesOfAnyAlignment) {
  struct alignas(64) Wide {
    char bytes[64];
  };
  for (int i = 0; i < 10; ++i) {
    const auto wide = std::allocate_shared<Wide>(BlockAllocator<Wide>());
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(wide.get()) % 64, 0u);
    EXPECT_EQ(*std::allocate_shared<int>(BlockAllocator<int>(), i), i);
  }
}

}  // namespace
}  // namespace rustyray::core
