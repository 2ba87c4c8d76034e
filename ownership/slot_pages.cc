#include "ownership/slot_pages.h"

#include <pthread.h>

#include <array>
#include <utility>
#include <vector>

#include "core/biased_lock.h"
#include "core/mutex.h"

namespace rustyray::ownership {
namespace {

using core::BiasedLock;

constexpr std::uintptr_t kFree = 1;

// In its intrusions records are read. Who takes one of its own slots waits for readers; who takes another's does so in
// a section, since its owner may use it again (Collect).
constinit BiasedLock records_lock;

// A fork waits until no report is under way, whose thread the child would miss.
void HoldAcrossForks() {
  { const BiasedLock::Intrusion first(records_lock); }  // so that what intrusions need is locked after them
  pthread_atfork([]() ABSL_NO_THREAD_SAFETY_ANALYSIS { records_lock.Intrude(); },
                 []() ABSL_NO_THREAD_SAFETY_ANALYSIS { records_lock.Leave(); },
                 []() ABSL_NO_THREAD_SAFETY_ANALYSIS { records_lock.Leave(); });
}

constexpr std::size_t kPageBytes = 8192;
constexpr std::size_t kSlotsPerPage = kPageBytes / sizeof(Slot) - 1;
// A refill that finds fewer free slots than this in the pages it looks at takes another page, too.
constexpr std::size_t kEnough = kSlotsPerPage / 4;
constexpr std::size_t kPagesLookedAt = 2;

struct ThreadSlots;

struct alignas(kPageBytes) Page {
  std::atomic<ThreadSlots*> owner{nullptr};  // null: of a thread that ended
  std::array<Slot, kSlotsPerPage> slots;
};
static_assert(sizeof(Page) == kPageBytes);

Page& PageOf(Slot& slot) {
  return *reinterpret_cast<Page*>(reinterpret_cast<std::uintptr_t>(&slot) & ~(std::uintptr_t{kPageBytes} - 1));
}

// All pages, and those that wait for a new owner.
struct Registry {
  core::Mutex mutex;
  std::vector<Page*> all ABSL_GUARDED_BY(mutex);
  std::vector<Page*> orphans ABSL_GUARDED_BY(mutex);

  static Registry& Get() {
    static Registry* const registry = [] {
      HoldAcrossForks();
      return new Registry;
    }();
    return *registry;
  }
  Page* PageFor(ThreadSlots& slots) {
    core::MutexLock lock(mutex);
    Page* page;
    if (orphans.empty()) {
      page = new Page;
      all.push_back(page);
    } else {
      page = orphans.back();
      orphans.pop_back();
    }
    page->owner.store(&slots, std::memory_order_relaxed);
    return page;
  }
};

// Whether a record in `slot` went with a store that told nobody.
bool IsStale(const Slot& slot) {
  const core::RecordOwner* const owner = slot.owner.load(std::memory_order_relaxed);
  return owner != nullptr && owner->closed();
}

// The slots of one thread.
struct ThreadSlots {
  Slot* free = nullptr;
  std::vector<Page*> pages;
  std::size_t hand = 0;  // where the next look for given up slots begins

  void PushFree(Slot& slot) {
    slot.word.store(reinterpret_cast<std::uintptr_t>(free) | kFree, std::memory_order_relaxed);
    free = &slot;
  }
  Slot* PopFree() {
    Slot* const slot = free;
    free = reinterpret_cast<Slot*>(slot->word.load(std::memory_order_relaxed) & ~kFree);
    return slot;
  }

  std::size_t Collect(Page& page) {
    std::size_t found = 0;
    bool stale = false;
    for (Slot& slot : page.slots) {
      const std::uintptr_t word = slot.word.load(std::memory_order_acquire);
      if (word == 0) {
        PushFree(slot);
        ++found;
      } else {
        stale = stale || ((word & kFree) == 0 && IsStale(slot));
      }
    }
    if (!stale) return found;
    // A closed owner tells no more, so what it left here will not be taken out; but a late taker may be on its way.
    const BiasedLock::Intrusion intrusion(records_lock);
    for (Slot& slot : page.slots) {
      const std::uintptr_t word = slot.word.load(std::memory_order_relaxed);
      if (word == 0 || (word & kFree) != 0 || !IsStale(slot)) continue;
      PushFree(slot);
      ++found;
    }
    return found;
  }

  void Refill() {
    std::size_t found = 0;
    for (std::size_t i = 0; i < kPagesLookedAt && i < pages.size(); ++i) {
      if (++hand >= pages.size()) hand = 0;
      found += Collect(*pages[hand]);
    }
    while (found < kEnough) {
      pages.push_back(Registry::Get().PageFor(*this));
      found += Collect(*pages.back());
    }
  }

  void HandOver() {
    while (free != nullptr) PopFree()->word.store(0, std::memory_order_relaxed);
    Registry& registry = Registry::Get();
    core::MutexLock lock(registry.mutex);
    for (Page* const page : pages) {
      page->owner.store(nullptr, std::memory_order_relaxed);
      registry.orphans.push_back(page);
    }
  }
};

// For threads that are ending, whose own slots are handed over.
struct SharedSlots {
  core::Mutex mutex;
  ThreadSlots slots ABSL_GUARDED_BY(mutex);

  static SharedSlots& Get() {
    static SharedSlots* const shared = new SharedSlots;
    return *shared;
  }
};

thread_local constinit ThreadSlots* my_slots = nullptr;
thread_local constinit bool ending = false;

struct EndOfThread {
  ~EndOfThread() {
    ThreadSlots* const slots = std::exchange(my_slots, nullptr);
    ending = true;
    slots->HandOver();
    delete slots;
  }
};

Slot* Fill(Slot* slot, core::Record& record) {
  slot->owner.store(record.owner(), std::memory_order_relaxed);
  slot->word.store(reinterpret_cast<std::uintptr_t>(&record), std::memory_order_release);
  return slot;
}

[[gnu::noinline]] Slot* PutSlow(core::Record& record) {
  if (ending) {
    SharedSlots& shared = SharedSlots::Get();
    core::MutexLock lock(shared.mutex);
    if (shared.slots.free == nullptr) shared.slots.Refill();
    return Fill(shared.slots.PopFree(), record);
  }
  if (my_slots == nullptr) {
    my_slots = new ThreadSlots;
    thread_local const EndOfThread at_end;
    static_cast<void>(at_end);
  }
  if (my_slots->free == nullptr) my_slots->Refill();
  return Fill(my_slots->PopFree(), record);
}

}  // namespace

Slot* SlotPages::Put(core::Record& record) {
  ThreadSlots* const slots = my_slots;
  if (slots == nullptr || slots->free == nullptr) return PutSlow(record);
  return Fill(slots->PopFree(), record);
}

void SlotPages::Take(Slot& slot, core::Record& record) {
  ThreadSlots* const slots = my_slots;
  // A word that is another's: the record's store was closed, and the slot is used again.
  const auto is_there = [&] {
    return slot.word.load(std::memory_order_relaxed) == reinterpret_cast<std::uintptr_t>(&record);
  };
  if (slots != nullptr && PageOf(slot).owner.load(std::memory_order_relaxed) == slots) [[likely]] {
    if (!is_there()) return;  // as it will be: only this thread uses its slots again
    slots->PushFree(slot);
    records_lock.AwaitReaders();
    return;
  }
  const BiasedLock::Section section(records_lock);
  if (is_there()) slot.word.store(0, std::memory_order_release);
}

void SlotPages::ForEach(const core::HandleObserver* observer, absl::FunctionRef<void(core::Record&)> read) {
  std::vector<Page*> pages;
  {
    Registry& registry = Registry::Get();
    core::MutexLock lock(registry.mutex);
    pages = registry.all;
  }
  for (Page* const page : pages) {
    const BiasedLock::Intrusion intrusion(records_lock);
    for (Slot& slot : page->slots) {
      const std::uintptr_t word = slot.word.load(std::memory_order_acquire);
      if (word == 0 || (word & kFree) != 0) continue;
      const core::RecordOwner* const owner = slot.owner.load(std::memory_order_relaxed);
      if (!owner->closed() && owner->observer() == observer) read(*reinterpret_cast<core::Record*>(word));
    }
  }
}

std::size_t SlotPages::capacity() {
  Registry& registry = Registry::Get();
  core::MutexLock lock(registry.mutex);
  return registry.all.size() * kSlotsPerPage;
}

}  // namespace rustyray::ownership
