// SlotPages: a list of the live records of the process that is written without locks or atomic steps. Internal
// to //ownership.
//
// Each thread owns pages of slots and takes free slots from a list of its own. A slot's word is one of: a record's
// address; a link of its owner's free list (kFree set); 0: given up by another thread, to be found by its owner when
// the free list is empty. Invariants:
//   - Who put a record in a slot takes it out before the record may go: so a record in a slot is alive, as long as its
//     owner tells of last handles (is not closed).
//   - A report reads records within intrusions of one BiasedLock, a page each; who takes a record out waits for an
//     intrusion that may have seen it.
//   - Pages are never freed: those of ended threads pass to others. Nor are owners that have an observer (stores see to
//     that), so that a slot can say that its record's owner is closed without a look at the record.
// There is one list for the process, of all observers.
// Threads: all functions, any thread.
#ifndef RUSTYRAY_OWNERSHIP_SLOT_PAGES_H_
#define RUSTYRAY_OWNERSHIP_SLOT_PAGES_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "core/record.h"

namespace rustyray::ownership {

struct alignas(16) Slot {
  std::atomic<std::uintptr_t> word{0};
  std::atomic<const core::RecordOwner*> owner{nullptr};
};

class SlotPages {
 public:
  // Lists `record`. Its owner is known.
  static Slot* Put(core::Record& record);
  // Takes `record` out of `slot`. Nobody reads it afterwards.
  static void Take(Slot& slot, core::Record& record);
  // Calls `read` for each record in the list whose owner is not closed and has the observer `observer`. `read` must
  // not block, and not keep the record.
  static void ForEach(const core::HandleObserver* observer, absl::FunctionRef<void(core::Record&)> read);
  // How many slots there are, free ones too.
  static std::size_t capacity();
};

}  // namespace rustyray::ownership

#endif  // RUSTYRAY_OWNERSHIP_SLOT_PAGES_H_
