#include "core/seeded_schedule.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <random>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/executor.h"

namespace rustyray::core {

namespace {

// Keeps this thread, and those that it starts, on one processor. Only one of them runs at a time, and to wake another
// processor up takes longer than what most do with their turn.
class OneProcessor {
 public:
  OneProcessor() {
    cpu_set_t one;
    CPU_ZERO(&one);
    const int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof(before_), &before_) != 0) return;
    CPU_SET(here, &one);
    changed_ = sched_setaffinity(0, sizeof(one), &one) == 0;
  }
  // By the thread that made it.
  void Restore() {
    if (std::exchange(changed_, false)) sched_setaffinity(0, sizeof(before_), &before_);
  }

 private:
  cpu_set_t before_;
  bool changed_ = false;
};

}  // namespace

// Whoever holds the baton runs, and touches the fields. It is handed over through the parker of who gets it.
class SeededSchedule::Baton {
 public:
  explicit Baton(std::uint64_t seed) : random_(seed), holder_(std::this_thread::get_id()) {}
  ~Baton() {
    one_processor_.Restore();
    EndIdle();
  }

  Time Now() const { return Time(Duration(now_.load(std::memory_order_relaxed))); }
  TimerSet& timers() { return timers_; }
  std::uint64_t trace() const { return trace_; }
  bool stopping() const { return stopping_.load(std::memory_order_relaxed); }
  void set_describe_waits(std::function<std::string()> describe) { describe_waits_ = std::move(describe); }

  bool Schedule(Runnable& work) {
    CheckHolder();
    if (stopping()) return false;
    queue_.push_back(&work);
    return true;
  }

  bool Unschedule(Runnable& work) {
    CheckHolder();
    if (queue_.empty() || queue_.back() != &work) return false;
    queue_.pop_back();
    return true;
  }

  // One of the two ways that a wait may go.
  bool Toss() {
    CheckHolder();
    return Draw(2, "toss") == 0;
  }

  bool ParkUntil(Parker& parker, Time deadline) {
    CheckHolder();
    if (parker.TryPark()) return true;
    if (deadline <= Now()) return false;
    Seat seat;
    seat.awaited = &parker;
    seat.deadline = deadline;
    asleep_.push_back(&seat);
    const Turn turn = Next();
    if (turn.seat != &seat) {
      PassOn(turn);
      seat.go.Park();
      holder_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    }
    return parker.TryPark();
  }

  std::vector<std::string> Stop(Time deadline);
  ThreadPoolStatistics Statistics() const {
    const int threads = static_cast<int>(threads_.size()), idle = static_cast<int>(idle_.size());
    return {.places = 1, .threads = threads, .parked = idle, .blocked = static_cast<int>(asleep_.size())};
  }
  void set_pool(Executor* pool) { pool_ = pool; }

 private:
  // A thread that does not run.
  struct Seat {
    Parker go;  // rung by who gives it the baton
    Parker* awaited = nullptr;
    Time deadline = kNever;
    Runnable* work = nullptr;  // what an idle worker is given; null: it ends
  };
  // Who goes on: a piece of work, or a thread.
  struct Turn {
    Runnable* work = nullptr;
    Seat* seat = nullptr;
  };

  void CheckHolder() const {
    if (holder_.load(std::memory_order_relaxed) == std::this_thread::get_id()) return;
    Abort("it was used by a thread that it did not start, whose doings cannot be replayed");
  }
  [[noreturn]] void Abort(const std::string& why) const {
    std::fprintf(stderr, "rustyray: the seeded schedule cannot go on: %s\n", why.c_str());
    std::abort();
  }

  void Trace(std::uint64_t word) {  // FNV-1a
    for (int i = 0; i < 64; i += 8) trace_ = (trace_ ^ ((word >> i) & 0xFF)) * 0x100000001B3;
  }
  std::size_t Draw(std::size_t bound, std::string_view what) {
    const auto drawn = static_cast<std::size_t>(random_() % bound);
    Trace(bound);
    Trace(drawn);
    for (const char letter : what) Trace(static_cast<unsigned char>(letter));
    Trace(static_cast<std::uint64_t>(Now().time_since_epoch().count()));
    return drawn;
  }

  Turn Next() {
    for (;;) {
      std::vector<std::size_t> ready;
      Time earliest = timers_.Earliest();
      for (std::size_t i = 0; i < asleep_.size(); ++i) {
        if (asleep_[i]->awaited->has_token() || asleep_[i]->deadline <= Now()) ready.push_back(i);
        earliest = std::min(earliest, asleep_[i]->deadline);
      }
      if (const std::size_t choices = queue_.size() + ready.size()) {
        std::size_t drawn = Draw(choices, "next");
        if (drawn >= queue_.size()) {
          const auto at = asleep_.begin() + static_cast<std::ptrdiff_t>(ready[drawn - queue_.size()]);
          Seat* const seat = *at;
          asleep_.erase(at);
          return {.seat = seat};
        }
        Runnable* const work = queue_[drawn];
        queue_.erase(queue_.begin() + static_cast<std::ptrdiff_t>(drawn));
        for (const char letter : work->ScheduledName()) Trace(static_cast<unsigned char>(letter));
        return {.work = work};
      }
      if (earliest == kNever) {
        Abort("all threads wait for what nobody will do\n" + (describe_waits_ ? describe_waits_() : std::string()));
      }
      now_.store(std::max(earliest, Now()).time_since_epoch().count(), std::memory_order_relaxed);
      timers_.FireDue(Now());
    }
  }

  // The caller, which has taken its seat, touches nothing of this afterwards.
  void PassOn(Turn turn) {
    Seat* next = turn.seat;
    if (turn.work != nullptr) {
      if (idle_.empty()) StartWorker();
      next = idle_.back();
      idle_.pop_back();
      next->work = turn.work;
    }
    next->go.Unpark();
  }

  void StartWorker() {
    seats_.push_back(std::make_unique<Seat>());
    Seat* const seat = seats_.back().get();
    try {
      threads_.emplace_back([this, seat] { Work(*seat); });
    } catch (const std::system_error& error) {
      Abort(std::string("no thread more: ") + error.what());
    }
    idle_.push_back(seat);
  }

  void Work(Seat& seat) {
    seat.go.Park();
    while (Runnable* work = std::exchange(seat.work, nullptr)) {
      holder_.store(std::this_thread::get_id(), std::memory_order_relaxed);
      HeldPlace place{pool_, held_places};
      held_places = &place;
      for (;;) {
        running_.push_back(work->ScheduledName());
        const std::string_view name = running_.back();
        work->RunScheduled();
        running_.erase(std::find(running_.begin(), running_.end(), name));
        if (running_.empty() && all_done_ != nullptr) all_done_->Unpark();
        const Turn turn = Next();
        if (turn.work != nullptr) {
          work = turn.work;
          continue;
        }
        held_places = place.outer;
        idle_.push_back(&seat);
        PassOn(turn);
        break;
      }
      seat.go.Park();
    }
  }

  void EndIdle() {
    if (idle_.size() != threads_.size()) {
      for (std::thread& thread : threads_) thread.detach();
      for (auto& seat : seats_) (void)seat.release();  // of threads that never come back
      return;
    }
    for (Seat* const seat : idle_) seat->go.Unpark();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    idle_.clear();
  }

  OneProcessor one_processor_;
  std::mt19937_64 random_;
  std::uint64_t trace_ = 0xCBF29CE484222325;
  std::atomic<std::thread::id> holder_;
  std::atomic<Duration::rep> now_{0};
  std::atomic<bool> stopping_{false};
  TimerSet timers_;
  Executor* pool_ = nullptr;
  std::deque<Runnable*> queue_;
  std::vector<Seat*> asleep_;  // in the order in which they parked
  std::vector<Seat*> idle_;    // workers
  std::vector<std::string_view> running_;
  Parker* all_done_ = nullptr;
  std::function<std::string()> describe_waits_;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::vector<std::thread> threads_;
};

std::vector<std::string> SeededSchedule::Baton::Stop(Time deadline) {
  if (stopping()) return {};
  CheckHolder();
  stopping_.store(true, std::memory_order_relaxed);
  for (Runnable* const work : std::exchange(queue_, {})) work->DiscardScheduled();
  Parker done;
  all_done_ = &done;
  while (!running_.empty() && Now() < deadline) ParkUntil(done, deadline);
  all_done_ = nullptr;
  one_processor_.Restore();
  return std::vector<std::string>(running_.begin(), running_.end());
}

class SeededSchedule::Pool final : public ThreadPool {
 public:
  explicit Pool(Baton& baton) : baton_(baton) { baton_.set_pool(this); }
  ~Pool() override { Stop(Time::min()); }

  bool Schedule(Runnable& work) override { return baton_.Schedule(work); }
  bool Unschedule(Runnable& work) override { return baton_.Unschedule(work); }
  // Both ways a wait for a call that has not begun may go: run here, or elsewhere.
  bool TryEnter() override { return !stopping() && baton_.Toss(); }
  void Leave() override {}
  absl::Status BeginBlocking() override { return absl::OkStatus(); }
  void EndBlocking() override {}
  bool stopping() const override { return baton_.stopping(); }
  std::vector<std::string> Stop(Time deadline) override { return baton_.Stop(deadline); }
  ThreadPoolStatistics Statistics() override { return baton_.Statistics(); }

 private:
  Baton& baton_;
};

SeededSchedule::SeededSchedule(std::uint64_t seed) : baton_(std::make_unique<Baton>(seed)) {}
SeededSchedule::~SeededSchedule() = default;
std::uint64_t SeededSchedule::trace() const { return baton_->trace(); }
void SeededSchedule::set_describe_waits(std::function<std::string()> describe) {
  baton_->set_describe_waits(std::move(describe));
}
Time SeededSchedule::Now() { return baton_->Now(); }
void SeededSchedule::Arm(Timer& timer, Time at) {
  if (at != kNever) baton_->timers().Arm(timer, at);
}
bool SeededSchedule::Cancel(Timer& timer) { return baton_->timers().Cancel(timer); }
bool SeededSchedule::ParkUntil(Parker& parker, Time deadline) { return baton_->ParkUntil(parker, deadline); }

std::shared_ptr<ThreadPool> MakeSeededPool(SeededSchedule& schedule) {
  return std::make_shared<SeededSchedule::Pool>(*schedule.baton_);
}

}  // namespace rustyray::core
