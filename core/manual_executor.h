// ManualExecutor: an executor without threads, stepped by hand: what tests of schedules use.
//
// A thread that waits on it runs queued work itself, oldest first, instead of sleeping, so a test needs one thread.
// Threads: any; work runs on the thread that steps.
#ifndef RUSTYRAY_CORE_MANUAL_EXECUTOR_H_
#define RUSTYRAY_CORE_MANUAL_EXECUTOR_H_

#include <atomic>
#include <cstddef>
#include <deque>

#include "core/executor.h"
#include "core/mutex.h"

namespace rustyray::core {

class ManualExecutor final : public Executor {
 public:
  ManualExecutor() = default;

  // Runs the piece of work at `position` in the queue (0: the oldest). False when there is none.
  bool Step(std::size_t position = 0);
  // Steps until nothing is queued; returns how often.
  std::size_t RunUntilIdle();
  std::size_t queued();
  // From now on Schedule says false. Discards what is queued.
  void Stop();
  // Whether an outside thread may run calls inline (default true).
  void set_allow_inline(bool allow);

  bool Schedule(Runnable& work) override;
  bool Unschedule(Runnable& work) override;
  bool TryEnter() override;
  void Leave() override {}
  absl::Status BeginBlocking() override { return absl::OkStatus(); }
  void EndBlocking() override {}
  bool stopping() const override { return stopped_.load(std::memory_order_acquire); }
  bool StepWhileBlocked() override { return Step(); }

 private:
  Mutex mutex_;
  std::deque<Runnable*> queue_ ABSL_GUARDED_BY(mutex_);
  std::atomic<bool> stopped_{false};  // written under mutex_
  bool allow_inline_ ABSL_GUARDED_BY(mutex_) = true;
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_MANUAL_EXECUTOR_H_
