#include "core/manual_executor.h"

namespace rustyray::core {

bool ManualExecutor::Step(std::size_t position) {
  Runnable* work = nullptr;
  {
    MutexLock lock(mutex_);
    if (position >= queue_.size()) return false;
    work = queue_[position];
    queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(position));
  }
  HeldPlace place{this, held_places};
  held_places = &place;
  work->RunScheduled();
  held_places = place.outer;
  return true;
}

std::size_t ManualExecutor::RunUntilIdle() {
  std::size_t steps = 0;
  while (Step()) ++steps;
  return steps;
}

std::size_t ManualExecutor::queued() {
  MutexLock lock(mutex_);
  return queue_.size();
}

void ManualExecutor::Stop() {
  std::deque<Runnable*> discarded;
  {
    MutexLock lock(mutex_);
    stopped_.store(true, std::memory_order_release);
    discarded.swap(queue_);
  }
  for (Runnable* const work : discarded) work->DiscardScheduled();
}

void ManualExecutor::set_allow_inline(bool allow) {
  MutexLock lock(mutex_);
  allow_inline_ = allow;
}

bool ManualExecutor::Schedule(Runnable& work) {
  MutexLock lock(mutex_);
  if (stopped_.load(std::memory_order_relaxed)) return false;
  queue_.push_back(&work);
  return true;
}

bool ManualExecutor::Unschedule(Runnable& work) {
  MutexLock lock(mutex_);
  if (queue_.empty() || queue_.back() != &work) return false;
  queue_.pop_back();
  return true;
}

bool ManualExecutor::TryEnter() {
  MutexLock lock(mutex_);
  return allow_inline_;
}

}  // namespace rustyray::core
