// Segment: the objects of one shared segment, as one process sees it: their entries, ids, blocks and pins. Internal to
// //object_store/shm; shm_store.h is what users see.
//
// Invariants:
//   - An entry goes free -> creating -> sealed -> condemned -> free (or back to free when it is aborted, or when it
//   goes
//     unpinned). Its fixed words are written before it leaves `free` and stay until it is free again.
//   - Each process counts its pins of an entry in a row of its own. Who pins looks at the state afterwards, who
//   condemns
//     looks at the pins afterwards (both sequentially consistent), so that a block is given back only when nobody has
//     it pinned, and nobody pins what was given back. Whoever drops the last pin of a condemned entry frees it.
//   - A dead process's row counts no more once its slot is free: nothing has to be undone for its pins.
// Threads: all methods, any thread. Lifetime: kept by shared_ptr from everything that was handed out.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_SEGMENT_H_
#define RUSTYRAY_OBJECT_STORE_SHM_SEGMENT_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/id.h"
#include "core/mutex.h"
#include "object_store/shm/block_heap.h"
#include "object_store/shm/exposure.h"
#include "object_store/shm/gate.h"
#include "object_store/shm/layout.h"
#include "object_store/shm/segment_file.h"

namespace rustyray::object_store::shm {

// What is known of an object, beside its bytes.
struct SegmentObject {
  core::ObjectId id;
  std::uint32_t entry = kNoEntry;
  std::uint32_t generation = 0;
  EntryFields fields;
  EntryState state = EntryState::kFree;
};

class Segment {
 public:
  enum class Lifetime : std::uint8_t { kCache = 1, kOwned = 2 };
  using Object = SegmentObject;
  struct Wanted {
    core::ObjectId id;
    std::size_t size = 0;
    std::string_view type_name;
    std::uint64_t fingerprint = 0;
    std::size_t align = 1;
    Lifetime lifetime = Lifetime::kCache;
  };
  struct Totals {
    std::size_t objects = 0, bytes = 0;  // sealed
    std::size_t creating = 0;            // objects
    std::size_t condemned = 0, condemned_bytes = 0;
    std::size_t free_bytes = 0, largest_hole = 0;
    std::uint64_t evictions = 0, recoveries = 0, lost = 0;
    std::vector<std::uint32_t> pids;  // of the processes that have it
  };

  // Announces this process in its slot, after recovering what the slot's last process left.
  static absl::StatusOr<std::shared_ptr<Segment>> Make(std::unique_ptr<SegmentFile> file);
  ~Segment();

  SegmentFile& file() { return *file_; }

  // A new entry in state creating. Errors: AlreadyExists, ResourceExhausted, InvalidArgument.
  absl::StatusOr<Object> Create(const Wanted& wanted);
  // Seals it, pinned once for the caller.
  absl::Status Seal(Object& object, bool with_checksum);
  absl::Status Abort(const Object& object);
  // The sealed object, pinned once. NotFound; DataLoss for a damaged entry.
  absl::StatusOr<Object> Get(const core::ObjectId& id);
  // Waits until it is there.
  absl::StatusOr<Object> Await(const core::ObjectId& id, core::Time deadline);
  void Unpin(std::uint32_t entry);
  bool Contains(const core::ObjectId& id);
  absl::Status Delete(const core::ObjectId& id);
  // The same of an object that the caller has pinned. OK if it was deleted already.
  absl::Status DeleteEntry(std::uint32_t entry);
  // What an object takes of the limit.
  static std::size_t BlockBytes(std::size_t size, std::size_t name_size);
  // All that are sealed or being created.
  absl::StatusOr<std::vector<Object>> List();
  absl::StatusOr<Totals> Measure();
  // To watch: take a token, look at what there is, then sleep until something is sealed or deleted after the token was
  // taken, or the deadline; then begin anew. May return early.
  std::uint32_t WatchToken() { return PrepareEventWait(header_.changes); }
  void AwaitChange(std::uint32_t token, core::Time deadline) { FutexWait(header_.changes.word, token, deadline); }
  // Gives back what processes that died had. True if there were any. Unavailable if someone stops it.
  absl::StatusOr<bool> ReclaimDead();
  // Makes all that is derived anew, as after a death.
  absl::Status RebuildNow() { return Recover(false, header_.epoch.load(std::memory_order_acquire)); }

  char* PayloadOf(const Object& object) const { return arena_ + std::size_t{object.fields.unit} * kUnit; }
  // Of an entry that is pinned; others' may be another's, or damaged.
  std::string TypeNameOf(std::uint32_t entry) const;
  // Against the checksum that it was sealed with. DataLoss; FailedPrecondition if it has none.
  absl::Status VerifyPayload(const core::ObjectId& id, std::uint32_t entry, std::string_view payload) const;
  void Touch(const Object& object);
  // How many processes have it pinned.
  int PinnedBy(std::uint32_t entry) const;

 private:
  // Blocks that this process keeps at hand, so that small objects do not meet at the heap's lock. They are forgotten
  // when a recovery made the heap anew.
  struct Magazine {
    static constexpr std::uint32_t kMostUnits = 16;
    core::Mutex mutex;
    std::uint32_t epoch ABSL_GUARDED_BY(mutex) = 0;
    std::array<std::vector<std::uint32_t>, kMostUnits + 1> blocks ABSL_GUARDED_BY(mutex);
  };
  // Who may be evicted, oldest last, as seen some time ago.
  struct Victim {
    std::uint64_t recency;
    std::uint32_t entry;
    std::uint32_t generation;
  };
  struct Found {
    std::uint32_t entry = kNoEntry;
    EntryWord word;
  };

  // Where the heap gets its pages.
  class HeapPages final : public BlockHeap::Pages {
   public:
    HeapPages(SegmentFile& file, Exposure& exposure) : file_(file), exposure_(exposure) {}
    bool ReserveTags(std::uint32_t from, std::uint32_t to) override;
    bool ReserveUnits(std::uint32_t from, std::uint32_t to) override;

   private:
    SegmentFile& file_;
    Exposure& exposure_;
  };

  explicit Segment(std::unique_ptr<SegmentFile> file);
  void Announce();
  void CondemnOwned();

  // Runs `operation` inside the gate until it is kDone, recovering when it must. Unavailable when it cannot.
  absl::Status Run(absl::FunctionRef<Step()> operation);
  absl::Status Stuck() const;
  absl::Status Recover(bool inherited, std::uint32_t epoch_seen);
  void Rebuild(bool inherited);

  // The block of an object, which its writer and its readers may touch.
  void Expose(Block block) const;
  void Conceal(Block block) const;
  std::uint64_t HashOf(const core::ObjectId& id) const;
  std::uint32_t ShardOf(std::uint64_t hash) const { return static_cast<std::uint32_t>(hash) & (geometry_.shards - 1); }
  std::atomic<std::uint32_t>& BucketOf(std::uint64_t hash) const;
  Shard& shard(std::uint32_t number) const { return shards_[number]; }
  Entry& entry(std::uint32_t number) const { return entries_[number]; }
  // Without its page a bucket is empty; it must not be written then.
  bool HasPage(const std::atomic<std::uint32_t>& bucket) const;
  bool EntryIsUsable(std::uint32_t number) const;

  // The entry with that id in its chain, or none; a look without a lock may miss one while the chain changes.
  Step Walk(const core::ObjectId& id, std::uint64_t hash, Found& found) const;
  // The same, sure of what it says.
  Step Find(const core::ObjectId& id, std::uint64_t hash, Found& found);
  std::optional<EntryFields> ReadFields(std::uint32_t number) const;
  std::uint64_t FieldsChecksum(std::uint32_t number, const std::array<std::uint64_t, 7>& fixed) const;
  void WriteFields(std::uint32_t number, const Wanted& wanted, Block block);

  // Under the shard's lock.
  Step TakeEntry(std::uint32_t shard, std::uint32_t& number, bool& no_pages);
  Step Unlink(std::uint32_t number, std::uint64_t hash);
  void FreeEntry(std::uint32_t number, EntryWord was);

  std::atomic<std::uint32_t>& PinsOf(std::uint32_t slot, std::uint32_t number) const;
  bool Pin(std::uint32_t number);
  bool DropPin(std::uint32_t number);
  bool IsPinned(std::uint32_t number) const;
  // Takes a sealed entry away from those who look for it; frees it unless it is pinned. With `unless_pinned`, does
  // nothing to a pinned one, or to one used since `recency`.
  Step Condemn(std::uint32_t number, std::uint32_t generation, const std::uint64_t* unless_used_since, bool& gone);
  void Drop(std::uint32_t number);
  void FreeIfCondemned(std::uint32_t number);

  BlockHeap Heap();
  Step TakeBlock(std::uint32_t units, Block& block, BlockHeap::Result& result);
  Step TakeSmallBlock(std::uint32_t units, Block& block, BlockHeap::Result& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(magazine_.mutex);
  void ForgetOldBlocks() ABSL_EXCLUSIVE_LOCKS_REQUIRED(magazine_.mutex);
  void GiveBlock(Block block, bool to_heap);
  Step EmptyMagazine();
  // Makes room for an entry, and for a block if that is what lacks. False: there is nothing that may go.
  absl::StatusOr<bool> MakeRoom(std::uint32_t units, bool lacks_block, bool lacks_pages, int round);
  bool EvictOne();
  void FindVictims() ABSL_EXCLUSIVE_LOCKS_REQUIRED(victims_mutex_);
  absl::Status NoRoom(const Wanted& wanted, BlockHeap::Result why);

  const std::unique_ptr<SegmentFile> file_;
  const Geometry geometry_;
  SegmentHeader& header_;
  Shard* const shards_;
  std::atomic<std::uint32_t>* const buckets_;
  Entry* const entries_;
  char* const arena_;
  const std::uint64_t key_;
  const std::uint32_t slot_;
  const std::uint32_t magazine_depth_;
  std::uint32_t slot_generation_ = 0;
  std::atomic<bool> has_owned_{false};
  HeapPages heap_pages_;
  Gate gate_;
  mutable Exposure exposure_;
  Magazine magazine_;
  core::Mutex victims_mutex_;
  std::vector<Victim> victims_ ABSL_GUARDED_BY(victims_mutex_);
  std::size_t victims_found_ ABSL_GUARDED_BY(victims_mutex_) = 0;  // by the last search
  std::size_t victims_taken_ ABSL_GUARDED_BY(victims_mutex_) = 0;  // of them, evicted by this process
  // Of the entries one in so many is searched for.
  static constexpr std::size_t kSmallestPart = 16, kLargestPart = 2;
  std::size_t victims_part_ ABSL_GUARDED_BY(victims_mutex_) = kSmallestPart;
};

}  // namespace rustyray::object_store::shm

#endif  // RUSTYRAY_OBJECT_STORE_SHM_SEGMENT_H_
