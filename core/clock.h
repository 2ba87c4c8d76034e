// Clock: what time it is, and timers. Deadlines, the growth of pools and timed waits take their time from here, so
// that a test can step it by hand.
//
// Threads: all methods may be called from any thread. A timer's `fire` runs on the clock's own thread (real clock) or
// on the thread that calls Advance (manual clock), with no lock held; it must be short and must not block.
// Lifetime: a Timer belongs to its user and may go once Cancel returned or `fire` returned; the clock outlives its
// timers.
#ifndef RUSTYRAY_CORE_CLOCK_H_
#define RUSTYRAY_CORE_CLOCK_H_

#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <thread>
#include <utility>

#include "core/mutex.h"
#include "core/parker.h"

namespace rustyray::core {

using Time = std::chrono::steady_clock::time_point;
using Duration = std::chrono::steady_clock::duration;

// A deadline that never comes.
inline constexpr Time kNever = Time::max();

// Adds without overflow: a time beyond what can be counted is kNever.
inline Time SaturatingAdd(Time from, Duration by) {
  return by > Duration::zero() && from > kNever - by ? kNever : from + by;
}

// One timer, embedded in what it is for.
class Timer {
 public:
  using Fire = void (*)(Timer&);
  explicit Timer(Fire fire) : fire_(fire) {}
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

 private:
  friend class TimerSet;
  const Fire fire_;
  Time at_ = kNever;
  std::uint64_t number_ = 0;
  bool armed_ = false;
};

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Time Now() = 0;
  // Arms `timer`, which must not be armed, to fire once at `at` or soon after. kNever arms nothing.
  virtual void Arm(Timer& timer, Time at) = 0;
  // Disarms it. When this returns, `fire` is neither running (unless this call comes from it) nor to come.
  // Returns whether it was disarmed before it fired.
  virtual bool Cancel(Timer& timer) = 0;
  // Whether timers fire by themselves.
  virtual bool runs() const { return true; }
  // Parks the calling thread until it has a token or `deadline` has come by this clock. Returns whether it has one.
  virtual bool ParkUntil(Parker& parker, Time deadline) = 0;
};

// The armed timers of one clock, earliest first; of one time in the order in which they were armed, wherever they lie,
// so that schedules can be replayed. Not for users of clocks.
class TimerSet {
 public:
  // Returns whether it is now the earliest.
  bool Arm(Timer& timer, Time at);
  bool Cancel(Timer& timer);
  // Fires what is due at `now`, one after the other, without the lock.
  void FireDue(Time now);
  Time Earliest();

 private:
  Mutex mutex_;
  CondVar fired_;
  std::map<std::pair<Time, std::uint64_t>, Timer*> armed_ ABSL_GUARDED_BY(mutex_);
  std::uint64_t numbers_ ABSL_GUARDED_BY(mutex_) = 0;
  Timer* firing_ ABSL_GUARDED_BY(mutex_) = nullptr;
  std::thread::id firing_thread_ ABSL_GUARDED_BY(mutex_);
};

// Returns once what `clock` fires at the time of the call has been fired. Not from a timer. A manual clock, which fires
// only when it is advanced, is not waited for.
void Fence(Clock& clock);

// The machine's monotonic clock. Its thread starts with the first timer; with none armed it sleeps for good.
std::unique_ptr<Clock> MakeRealClock();

// A clock that stands still until it is told to advance.
class ManualClock final : public Clock {
 public:
  ManualClock() = default;
  bool runs() const override { return false; }
  Time Now() override;
  void Arm(Timer& timer, Time at) override;
  bool Cancel(Timer& timer) override;
  bool ParkUntil(Parker& parker, Time deadline) override;
  // Moves time on and fires what is due, in order of time, on this thread.
  void Advance(Duration by);

 private:
  std::atomic<std::int64_t> now_{0};
  TimerSet timers_;
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_CLOCK_H_
