// Who keeps a cell: refs to its storage, and handles.
#include "actor/actor_cell.h"

namespace rustyray::actor {
namespace {

thread_local constinit bool thread_is_ending = false;

}  // namespace

// At the end of a thread. Who drops a ref even later keeps none.
struct ActorCell::GivesKeptRefsBack {
  ~GivesKeptRefsBack() {
    thread_is_ending = true;
    for (KeptRefs& kept : kept_refs_) {
      if (const KeptRefs given = std::exchange(kept, {}); given.count > 0) given.cell->DropRefs(given.count);
    }
  }
};

// In `kept` there is none: it takes several if this thread dropped refs of this cell last.
void ActorCell::AddRefs(KeptRefs& kept) {
  if (kept.cell != this) return AddRef();
  kept.count = kMostKeptRefs / 2;
  refs_.fetch_add(1 + kept.count, std::memory_order_relaxed);
}

void ActorCell::DropOrKeepRef(KeptRefs& kept) {
  if (kept.cell == this) {
    const bool all = dead();
    const std::uint32_t given = all ? kept.count : kept.count / 2;
    kept.count -= given;
    if (all) kept.cell = nullptr;
    return DropRefs(1 + given);
  }
  if (dead() || thread_is_ending) return DropRef();
  static thread_local const GivesKeptRefsBack at_end;
  (void)at_end;
  const KeptRefs other = std::exchange(kept, {this, 1});
  if (other.count > 0) other.cell->DropRefs(other.count);
}

void ActorCell::LastHandleGone() {
  if (!options_.detached && !dead() && mailbox_.Wake()) ScheduleTurn();
  DropRef();
}

bool ActorCell::AddHandleIfAlive() {
  std::uint32_t handles = handles_.load(std::memory_order_relaxed);
  do {
    if (handles == 0 && !options_.detached) return false;
  } while (!handles_.compare_exchange_weak(handles, handles + 1, std::memory_order_seq_cst));
  if (handles == 0) AddRef();
  return true;
}

}  // namespace rustyray::actor
