// Waiting: how threads wait for records, and the graph of who waits for whom.
//
// An untimed wait for one record helps: it runs the call it waits for, if nobody has begun it, or the unfinished call
// that that one needs, found iteratively; never unrelated work. It helps only with a running place of the call's
// executor and with stack left. Otherwise it parks. Timed waits and waits for k of n park.
// Cycles: an untimed wait writes its edge before it sleeps; the wait that would close a cycle gets an error
// (kWaitCycle) that names the calls in it. A call that one of several may make room for is stuck only when all of those
// are. Timed waits and waits for k of n cannot hang for good and are left out.
// Invariant: the graph holds only threads that sleep or are about to; a thread stands in it under its own number, and
// a running call is found through the number of the thread that runs it.
// Threads: all methods, any thread.
#ifndef RUSTYRAY_CORE_WAITING_H_
#define RUSTYRAY_CORE_WAITING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/thread_context.h"

namespace rustyray::core {

// InvalidArgument for the first null ref of `count`, which says which one it is.
absl::Status CheckRefs(std::size_t count, absl::FunctionRef<const ObjectRef&(std::size_t)> at);

class Waiting {
 public:
  // Below this much stack a wait parks rather than runs a call inline.
  static constexpr std::size_t kStackReserve = 256 * 1024;
  // How often a wait looks whether a call that runs is done, before it sleeps: about two microseconds.
  static constexpr int kSpinsBeforeSleep = 128;

  // `clock` outlives it.
  explicit Waiting(Clock& clock) : clock_(clock) {}
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

  // OK once `ref` is ready, with a value or an error. DeadlineExceeded (kTimeout) at the deadline; kWaitCycle;
  // ResourceExhausted when a thread more may not sleep; InvalidArgument for a null ref, here and below.
  absl::Status WaitFor(const ObjectRef& ref, Time deadline);

  // The same for a record that the caller keeps alive otherwise.
  absl::Status WaitForRecord(Record& record, Time deadline);

  // The same for `count` refs, of which `at` gives one each. An untimed wait runs what is not begun from the last to
  // the first: others take the oldest.
  absl::Status WaitForAll(std::size_t count, absl::FunctionRef<const ObjectRef&(std::size_t)> at, Time deadline);

  // Waits until at least `enough` are ready, or the deadline; returns how many are. Does not help. Registers with all,
  // so that its cost does not depend on how often they change. InvalidArgument for an `enough` above `count`.
  absl::StatusOr<std::size_t> WaitForSome(std::size_t count, absl::FunctionRef<const ObjectRef&(std::size_t)> at,
                                          std::size_t enough, Time deadline);

  // Who waits for whom, a line for each waiting thread: "thread 2 in task g waits for task f (not begun)".
  std::string Dump();

  Clock& clock() { return clock_; }

 private:
  struct Blocked {
    const CallFrame* frames;  // of the sleeping thread, which cannot change them
    Record* awaited;          // held by the sleeper; null: some of several
    bool timed;
  };

  absl::Status HelpOrPark(Record& target);
  // Also runs what the target needs first.
  absl::Status HelpDownOrPark(Record& target);
  // Sleeps until `target` or `inner` is ready.
  absl::Status Park(Record& target, Record& inner, Time deadline);
  absl::Status EnterGraph(Record* awaited, Time deadline);
  void LeaveGraph();
  absl::Status FindCycle(Record& awaited, std::vector<RecordHold>& kept) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Clock& clock_;
  Mutex mutex_;
  std::unordered_map<std::uint32_t, Blocked> blocked_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_WAITING_H_
