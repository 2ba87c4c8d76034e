// SeededSchedule: a clock and an executor under which one thread runs at a time, in an order drawn from a seed. What
// tests use to replay a run, races included: the same seed gives the same schedule, in another process too.
//
// Where the thread that runs parks, or ends its work, the seed decides who goes on: a queued piece of work, on a thread
// of its own, or a thread whose wait is over. Time stands still as long as somebody can go on; when nobody can, it
// jumps to the next timer or deadline. When nobody ever can, the process aborts, and says who waits. It replays what
// depends on nothing else: not on addresses, random ids, the machine's clock or other threads. Threads: the one that
// makes it, and those that it starts; what others do with it aborts the process.
#ifndef RUSTYRAY_CORE_SEEDED_SCHEDULE_H_
#define RUSTYRAY_CORE_SEEDED_SCHEDULE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/parker.h"
#include "core/thread_pool.h"

namespace rustyray::core {

class SeededSchedule final : public Clock {
 public:
  explicit SeededSchedule(std::uint64_t seed);
  ~SeededSchedule() override;

  // A hash of the decisions so far: who went on, out of how many, and when.
  std::uint64_t trace() const;
  // What to add to the message when nobody can go on: who waits for whom.
  void set_describe_waits(std::function<std::string()> describe);

  // --- Clock. Time begins at 0.
  Time Now() override;
  void Arm(Timer& timer, Time at) override;
  bool Cancel(Timer& timer) override;
  bool runs() const override { return false; }
  bool ParkUntil(Parker& parker, Time deadline) override;

 private:
  friend std::shared_ptr<ThreadPool> MakeSeededPool(SeededSchedule& schedule);
  class Baton;
  class Pool;
  const std::unique_ptr<Baton> baton_;
};

// The executor of `schedule`, which outlives it; one for each schedule. It has one place.
std::shared_ptr<ThreadPool> MakeSeededPool(SeededSchedule& schedule);

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_SEEDED_SCHEDULE_H_
