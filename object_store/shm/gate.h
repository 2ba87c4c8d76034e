// Gate: what every operation on a segment passes, and its locks. Internal to //object_store/shm.
//
// An operation is short and runs no code of users. While one runs, its process's slot counts it as active. A recovery
// closes the gate, waits until nobody alive is active, and then has the segment to itself: so locks and derived words
// need no order of writes that survives a crash, for they are made anew.
// Invariants: nobody is active while the gate is closed and the recovery has begun. A lock is held inside an operation
// only. Whoever meets a closed gate while it waits for a lock gives the operation up.
// Bounds: a lock whose holder died, and a gate whose closer died, are noticed within about 10 ms; waits for what lives
// but does not go on (a stopped process) end after the file's patience (4 s) with kStuck.
// Threads: all methods, any thread.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_GATE_H_
#define RUSTYRAY_OBJECT_STORE_SHM_GATE_H_

#include <atomic>
#include <cstdint>

#include "core/clock.h"
#include "object_store/shm/layout.h"
#include "object_store/shm/segment_file.h"

namespace rustyray::object_store::shm {

// Sleeps until woken, or `word` is not `expected`, or `until`; returns early for no reason, too.
void FutexWait(std::atomic<std::uint32_t>& word, std::uint32_t expected, core::Time until);
void FutexWake(std::atomic<std::uint32_t>& word, int most);

// Tells all who wait for an event. A load where nobody waits.
void TellEvent(EventWord& event);
// What to wait for: call it, look whether it has happened already, then FutexWait on the word with what it returned.
std::uint32_t PrepareEventWait(EventWord& event);

// How a step of an operation ended.
enum class Step : std::uint8_t {
  kDone,
  kAgain,    // the gate was closed: leave the operation and begin it anew
  kRecover,  // somebody died in the middle, or words are damaged
  kStuck,    // somebody who lives holds a lock and does not go on
};

class Gate {
 public:
  // `file` outlives it.
  explicit Gate(SegmentFile& file) : file_(file), header_(file.header()), slot_(header_.slots[file.slot()]) {}

  // Begins an operation; waits while a recovery runs. kRecover: the recovery's process died. Never kAgain.
  Step Enter() {
    slot_.active.fetch_add(CountWord::kOne, std::memory_order_seq_cst);
    if (header_.gate.load(std::memory_order_seq_cst) == 0) [[likely]]
      return Step::kDone;
    return EnterLater();
  }
  void Leave() { slot_.active.fetch_add(CountWord::kMinusOne, std::memory_order_release); }

  Step Lock(LockWord& lock);
  void Unlock(LockWord& lock);

  // Closes the gate for a recovery by this thread, and waits until nobody is active. kDone: the caller recovers, then
  // opens. kAgain: somebody else recovered meanwhile. kStuck: somebody is active and does not go on; the gate is open.
  // `inherited`: this process has just got the slot of one that died; what that one had closed is the caller's.
  // `taken_over`: whoever had closed it did not finish.
  Step Close(bool inherited, bool& taken_over);
  void Open();

  // Whether the process that has the slot, or had it last, lives.
  bool Lives(std::uint32_t slot) const { return file_.SlotIsHeld(slot); }

  // The slot of the process that the last kStuck of this gate was about.
  std::uint32_t stuck_on() const { return stuck_on_.load(std::memory_order_relaxed); }

 private:
  Step EnterLater();
  Step LockLater(LockWord& lock);
  Step WaitUntilOpen();

  SegmentFile& file_;
  SegmentHeader& header_;
  ProcessSlot& slot_;
  std::atomic<std::uint32_t> stuck_on_{0};
};

}  // namespace rustyray::object_store::shm

#endif  // RUSTYRAY_OBJECT_STORE_SHM_GATE_H_
