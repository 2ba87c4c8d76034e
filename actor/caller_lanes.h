// CallerLanes: the calls of one actor that are held back from its mailbox: a call that waits for its refs, and those
// that its caller submitted after it. One lane a caller; lanes pass each other by.
//
// Invariants:
//   - Calls leave a lane in the order in which they came, each once it is ready (its refs are) or sealed (it was
//     cancelled, or an argument failed: it will never run, and those behind it go on).
//   - any() is false only after the last call that was held has been handed to who puts it into the mailbox: a caller
//     that sees it false may go ahead without the lock, and overtakes none of its own.
// It owns nothing, and allocates nothing before the first call is held back.
// Threads: any() any. What takes a `guard` is called under that lock, always the same one: its owner's.
#ifndef RUSTYRAY_ACTOR_CALLER_LANES_H_
#define RUSTYRAY_ACTOR_CALLER_LANES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "actor/caller.h"
#include "core/call.h"
#include "core/mutex.h"
#include "core/record.h"

namespace rustyray::actor {

// A call in a lane, and what waits for that call to be sealed. Freed by its owner. The call outlives it. The flags are
// under the lanes' guard.
class HeldCall : public core::Waiter {
 public:
  HeldCall(core::Call& call, CallerId caller, Fire on_sealed) : Waiter(on_sealed), call(call), caller(caller) {}
  HeldCall(const HeldCall&) = delete;
  HeldCall& operator=(const HeldCall&) = delete;

  core::Call& call;
  const CallerId caller;
  bool submitted = false;  // before that nobody but the submitter may touch the call
  bool ready = false;      // its refs are
  bool sealed = false;     // it will never run
  bool released = false;   // the lane is done with it, but not what waits for its end

 protected:
  ~HeldCall() = default;

 private:
  friend class CallerLanes;
  std::uint64_t number_ = 0;
};

class CallerLanes {
 public:
  CallerLanes();
  ~CallerLanes();
  CallerLanes(const CallerLanes&) = delete;
  CallerLanes& operator=(const CallerLanes&) = delete;

  // Whether a call is held back.
  bool any() const { return count() > 0; }
  std::size_t count() const { return count_.load(std::memory_order_seq_cst); }

  // Whether one of `caller` is: then its next call must be too.
  bool Has(CallerId caller, const core::Mutex& guard) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard);
  // Null: it is not held back.
  HeldCall* Find(const core::Call& call, const core::Mutex& guard) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard);
  // The first in the lane of `call`, which is held back behind it; null: none, or it is not submitted yet.
  core::Call* FirstBefore(const core::Call& call, const core::Mutex& guard) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard);
  // The submitted calls in all lanes, in the order in which they came, whatever their addresses: schedules can be
  // replayed.
  std::vector<core::RecordHold> InOrder(const core::Mutex& guard) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard);

  // Puts it last in its caller's lane.
  void Add(HeldCall& held, const core::Mutex& guard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard);
  // Takes away, from the first of `caller` on, what is ready or sealed, up to one that is neither. `take` gets each,
  // under the guard: two threads that release one lane do not overtake each other.
  void Release(CallerId caller, absl::FunctionRef<void(HeldCall&)> take, const core::Mutex& guard)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(guard);

 private:
  struct Lanes;
  std::atomic<std::uint32_t> count_{0};
  std::unique_ptr<Lanes> lanes_;  // under the guard
};

}  // namespace rustyray::actor

#endif  // RUSTYRAY_ACTOR_CALLER_LANES_H_
