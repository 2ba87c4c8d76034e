// Executor: where ready work runs. The narrow interface between what schedules (tasks, actors) and what has threads.
//
// A running place is the right to run work: an executor has as many as its bound. Its workers hold one while they run;
// an outside thread that helps (runs the call it waits for) takes one too, or parks. A thread that blocks lends its
// place for that time, so a wait never starves others.
// Threads: all methods may be called from any thread. The executor outlives what is scheduled on it.
#ifndef RUSTYRAY_CORE_EXECUTOR_H_
#define RUSTYRAY_CORE_EXECUTOR_H_

#include <string_view>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace rustyray::core {

class Account;
class Record;

// A unit of work, embedded in what it is for (a call, an actor's turn). Kept alive by whoever scheduled it until
// RunScheduled returns, or Schedule said false.
class Runnable {
 public:
  // Runs once for each successful Schedule that was not taken back, on a thread that holds a place.
  virtual void RunScheduled() = 0;
  // Instead of RunScheduled, when the executor stopped before it began: it never will.
  virtual void DiscardScheduled() = 0;
  // A name for reports that lives for ever; may be empty.
  virtual std::string_view ScheduledName() const { return {}; }

 protected:
  ~Runnable() = default;
};

class Executor {
 public:
  virtual ~Executor() = default;

  // Queues `work`. False when the executor has stopped: then `work` was not taken.
  virtual bool Schedule(Runnable& work) = 0;
  // Takes `work` back if it is the newest that this thread scheduled and nobody has begun it. A hint: false is always
  // a correct answer.
  virtual bool Unschedule(Runnable& work) = 0;

  // A running place for the calling thread, which has none here. False when all are taken.
  virtual bool TryEnter() = 0;
  virtual void Leave() = 0;
  // Whether others wait for a place: who holds one for several pieces of work gives it up in between.
  virtual bool PlaceIsWanted() const { return false; }

  // The calling thread, which has a place here, is about to sleep in a wait, and is back. ResourceExhausted past the
  // hard cap of threads: then the thread must not sleep, and has its place still.
  virtual absl::Status BeginBlocking() = 0;
  virtual void EndBlocking() = 0;

  // True once it is stopping: functions that run are asked to end.
  virtual bool stopping() const = 0;

  // For executors that run work in the order it came, one piece at a time (an actor's mailbox): runs what is queued up
  // to and including `work` on the calling thread, which waits for it. Others leave it to the caller.
  enum class InOrder { kNotOrdered, kRan, kRefused };
  virtual InOrder RunInOrder(Runnable& work) {
    (void)work;
    return InOrder::kNotOrdered;
  }
  // The records of calls that keep `work`, which is not begun, from beginning: who occupies its actor. All that are
  // kMustEnd, and one of those that are kOneMustEnd, must end first. Held while they are visited.
  enum class Blocker { kMustEnd, kOneMustEnd };
  virtual void VisitBlockers(const Runnable& work, absl::FunctionRef<void(Record*, Blocker)> visit) {
    (void)work;
    (void)visit;
  }

  // Whom what its calls make while they run is charged to (core/account.h), null: nobody. `inherited`: whom the call's
  // own result is charged to.
  virtual Account* ChargeOf(Account* inherited) { return inherited; }

  // Executors without threads of their own: runs one queued piece of work for a thread that would sleep otherwise.
  // False when there is nothing to run.
  virtual bool StepWhileBlocked() { return false; }
};

// The places that this thread holds, innermost first. Maintained by RunningPlace and by workers.
struct HeldPlace {
  Executor* executor;
  HeldPlace* outer;
};
inline thread_local constinit HeldPlace* held_places = nullptr;

// Holds a place for a scope, unless the thread has one there already. `entered()` says whether there is one.
class RunningPlace {
 public:
  explicit RunningPlace(Executor& executor) : held_{&executor, held_places} {
    for (const HeldPlace* place = held_places; place != nullptr; place = place->outer) {
      if (place->executor == &executor) {
        entered_ = true;
        return;
      }
    }
    if (!executor.TryEnter()) return;
    entered_ = taken_ = true;
    held_places = &held_;
  }
  ~RunningPlace() {
    if (!taken_) return;
    held_places = held_.outer;
    held_.executor->Leave();
  }
  RunningPlace(const RunningPlace&) = delete;
  RunningPlace& operator=(const RunningPlace&) = delete;

  bool entered() const { return entered_; }

 private:
  HeldPlace held_;
  bool entered_ = false;
  bool taken_ = false;
};

// Lends all places of this thread while it sleeps. Check status() first: when it is not OK the thread must not sleep.
class BlockingScope {
 public:
  BlockingScope();
  ~BlockingScope();
  BlockingScope(const BlockingScope&) = delete;
  BlockingScope& operator=(const BlockingScope&) = delete;

  const absl::Status& status() const { return status_; }

 private:
  HeldPlace* lent_until_ = nullptr;  // places up to here were lent
  absl::Status status_;
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_EXECUTOR_H_
