// WorkDeque: the queue of one scheduling thread. The owner pushes and pops at the bottom, thieves take from the top.
//
// Source: D. Chase, Y. Lev, "Dynamic Circular Work-Stealing Deque", SPAA 2005; orders after N. M. Le et al., "Correct
// and Efficient Work-Stealing for Weak Memory Models", PPoPP 2013, with sequentially consistent accesses in the place
// of fences, which the thread sanitizer does not know.
// Invariant: bottom is written by the owner alone; an item at top is taken by whoever moves top past it.
// Push ends with a sequentially consistent store, so that "push, then look whether anybody searches" cannot miss
// "stop searching, then look for work".
// Threads: Push, Pop, PopIf by the owner; Steal, Empty by any.
#ifndef RUSTYRAY_CORE_WORK_DEQUE_H_
#define RUSTYRAY_CORE_WORK_DEQUE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/executor.h"

namespace rustyray::core {

class WorkDeque {
 public:
  WorkDeque() { arrays_.push_back(std::make_unique<Array>(kInitialCapacity)), array_.store(arrays_.back().get()); }
  WorkDeque(const WorkDeque&) = delete;
  WorkDeque& operator=(const WorkDeque&) = delete;

  void Push(Runnable* work) {
    const std::int64_t bottom = bottom_.load(std::memory_order_relaxed);
    Array* array = array_.load(std::memory_order_relaxed);
    if (bottom - seen_top_ >= array->capacity) {
      seen_top_ = top_.load(std::memory_order_acquire);
      if (bottom - seen_top_ >= array->capacity) array = Grow(*array, seen_top_, bottom);
    }
    array->At(bottom).store(work, std::memory_order_relaxed);
    bottom_.store(bottom + 1, std::memory_order_seq_cst);
  }

  // The newest; null when there is none.
  Runnable* Pop() {
    const std::int64_t bottom = bottom_.load(std::memory_order_relaxed) - 1;
    if (top_.load(std::memory_order_relaxed) > bottom) return nullptr;
    const Array* const array = array_.load(std::memory_order_relaxed);
    bottom_.store(bottom, std::memory_order_seq_cst);
    std::int64_t top = top_.load(std::memory_order_seq_cst);
    if (top > bottom) {
      bottom_.store(bottom + 1, std::memory_order_relaxed);
      return nullptr;
    }
    Runnable* work = array->At(bottom).load(std::memory_order_relaxed);
    if (top == bottom) {
      if (!top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst)) work = nullptr;
      bottom_.store(bottom + 1, std::memory_order_relaxed);
    }
    return work;
  }

  // Takes `work` back if it is the newest. A lone one is taken as a thief would, from the top: one step for two.
  bool PopIf(const Runnable* work) {
    const std::int64_t newest = bottom_.load(std::memory_order_relaxed) - 1;
    std::int64_t top = top_.load(std::memory_order_relaxed);
    if (top > newest) return false;
    if (array_.load(std::memory_order_relaxed)->At(newest).load(std::memory_order_relaxed) != work) return false;
    if (top == newest) return top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst);
    return Pop() != nullptr;
  }

  // The oldest; null when there is none, or another thread was faster. A lone item is left to its owner, who may be
  // about to run it, until it is seen for the second time, unless `at_once`.
  Runnable* Steal(bool at_once = false) {
    std::int64_t top = top_.load(std::memory_order_seq_cst);
    const std::int64_t bottom = bottom_.load(std::memory_order_seq_cst);
    if (top >= bottom) return nullptr;
    if (top + 1 == bottom && !at_once && left_alone_.load(std::memory_order_relaxed) != top) {
      left_alone_.store(top, std::memory_order_relaxed);
      return nullptr;
    }
    Runnable* const work = array_.load(std::memory_order_acquire)->At(top).load(std::memory_order_relaxed);
    return top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst) ? work : nullptr;
  }

  bool Empty() const { return top_.load(std::memory_order_seq_cst) >= bottom_.load(std::memory_order_seq_cst); }

  // Owner, when no thief can be inside (the pool has stopped): gives the memory of growth back.
  void Shrink() {
    if (!Empty() || arrays_.size() == 1) return;
    arrays_.resize(1);
    array_.store(arrays_.front().get(), std::memory_order_release);
  }

 private:
  static constexpr std::int64_t kInitialCapacity = 256;

  struct Array {
    explicit Array(std::int64_t size) : capacity(size), items(new std::atomic<Runnable*>[size]) {}
    std::atomic<Runnable*>& At(std::int64_t index) const { return items[index & (capacity - 1)]; }
    const std::int64_t capacity;
    const std::unique_ptr<std::atomic<Runnable*>[]> items;
  };

  // Old arrays stay: a slow thief may still read one. Together they are no larger than the newest.
  Array* Grow(const Array& from, std::int64_t top, std::int64_t bottom) {
    arrays_.push_back(std::make_unique<Array>(2 * from.capacity));
    Array* const to = arrays_.back().get();
    for (std::int64_t i = top; i < bottom; ++i) {
      to->At(i).store(from.At(i).load(std::memory_order_relaxed), std::memory_order_relaxed);
    }
    array_.store(to, std::memory_order_release);
    return to;
  }

  alignas(64) std::atomic<std::int64_t> top_{0};
  alignas(64) std::atomic<std::int64_t> left_alone_{-1};  // the lone item seen last
  alignas(64) std::atomic<std::int64_t> bottom_{0};
  std::atomic<Array*> array_{nullptr};
  std::int64_t seen_top_ = 0;                   // the owner's: a top of the past; thieves' word is read when need be
  std::vector<std::unique_ptr<Array>> arrays_;  // the owner's
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_WORK_DEQUE_H_
