#include "core/clock.h"

#include <atomic>

namespace rustyray::core {

bool TimerSet::Arm(Timer& timer, Time at) {
  MutexLock lock(mutex_);
  timer.at_ = at;
  timer.number_ = numbers_++;
  timer.armed_ = true;
  const auto place = armed_.emplace(std::pair(at, timer.number_), &timer).first;
  return place == armed_.begin();
}

bool TimerSet::Cancel(Timer& timer) {
  MutexLock lock(mutex_);
  bool disarmed = false;
  for (;;) {
    if (timer.armed_) {
      armed_.erase({timer.at_, timer.number_});
      timer.armed_ = false;
      disarmed = true;
    }
    if (firing_ != &timer || firing_thread_ == std::this_thread::get_id()) return disarmed;
    fired_.Wait(mutex_);  // and look again: it may arm itself
  }
}

void TimerSet::FireDue(Time now) {
  for (;;) {
    Timer* due = nullptr;
    {
      MutexLock lock(mutex_);
      if (armed_.empty() || armed_.begin()->first.first > now) return;
      due = armed_.begin()->second;
      armed_.erase(armed_.begin());
      due->armed_ = false;
      firing_ = due;
      firing_thread_ = std::this_thread::get_id();
    }
    due->fire_(*due);
    MutexLock lock(mutex_);
    firing_ = nullptr;
    fired_.NotifyAll();
  }
}

Time TimerSet::Earliest() {
  MutexLock lock(mutex_);
  return armed_.empty() ? kNever : armed_.begin()->first.first;
}

namespace {

class RealClock final : public Clock {
 public:
  RealClock() = default;
  ~RealClock() override {
    {
      MutexLock lock(mutex_);
      stop_ = true;
    }
    parker_.Unpark();
    if (thread_.joinable()) thread_.join();
  }

  bool runs() const override { return true; }
  Time Now() override { return std::chrono::steady_clock::now(); }

  void Arm(Timer& timer, Time at) override {
    if (at == kNever) return;
    const bool first = timers_.Arm(timer, at);
    {
      MutexLock lock(mutex_);
      if (!thread_.joinable() && !stop_) thread_ = std::thread([this] { Serve(); });
    }
    if (first) parker_.Unpark();
  }

  bool Cancel(Timer& timer) override { return timers_.Cancel(timer); }

  bool ParkUntil(Parker& parker, Time deadline) override {
    if (deadline != kNever) return parker.ParkUntil(deadline);
    parker.Park();
    return true;
  }

 private:
  void Serve() {
    for (;;) {
      {
        MutexLock lock(mutex_);
        if (stop_) return;
      }
      timers_.FireDue(Now());
      ParkUntil(parker_, timers_.Earliest());
    }
  }

  TimerSet timers_;
  Parker parker_;
  Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace

void Fence(Clock& clock) {
  if (!clock.runs()) return;
  struct Passed final : Timer {
    Passed() : Timer([](Timer& timer) { static_cast<Passed&>(timer).parker.Unpark(); }) {}
    Parker parker;
  } passed;
  clock.Arm(passed, clock.Now());
  passed.parker.Park();
  clock.Cancel(passed);  // waits for it to end
}

std::unique_ptr<Clock> MakeRealClock() { return std::make_unique<RealClock>(); }

Time ManualClock::Now() { return Time(Duration(now_.load(std::memory_order_acquire))); }

void ManualClock::Arm(Timer& timer, Time at) {
  if (at != kNever) timers_.Arm(timer, at);
}

bool ManualClock::Cancel(Timer& timer) { return timers_.Cancel(timer); }

bool ManualClock::ParkUntil(Parker& parker, Time deadline) {
  if (deadline == kNever) {
    parker.Park();
    return true;
  }
  struct Alarm : Timer {
    explicit Alarm(Parker& parker) : Timer([](Timer& self) { static_cast<Alarm&>(self).Ring(); }), parker(parker) {}
    void Ring() { parker.Unpark(); }
    Parker& parker;
  } alarm(parker);
  Arm(alarm, deadline);
  // Armed before the look at the time: an Advance in between rings.
  bool token = false;
  if (Now() < deadline) {
    parker.Park();
    token = Now() < deadline;
  } else {
    token = parker.TryPark();
  }
  Cancel(alarm);
  return token;
}

void ManualClock::Advance(Duration by) {
  const Time target = Now() + by;
  for (Time next = timers_.Earliest(); next <= target; next = timers_.Earliest()) {
    if (next > Now()) now_.store(next.time_since_epoch().count(), std::memory_order_release);
    timers_.FireDue(next);
  }
  now_.store(target.time_since_epoch().count(), std::memory_order_release);
}

}  // namespace rustyray::core
