#include "core/thread_pool.h"

#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/biased_lock.h"
#include "core/error.h"
#include "core/mutex.h"
#include "core/parker.h"
#include "core/thread_context.h"
#include "core/work_deque.h"

namespace rustyray::core {
namespace {

// What the pool knows of one thread that schedules on it, worker or not. Recycled, never freed before the pool.
struct Slot {
  WorkDeque deque;

  // Whether the thread runs work and so holds a place; or runs none, and keeps a place for its next helping until
  // somebody wants one. A new number at each piece of work, so that a place is lent for the very piece that was seen
  // asleep. Its thread writes it in sections of SlotTable::runs, others in intrusions.
  static constexpr std::uint64_t kRunning = 1, kLent = 2, kKept = 4, kStep = 8;
  alignas(64) std::atomic<std::uint64_t> run{0};
  std::atomic<bool> busy{false};  // with work, also while that waits
  std::atomic<const char*> name{nullptr};
  std::atomic<std::size_t> name_size{0};

  // In a section. Returns what was before.
  std::uint64_t NextRun(std::uint64_t state) {
    const std::uint64_t before = run.load(std::memory_order_relaxed);
    run.store((before & ~(kStep - 1)) + kStep + state, std::memory_order_relaxed);
    return before;
  }

  alignas(64) Parker parker;  // of a parked worker
  std::atomic<bool> woken{false};
  std::atomic<pid_t> tid{0};
  std::atomic<clockid_t> cpu_clock{0};
  std::atomic<bool> worker{false};
  std::uint32_t steal_from = 0;  // the thread's own: where the next round begins
  std::uint32_t turn = 0;

  // The monitor's: what it saw at its last tick.
  std::uint64_t seen_run = 0;
  std::int64_t seen_cpu = -1;
};

// The slots of one pool. Threads hold it, so that a thread's end may return its slot when the pool is gone.
struct SlotTable {
  Mutex mutex;
  std::vector<std::unique_ptr<Slot>> all ABSL_GUARDED_BY(mutex);
  std::vector<Slot*> free ABSL_GUARDED_BY(mutex);
  // For thieves: an array that only grows; outgrown ones are kept.
  std::vector<std::unique_ptr<std::atomic<Slot*>[]>> arrays ABSL_GUARDED_BY(mutex);
  std::size_t capacity ABSL_GUARDED_BY(mutex) = 0;
  std::atomic<std::atomic<Slot*>*> array{nullptr};
  std::atomic<std::size_t> count{0};
  std::atomic<bool> closed{false};

  BiasedLock runs;  // of the slots' run words

  // Outside threads that help when the pool stops: the last one wakes who stops it, or lets go of the pool that was
  // kept for it.
  std::atomic<bool> stopping{false};
  Parker* stopper ABSL_GUARDED_BY(mutex) = nullptr;
  std::shared_ptr<void> kept_pool ABSL_GUARDED_BY(mutex);

  bool AnyHelper() const {
    const std::size_t slots = count.load(std::memory_order_acquire);
    const std::atomic<Slot*>* const at = array.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < slots; ++i) {
      const Slot& slot = *at[i].load(std::memory_order_relaxed);
      if (slot.busy.load(std::memory_order_acquire) && !slot.worker.load(std::memory_order_relaxed)) return true;
    }
    return false;
  }

  // An outside thread, whose slot is busy no more, looks whether somebody waits for that.
  void HelperLeft() {
    LightFence();
    if (!stopping.load(std::memory_order_relaxed)) [[likely]]
      return;
    std::shared_ptr<void> let_go;  // after the lock
    MutexLock lock(mutex);
    if (AnyHelper()) return;
    if (stopper != nullptr) stopper->Unpark();
    let_go.swap(kept_pool);
  }

  Slot* Acquire() {
    MutexLock lock(mutex);
    if (!free.empty()) {
      Slot* const slot = free.back();
      free.pop_back();
      return slot;
    }
    const std::size_t index = all.size();
    all.push_back(std::make_unique<Slot>());
    if (index >= capacity) {
      capacity = capacity == 0 ? 16 : 2 * capacity;
      arrays.push_back(std::make_unique<std::atomic<Slot*>[]>(capacity));
      for (std::size_t i = 0; i < index; ++i) arrays.back()[i].store(all[i].get(), std::memory_order_relaxed);
      array.store(arrays.back().get(), std::memory_order_release);
    }
    array.load(std::memory_order_relaxed)[index].store(all[index].get(), std::memory_order_relaxed);
    count.store(index + 1, std::memory_order_seq_cst);  // as a push: see AnyWork
    return all[index].get();
  }

  void Release(Slot* slot) {
    slot->cpu_clock.store(0, std::memory_order_relaxed);
    MutexLock lock(mutex);
    free.push_back(slot);
  }
};

// The slots that this thread has, one for each pool it scheduled on; given back when it ends.
struct ThreadSlots {
  struct Entry {
    std::uint64_t pool;
    std::shared_ptr<SlotTable> table;
    Slot* slot;
  };
  ~ThreadSlots();
  std::vector<Entry> entries;
};

thread_local constinit std::uint64_t last_pool = 0;
thread_local constinit Slot* last_slot = nullptr;
thread_local constinit bool thread_slots_gone = false;
thread_local ThreadSlots thread_slots;

ThreadSlots::~ThreadSlots() {
  thread_slots_gone = true;
  last_pool = 0;
  for (Entry& entry : entries) entry.table->Release(entry.slot);
}

std::int64_t CpuNanoseconds(clockid_t clock) {
  timespec time;
  if (clock == 0 || clock_gettime(clock, &time) != 0) return -1;
  return time.tv_sec * std::int64_t{1'000'000'000} + time.tv_nsec;
}

// Whether the kernel says that the thread sleeps (S or D), rather than runs or waits for a processor (R).
bool SleepsInKernel(pid_t tid) {
  char path[64];
  std::snprintf(path, sizeof(path), "/proc/self/task/%d/stat", static_cast<int>(tid));
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return false;
  char text[256];
  const ssize_t size = read(file, text, sizeof(text));
  close(file);
  const std::string_view stat(text, size > 0 ? static_cast<std::size_t>(size) : 0);
  const std::size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 >= stat.size()) return false;
  const char state = stat[name_end + 2];
  return state == 'S' || state == 'D';
}

int UsableProcessors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return std::max(1, CPU_COUNT(&set));
  return std::max(1u, std::thread::hardware_concurrency());
}

class Pool final : public ThreadPool, public std::enable_shared_from_this<Pool> {
 public:
  Pool(const ThreadPoolOptions& options, Clock& clock)
      : places_(options.places > 0 ? options.places : UsableProcessors()),
        tick_(options.tick),
        id_(NextId()),
        clock_(clock),
        slots_(std::make_shared<SlotTable>()),
        free_places_(places_),
        most_threads_(std::max(options.max_threads, 1)),
        monitor_(*this) {}

  // --- Executor.

  bool Schedule(Runnable& work) override {
    if (stopping_.load(std::memory_order_relaxed)) return false;
    Slot& slot = ThisSlot();
    slot.deque.Push(&work);
    if (stopping_.load(std::memory_order_seq_cst)) return !slot.deque.PopIf(&work);
    NotifyWork();
    return true;
  }

  bool Unschedule(Runnable& work) override { return ThisSlot().deque.PopIf(&work); }

  bool TryEnter() override {
    if (PlaceIsWanted()) return false;
    Slot& slot = ThisSlot();
    slot.name.store(nullptr, std::memory_order_relaxed);
    slot.busy.store(true, std::memory_order_relaxed);
    LightFence();
    // Who stops the pool sees that this one is busy, or is seen here.
    if (!stopping_.load(std::memory_order_relaxed) && (TakeKept(slot) || EnterWithAnother(slot))) return true;
    SlotTable& table = *slots_;
    slot.busy.store(false, std::memory_order_release);
    table.HelperLeft();
    return false;
  }

  void Leave() override {
    Slot& slot = ThisSlot();
    SlotTable& table = *slots_;  // held by this thread too, since it has a slot: the pool may go as soon as it is told
    bool lent;
    {
      const BiasedLock::Section section(table.runs);
      lent = slot.run.load(std::memory_order_relaxed) & Slot::kLent;
      slot.NextRun(lent ? 0 : Slot::kKept);
      LightFence();
    }
    if (lent) {
      lent_.fetch_sub(1, std::memory_order_relaxed);
    } else if (work_waits_.load(std::memory_order_relaxed) || PlaceIsWanted()) {
      GiveKeptUp(slot);
    }
    slot.busy.store(false, std::memory_order_release);
    table.HelperLeft();
  }

  bool PlaceIsWanted() const override {
    return returners_.load(std::memory_order_relaxed) > 0 || stopping_.load(std::memory_order_relaxed);
  }

  absl::Status BeginBlocking() override {
    Slot& slot = ThisSlot();
    if (slot.worker.load(std::memory_order_relaxed)) {
      MutexLock lock(mutex_);
      if (threads_ >= most_threads_ && blocked_ + 1 >= threads_) {
        return MakeStatus(absl::StatusCode::kResourceExhausted, ErrorKind::kGeneric,
                          absl::StrCat("all ", threads_,
                                       " threads that the runtime may have (max_threads) wait: one more would hang"));
      }
      ++blocked_;
    }
    EndRun(slot);
    return absl::OkStatus();
  }

  void EndBlocking() override {
    TakePlace();
    Slot& slot = ThisSlot();
    BeginRun(slot);
    if (slot.worker.load(std::memory_order_relaxed)) {
      MutexLock lock(mutex_);
      --blocked_;
    }
  }

  bool stopping() const override { return stopping_.load(std::memory_order_relaxed); }

  // --- ThreadPool.

  std::vector<std::string> Stop(Time deadline) override;

  ThreadPoolStatistics Statistics() override {
    MutexLock lock(mutex_);
    return {.places = places_,
            .threads = threads_,
            .parked = static_cast<int>(parked_.size()),
            .blocked = blocked_,
            .lent = lent_.load(std::memory_order_relaxed)};
  }

 private:
  struct Returner {
    Parker& parker;
    std::atomic<bool> granted{false};
  };
  struct Monitor final : Timer {
    explicit Monitor(Pool& pool) : Timer([](Timer& timer) { static_cast<Monitor&>(timer).pool.Tick(); }), pool(pool) {}
    Pool& pool;
  };

  // How often an idle worker looks around before it parks, and how long it pauses in between, at most. Longer searches
  // make the next wake-up cheaper for the one who schedules, and take the processor from it; each look takes a cache
  // line from it.
  static constexpr int kSearchRounds = 10;
  static constexpr int kMostPauses = 256;

  static std::uint64_t NextId() {
    static std::atomic<std::uint64_t> next{1};
    return next.fetch_add(1, std::memory_order_relaxed);
  }

  Slot& ThisSlot() {
    if (last_pool == id_) [[likely]]
      return *last_slot;
    return FindSlot();
  }

  Slot& FindSlot() {
    Slot* slot = nullptr;
    if (thread_slots_gone) {
      // At exit, from handlers that run after the destructors of this thread's objects: nobody will give it back.
      slot = slots_->Acquire();
      slot->worker.store(false, std::memory_order_relaxed);
      last_pool = id_;
      last_slot = slot;
      return *slot;
    }
    std::vector<ThreadSlots::Entry>& entries = thread_slots.entries;
    for (std::size_t i = 0; i < entries.size();) {
      if (entries[i].pool == id_) slot = entries[i].slot;
      if (entries[i].table->closed.load(std::memory_order_acquire) && entries[i].pool != id_) {
        entries[i].table->Release(entries[i].slot);
        entries[i] = std::move(entries.back());
        entries.pop_back();
      } else {
        ++i;
      }
    }
    if (slot == nullptr) {
      slot = slots_->Acquire();
      slot->worker.store(false, std::memory_order_relaxed);
      slot->tid.store(static_cast<pid_t>(syscall(SYS_gettid)), std::memory_order_relaxed);
      clockid_t cpu_clock = 0;
      if (pthread_getcpuclockid(pthread_self(), &cpu_clock) == 0) {
        slot->cpu_clock.store(cpu_clock, std::memory_order_release);
      }
      entries.push_back({id_, slots_, slot});
    }
    last_pool = id_;
    last_slot = slot;
    return *slot;
  }

  // --- Places.

  bool TryTakePlace() {
    int free = free_places_.load(std::memory_order_relaxed);
    while (free > 0) {
      if (free_places_.compare_exchange_weak(free, free - 1, std::memory_order_seq_cst)) return true;
    }
    return false;
  }

  // For a thread that comes back from a wait: before any new work.
  void TakePlace() {
    if (TryTakePlace()) return;
    Returner returner{ThisThreadParker()};
    {
      MutexLock lock(mutex_);
      returning_.push_back(&returner);
      returners_.fetch_add(1, std::memory_order_seq_cst);
    }
    TakeKeptBack();
    if (TryTakePlace()) {
      bool granted_too = false;
      {
        MutexLock lock(mutex_);
        const auto at = std::find(returning_.begin(), returning_.end(), &returner);
        granted_too = at == returning_.end();
        if (!granted_too) {
          returning_.erase(at);
          returners_.fetch_sub(1, std::memory_order_seq_cst);
        }
      }
      if (granted_too) ReleasePlace();
      return;
    }
    if (AnyWork()) ArmMonitor();
    while (!returner.granted.load(std::memory_order_acquire)) returner.parker.Park();
  }

  // A run, or the next one. False: the place was lent meanwhile.
  bool BeginRun(Slot& slot) {
    const BiasedLock::Section section(slots_->runs);
    return !(slot.NextRun(Slot::kRunning) & Slot::kLent);
  }

  // Ends a run; the place may have been lent meanwhile.
  void EndRun(Slot& slot) {
    bool lent;
    {
      const BiasedLock::Section section(slots_->runs);
      lent = slot.NextRun(0) & Slot::kLent;
    }
    if (lent) {
      lent_.fetch_sub(1, std::memory_order_relaxed);
    } else {
      ReleasePlace();
    }
  }

  // --- Places that threads keep which are outside: a thread that waits for one task after the other would take a place
  // and give it back each time, in atomic steps. So it keeps it, and whoever finds no place that is free, says that he
  // wants one (work_waits_, returners_) and takes those back. A thread that leaves says that it keeps its place, and
  // then looks whether somebody wants one.

  bool TakeKept(Slot& slot) {
    const BiasedLock::Section section(slots_->runs);
    if (!(slot.run.load(std::memory_order_relaxed) & Slot::kKept)) return false;
    slot.NextRun(Slot::kRunning);
    return true;
  }

  bool EnterWithAnother(Slot& slot) {
    if (!TryTakePlace() && !(AnyKept() && TakeKeptBack(1) && TryTakePlace())) return false;
    BeginRun(slot);
    return true;
  }

  void GiveKeptUp(Slot& slot) {
    {
      const BiasedLock::Section section(slots_->runs);
      const std::uint64_t run = slot.run.load(std::memory_order_relaxed);
      if (!(run & Slot::kKept)) return;  // somebody took it
      slot.run.store(run & ~Slot::kKept, std::memory_order_relaxed);
    }
    ReleasePlace();
  }

  bool AnyKept() const {
    return AnySlot([](const Slot& slot) { return slot.run.load(std::memory_order_relaxed) & Slot::kKept; });
  }

  // Makes the places that threads keep, at most so many, free ones. False: there were none.
  bool TakeKeptBack(int most = std::numeric_limits<int>::max()) {
    int taken = 0;
    {
      const BiasedLock::Intrusion intrusion(slots_->runs);
      AnySlot([&](Slot& slot) {
        const std::uint64_t run = slot.run.load(std::memory_order_relaxed);
        if (run & Slot::kKept) {
          slot.run.store(run & ~Slot::kKept, std::memory_order_relaxed);
          ++taken;
        }
        return taken == most;
      });
      // Before another intrusion, which finds none kept any more, and must see them free.
      if (taken > 0) free_places_.fetch_add(taken, std::memory_order_seq_cst);
    }
    return taken > 0;
  }

  void ReleasePlace() {
    for (;;) {
      // A negative count is a debt: places lent for threads that woke up meanwhile.
      if (returners_.load(std::memory_order_seq_cst) > 0 && free_places_.load(std::memory_order_seq_cst) >= 0) {
        MutexLock lock(mutex_);
        if (!returning_.empty()) {
          Returner* const returner = returning_.front();
          returning_.erase(returning_.begin());
          returners_.fetch_sub(1, std::memory_order_seq_cst);
          Parker& parker = returner->parker;
          returner->granted.store(true, std::memory_order_release);
          parker.Unpark();
          return;
        }
      }
      free_places_.fetch_add(1, std::memory_order_seq_cst);
      if (returners_.load(std::memory_order_seq_cst) == 0 || !TryTakePlace()) break;
    }
    if (work_waits_.load(std::memory_order_seq_cst) && work_waits_.exchange(false, std::memory_order_seq_cst)) {
      NotifyWork();
    }
  }

  // --- Making sure that work is found.

  void NotifyWork() {
    while (!TryNotifyWork()) {
    }
  }

  // False: places were taken meanwhile; look again.
  bool TryNotifyWork() {
    if (searching_.load(std::memory_order_seq_cst) != 0) return true;
    if (!can_wake_.load(std::memory_order_seq_cst)) {
      // All there may be are at work or in waits; each looks around when it is done. One that comes back from a wait
      // may need the place of one that sleeps.
      if (returners_.load(std::memory_order_seq_cst) > 0) ArmMonitor();
      return true;
    }
    if (free_places_.load(std::memory_order_seq_cst) <= 0) {
      if (!work_waits_.load(std::memory_order_seq_cst)) {
        work_waits_.store(true, std::memory_order_seq_cst);
        TakeKeptBack();
      }
      if (free_places_.load(std::memory_order_seq_cst) <= 0) {
        ArmMonitor();
        return true;
      }
    }
    return WakeOrStart();
  }

  // False, and no effect: there is neither one to wake nor a place for one to start.
  bool WakeOrStart() {
    Slot* woken = nullptr;
    std::vector<std::thread> ended;
    {
      MutexLock lock(mutex_);
      const bool any_free = free_places_.load(std::memory_order_seq_cst) > 0;
      // Somebody else woke one meanwhile, or one came back: a worker gives its place up after it is counted.
      if (searching_.load(std::memory_order_seq_cst) != 0) return true;
      if (parked_.empty() && !any_free) return false;
      if (!parked_.empty()) {
        woken = parked_.back();
        parked_.pop_back();
        woken->woken.store(true, std::memory_order_relaxed);
        searching_.fetch_add(1, std::memory_order_seq_cst);
      } else if (threads_ - ending_ < most_threads_ && !stopping_.load(std::memory_order_relaxed)) {
        searching_.fetch_add(1, std::memory_order_seq_cst);
        ++threads_;
        ended.swap(ended_threads_);
        try {
          running_threads_.emplace_back([self = shared_from_this()] { self->Work(); });
        } catch (const std::system_error&) {  // the system has no thread to give: go on with those there are
          --threads_;
          searching_.fetch_sub(1, std::memory_order_seq_cst);
          most_threads_ = std::max(threads_, 1);
        }
      }
      NoteWhoCanWake();
    }
    if (woken != nullptr) woken->parker.Unpark();
    // Without the lock: what is thread-local in user code is destroyed now, and may do anything.
    for (std::thread& thread : ended) thread.join();
    return true;
  }

  // After each change of who is parked, or how many threads there are.
  void NoteWhoCanWake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const bool can_wake = !parked_.empty() || threads_ - ending_ < most_threads_;
    if (can_wake_.load(std::memory_order_relaxed) != can_wake) can_wake_.store(can_wake, std::memory_order_seq_cst);
  }

  // Whether `holds` says so of one; asks until then.
  template <class Holds>
  bool AnySlot(Holds holds) const {
    const std::size_t count = slots_->count.load(std::memory_order_seq_cst);
    const std::atomic<Slot*>* const array = slots_->array.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i) {
      if (holds(*array[i].load(std::memory_order_relaxed))) return true;
    }
    return false;
  }

  bool AnyWork() const {
    return AnySlot([](const Slot& slot) { return !slot.deque.Empty(); });
  }

  Runnable* StealAny(Slot& thief) {
    const std::size_t count = slots_->count.load(std::memory_order_acquire);
    const std::atomic<Slot*>* const array = slots_->array.load(std::memory_order_acquire);
    for (std::size_t i = 0; i < count; ++i) {
      const std::size_t from = (thief.steal_from + i) % count;
      if (Runnable* const work = array[from].load(std::memory_order_relaxed)->deque.Steal()) {
        thief.steal_from = static_cast<std::uint32_t>(from);  // where there was some there may be more
        return work;
      }
    }
    return nullptr;
  }

  // --- Workers.

  void Work() {
    Slot& slot = ThisSlot();
    slot.worker.store(true, std::memory_order_relaxed);
    GiveKeptUp(slot);  // that the thread left which had the slot before
    HeldPlace held{this, nullptr};
    held_places = &held;
    while (Runnable* work = Search(slot)) {
      bool has_place = true;
      do {
        const std::string_view name = work->ScheduledName();
        slot.name.store(name.data(), std::memory_order_relaxed);
        slot.name_size.store(name.size(), std::memory_order_relaxed);
        work->RunScheduled();
        has_place = BeginRun(slot) || RegainPlace(slot);
        if (!has_place || stopping() || returners_.load(std::memory_order_relaxed) > 0) break;
        work = Next(slot);
      } while (work != nullptr);
      slot.busy.store(false, std::memory_order_relaxed);
      searching_.fetch_add(1, std::memory_order_seq_cst);
      if (has_place) EndRun(slot);
    }
    held_places = nullptr;  // what the thread destroys now may wait
  }

  // The place was lent while the work slept; it may go on only with another.
  bool RegainPlace(Slot& slot) {
    lent_.fetch_sub(1, std::memory_order_relaxed);
    if (TryTakePlace()) return true;
    const BiasedLock::Section section(slots_->runs);
    if (slot.NextRun(0) & Slot::kLent) {
      // The monitor lent what was not there any more, for a thread that stood still right here.
      lent_.fetch_sub(1, std::memory_order_relaxed);
      free_places_.fetch_sub(1, std::memory_order_seq_cst);
    }
    return false;
  }

  Runnable* Next(Slot& slot) {
    // Now and then the oldest first, so that a thread that keeps feeding itself starves nobody.
    if (++slot.turn % 64 != 0) {
      if (Runnable* const work = slot.deque.Pop()) return work;
    }
    return StealAny(slot);
  }

  // Called counted in searching_; returns not counted, in a run. Null, and no place: the worker is to end.
  Runnable* Search(Slot& slot) {
    for (;;) {
      int pauses = 8;
      for (int round = 0; round < kSearchRounds && !stopping(); ++round) {
        if (free_places_.load(std::memory_order_relaxed) <= 0) break;
        if (Runnable* const work = StealAny(slot)) {
          // While it is counted: who pushes meanwhile would see a free place and nobody searching, and start a thread.
          if (!TryTakePlace()) {
            slot.deque.Push(work);
            break;
          }
          slot.busy.store(true, std::memory_order_relaxed);
          BeginRun(slot);
          if (searching_.fetch_sub(1, std::memory_order_seq_cst) == 1 && AnyWork()) NotifyWork();
          return work;
        }
        pauses = std::min(2 * pauses, kMostPauses);
        for (int i = 0; i < pauses; ++i) SpinPause();
      }
      if (!ParkSearching(slot)) return nullptr;
    }
  }

  // Called counted in searching_. True: counted again. False: the worker is to end, not counted.
  bool ParkSearching(Slot& slot) {
    bool needed = true;
    {
      MutexLock lock(mutex_);
      needed = !stopping_.load(std::memory_order_relaxed) && static_cast<int>(parked_.size()) < places_;
      if (needed) {
        parked_.push_back(&slot);
      } else {
        ++ending_;
      }
      NoteWhoCanWake();
    }
    if (!needed) {
      searching_.fetch_sub(1, std::memory_order_seq_cst);
      if (!stopping() && AnyWork()) NotifyWork();  // who pushed may have relied on this search
      MutexLock lock(mutex_);
      EndThisThread();
      return false;
    }
    searching_.fetch_sub(1, std::memory_order_seq_cst);
    if (AnyWork()) {
      const auto any_free = [this] { return free_places_.load(std::memory_order_seq_cst) > 0; };
      bool goes_on = any_free();
      if (!goes_on) {
        work_waits_.store(true, std::memory_order_seq_cst);
        TakeKeptBack();
        goes_on = any_free();
      }
      if (goes_on) {
        MutexLock lock(mutex_);
        const auto at = std::find(parked_.begin(), parked_.end(), &slot);
        if (at != parked_.end()) {
          parked_.erase(at);
          NoteWhoCanWake();
          searching_.fetch_add(1, std::memory_order_seq_cst);
          return true;
        }
      } else {
        ArmMonitor();
      }
    }
    while (!slot.woken.load(std::memory_order_acquire)) slot.parker.Park();
    slot.woken.store(false, std::memory_order_relaxed);
    return true;
  }

  void EndThisThread() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    --threads_;
    --ending_;
    NoteWhoCanWake();
    const auto self = std::find_if(running_threads_.begin(), running_threads_.end(), [](const std::thread& thread) {
      return thread.get_id() == std::this_thread::get_id();
    });
    if (self != running_threads_.end()) {
      ended_threads_.push_back(std::move(*self));
      running_threads_.erase(self);
    }
    if (threads_ == 0 && stopper_ != nullptr) stopper_->Unpark();
  }

  // --- The monitor: places for work that sleeps in user code. On the clock's thread.

  void ArmMonitor() {
    if (stopping()) return;
    if (monitor_armed_.load(std::memory_order_seq_cst) || monitor_armed_.exchange(true, std::memory_order_seq_cst))
      return;
    clock_.Arm(monitor_, SaturatingAdd(clock_.Now(), tick_));
    // Who stops the pool cancels it afterwards, or is seen here.
    if (stopping_.load(std::memory_order_seq_cst)) clock_.Cancel(monitor_);
  }

  void Tick() {
    if (stopping()) return;
    if (!AnyWork()) {
      monitor_armed_.store(false, std::memory_order_seq_cst);
      if (AnyWork()) ArmMonitor();
      return;
    }
    bool lent = false;
    AnySlot([&](Slot& slot) {
      lent |= LendIfAsleep(slot);
      return false;
    });
    if (lent || free_places_.load(std::memory_order_seq_cst) > 0) NotifyWork();
    clock_.Arm(monitor_, SaturatingAdd(clock_.Now(), tick_));
  }

  bool LendIfAsleep(Slot& slot) {
    const std::uint64_t run = slot.run.load(std::memory_order_acquire);
    if (!(run & Slot::kRunning)) {
      slot.seen_cpu = -1;
      return false;
    }
    const std::int64_t cpu = CpuNanoseconds(slot.cpu_clock.load(std::memory_order_acquire));
    const bool stood_still = cpu >= 0 && cpu == slot.seen_cpu && (run | Slot::kLent) == (slot.seen_run | Slot::kLent);
    slot.seen_cpu = cpu;
    slot.seen_run = run;
    if (run & Slot::kLent) {
      // It runs again: nobody else gets a place for it until somebody gives one up.
      if (!stood_still && ChangeRun(slot, run, run & ~Slot::kLent)) {
        free_places_.fetch_sub(1, std::memory_order_seq_cst);
        lent_.fetch_sub(1, std::memory_order_relaxed);
      }
      return false;
    }
    if (!stood_still || !SleepsInKernel(slot.tid.load(std::memory_order_relaxed))) return false;
    lent_.fetch_add(1, std::memory_order_relaxed);
    if (!ChangeRun(slot, run, run | Slot::kLent)) {
      lent_.fetch_sub(1, std::memory_order_relaxed);
      return false;
    }
    ReleasePlace();
    return true;
  }

  bool ChangeRun(Slot& slot, std::uint64_t from, std::uint64_t to) {
    const BiasedLock::Intrusion intrusion(slots_->runs);
    if (slot.run.load(std::memory_order_relaxed) != from) return false;
    slot.run.store(to, std::memory_order_relaxed);
    return true;
  }

  const int places_;
  const Duration tick_;
  const std::uint64_t id_;
  Clock& clock_;
  const std::shared_ptr<SlotTable> slots_;

  alignas(64) std::atomic<int> searching_{0};
  std::atomic<int> returners_{0};
  // Releasing a place must look for work. Who sets it takes kept places back afterwards; who keeps one looks at it.
  std::atomic<bool> work_waits_{false};
  std::atomic<bool> can_wake_{true};  // some worker is parked, or may be started; written under the mutex
  std::atomic<bool> stopping_{false};
  std::atomic<bool> monitor_armed_{false};
  alignas(64) std::atomic<int> free_places_;
  std::atomic<int> lent_{0};

  alignas(64) Mutex mutex_;
  std::vector<Slot*> parked_ ABSL_GUARDED_BY(mutex_);
  std::vector<Returner*> returning_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> running_threads_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::thread> ended_threads_ ABSL_GUARDED_BY(mutex_);
  int threads_ ABSL_GUARDED_BY(mutex_) = 0;
  int ending_ ABSL_GUARDED_BY(mutex_) = 0;    // of them, such as look for no more work
  int most_threads_ ABSL_GUARDED_BY(mutex_);  // the hard cap, or fewer when the system gave no more
  int blocked_ ABSL_GUARDED_BY(mutex_) = 0;
  Parker* stopper_ ABSL_GUARDED_BY(mutex_) = nullptr;
  Mutex stop_mutex_;  // one stops, others wait for it
  bool stopped_ ABSL_GUARDED_BY(stop_mutex_) = false;
  Monitor monitor_;
};

std::vector<std::string> Pool::Stop(Time deadline) {
  MutexLock one_at_a_time(stop_mutex_);
  if (std::exchange(stopped_, true)) return {};
  Parker& parker = ThisThreadParker();
  {
    MutexLock lock(slots_->mutex);
    slots_->stopper = &parker;
  }
  slots_->stopping.store(true, std::memory_order_seq_cst);
  stopping_.store(true, std::memory_order_seq_cst);
  HeavyFence();  // from here on outside threads see it, or are seen to be busy
  clock_.Cancel(monitor_);
  {
    MutexLock lock(mutex_);
    for (Slot* const slot : parked_) {
      searching_.fetch_add(1, std::memory_order_seq_cst);
      slot->woken.store(true, std::memory_order_release);
      slot->parker.Unpark();
    }
    parked_.clear();
    stopper_ = &parker;
  }
  const auto discard = [this] {
    AnySlot([](Slot& slot) {
      while (!slot.deque.Empty()) {
        if (Runnable* const work = slot.deque.Steal(/*at_once=*/true)) work->DiscardScheduled();
      }
      return false;
    });
  };
  const auto all_ended = [this] {
    if (slots_->AnyHelper()) return false;
    MutexLock lock(mutex_);
    return threads_ == 0;
  };
  for (;;) {
    discard();
    if (all_ended()) break;
    clock_.ParkUntil(parker, deadline);
    if (deadline != kNever && clock_.Now() >= deadline) break;
  }
  discard();  // what a worker put back as it ended
  clock_.Cancel(monitor_);

  std::vector<std::string> abandoned;
  bool threads_left = false;
  std::vector<std::thread> ended;
  {
    MutexLock lock(mutex_);
    stopper_ = nullptr;
    ended.swap(ended_threads_);
    threads_left = threads_ != 0;
    for (std::thread& thread : running_threads_) thread.detach();
    running_threads_.clear();
  }
  for (std::thread& thread : ended) thread.join();
  MutexLock lock(slots_->mutex);
  slots_->stopper = nullptr;
  slots_->closed.store(true, std::memory_order_release);
  const bool helpers_left = slots_->AnyHelper();
  if (helpers_left) slots_->kept_pool = shared_from_this();
  if (!helpers_left && !threads_left) return abandoned;
  for (const std::unique_ptr<Slot>& slot : slots_->all) {
    if (!slot->busy.load(std::memory_order_acquire)) continue;
    const char* const name = slot->name.load(std::memory_order_relaxed);
    abandoned.emplace_back(name != nullptr ? std::string(name, slot->name_size.load(std::memory_order_relaxed))
                                           : "work of an outside thread");
  }
  return abandoned;
}

}  // namespace

std::shared_ptr<ThreadPool> MakeThreadPool(const ThreadPoolOptions& options, Clock& clock) {
  auto pool = std::make_shared<Pool>(options, clock);
  Pool* const raw = pool.get();
  // Workers keep the pool's memory; the last user's handle stops them.
  return std::shared_ptr<ThreadPool>(raw, [pool = std::move(pool)](ThreadPool* stopped) { stopped->Stop(kNever); });
}

}  // namespace rustyray::core
