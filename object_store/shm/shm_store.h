// ShmStore: objects in shared memory, read in place by all processes of a user on this machine. Usable by itself; for
// refs, use the object store over it (shm_object_store.h).
//
// An object is bytes with a type, under an id: created with its size, written in place by its creator, then sealed (it
// never changes again) or aborted. Readers get it in place, pinned while they hold it. There is no server: all is done
// in the caller, and a process may be killed at any instruction without harm to the others.
// Cache objects stay until they are deleted, or evicted for room, least recently used first, when nobody has them
// pinned. Owned objects are not evicted; they go when their creator's process ends.
// A store goes when its last process does, unless it was made to be kept. Names are the user's; others cannot open it.
// Threads: all methods, any thread. Lifetime: what was handed out keeps the mapping. After a fork the child must open
// the store itself; what it inherited may be dropped, not used.
// Errors: NotFound, AlreadyExists, InvalidArgument, PermissionDenied, ResourceExhausted (kStoreFull), DeadlineExceeded
// (kTimeout), DataLoss (damaged memory), Unavailable (a stopped process stands in the way; after 4 s).
#ifndef RUSTYRAY_OBJECT_STORE_SHM_SHM_STORE_H_
#define RUSTYRAY_OBJECT_STORE_SHM_SHM_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/codec.h"
#include "core/id.h"
#include "core/type_info.h"
#include "object_store/object_store.h"

namespace rustyray::object_store {

namespace shm {
class Segment;
struct SegmentObject;
}  // namespace shm

// As of other stores, and no more than a segment can have, 100 GiB.
std::size_t DefaultShmStoreLimit();

struct ShmStoreOptions {
  // Empty: a random name, for this process and whom it tells.
  std::string name = {};
  // A directory of a file system in memory.
  std::string directory = "/dev/shm";
  // Bytes of all objects, each rounded up to 64; never exceeded. At least 64.
  std::size_t limit_bytes = DefaultShmStoreLimit();
  // 0: one for each 256 bytes of the limit, from 1024 to 1048576. About as many: ids spread by chance.
  std::size_t max_objects = 0;
  // Whether it stays when the last process is gone, until it is removed.
  bool keep = false;
};

// What the bytes of an object are. Readers ask for a type and get it, or an error.
struct ShmType {
  std::string_view name = "bytes";
  std::uint64_t fingerprint = 0;
  std::size_t align = 1;  // bytes, a power of two up to 64
  // An array of E, as a std::vector<E> put into an object store is.
  template <class E>
  static ShmType ArrayOf() {
    static_assert(std::is_trivially_copyable_v<E>, "only trivially copyable elements lie in place");
    static_assert(alignof(E) <= 64);
    const core::TypeInfo& type = core::TypeInfoOf<std::vector<E>>();
    return {.name = type.name, .fingerprint = type.fingerprint, .align = alignof(E)};
  }
};

struct ShmPutOptions {
  Lifetime lifetime = Lifetime::kCache;
  // Computed when it is sealed; see ShmObject::Verify. Costs one read of the bytes.
  bool checksum = false;
};

// A sealed object, pinned while this lives. Movable.
class ShmObject {
 public:
  ShmObject();
  ShmObject(ShmObject&&) noexcept;
  ShmObject& operator=(ShmObject&&) noexcept;
  ~ShmObject();

  explicit operator bool() const { return segment_ != nullptr; }
  const core::ObjectId& id() const { return id_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }
  std::string type_name() const;
  std::uint64_t fingerprint() const { return fingerprint_; }
  // Its elements where they lie. InvalidArgument (kTypeMismatch) naming both types, if it is another type's.
  template <class E>
  absl::StatusOr<std::span<const E>> As() const {
    if (absl::Status status = CheckType(ShmType::ArrayOf<E>(), sizeof(E)); !status.ok()) return status;
    return std::span<const E>(reinterpret_cast<const E*>(data_), size_ / sizeof(E));
  }
  // Whether the bytes are those it was sealed with: DataLoss if not, FailedPrecondition if it has no checksum.
  absl::Status Verify() const;
  // The same, shared; the last copy unpins it.
  static std::shared_ptr<const std::byte> Share(ShmObject object);

 private:
  friend class ShmStore;
  friend class ShmWriter;
  absl::Status CheckType(const ShmType& expected, std::size_t element) const;
  std::shared_ptr<shm::Segment> segment_;
  core::ObjectId id_;
  std::uint32_t entry_ = 0;
  std::uint32_t generation_ = 0;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::uint64_t fingerprint_ = 0;
};

// An object being written, by this process alone. Unless it is sealed it is aborted when this goes, or the process.
class ShmWriter {
 public:
  ShmWriter(ShmWriter&&) noexcept;
  ShmWriter& operator=(ShmWriter&&) = delete;
  ~ShmWriter();

  // Where to write. 64-byte aligned; the memory has any content at first.
  std::span<std::byte> bytes() { return {data_, size_}; }
  // Makes it immutable and findable, and tells who waits for it.
  absl::StatusOr<ShmObject> Seal() &&;
  absl::Status Abort() &&;

 private:
  friend class ShmStore;
  ShmWriter() = default;
  struct State;
  std::unique_ptr<State> state_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

struct ShmObjectInfo {
  core::ObjectId id;
  std::size_t size = 0;
  std::string type_name;
  bool sealed = false;
  Lifetime lifetime = Lifetime::kCache;
  int pinned_by = 0;  // processes
};

// Bytes in units of 64, as the limit counts them. At rest the numbers are exact.
struct ShmStatistics {
  std::size_t limit_bytes = 0;
  std::size_t objects = 0;  // sealed
  std::size_t bytes = 0;
  std::size_t being_written = 0;
  std::size_t deleted_but_pinned = 0;
  std::size_t deleted_but_pinned_bytes = 0;
  std::size_t free_bytes = 0;
  std::size_t largest_hole = 0;
  std::uint64_t evictions = 0;
  std::uint64_t recoveries = 0;  // after deaths of processes, or for room
  std::uint64_t lost = 0;        // objects given up because shared memory was damaged
  std::vector<std::uint32_t> pids;
};

class ShmStore {
 public:
  // Makes a new one. AlreadyExists.
  static absl::StatusOr<ShmStore> Create(const ShmStoreOptions& options);
  // Opens one that exists; its own limits hold. NotFound.
  static absl::StatusOr<ShmStore> Open(std::string_view name, std::string_view directory = "/dev/shm");
  static absl::StatusOr<ShmStore> OpenOrCreate(const ShmStoreOptions& options);
  // Takes the name away, at once; who has it open goes on, alone.
  static absl::Status Remove(std::string_view name, std::string_view directory = "/dev/shm");
  static std::vector<std::string> Names(std::string_view directory = "/dev/shm");

  const std::string& name() const { return name_; }
  std::size_t limit_bytes() const;

  absl::StatusOr<ShmWriter> Create(const core::ObjectId& id, std::size_t size, const ShmType& type = {},
                                   const ShmPutOptions& options = {});
  // Create, copy and seal.
  absl::StatusOr<ShmObject> Put(const core::ObjectId& id, std::span<const std::byte> bytes, const ShmType& type = {},
                                const ShmPutOptions& options = {});
  absl::StatusOr<ShmObject> Get(const core::ObjectId& id);
  // Sleeps until it is sealed, by any process, or the deadline (of std::chrono::steady_clock).
  absl::StatusOr<ShmObject> Wait(const core::ObjectId& id, core::Time deadline = core::kNever);
  bool Contains(const core::ObjectId& id);
  // Nobody finds it any more; its bytes go when nobody has it pinned.
  absl::Status Delete(const core::ObjectId& id);
  absl::StatusOr<std::vector<ShmObjectInfo>> List();
  absl::StatusOr<ShmStatistics> Statistics();
  // Gives back at once what processes that died had: what they wrote, pinned and owned. It happens by itself, too, when
  // a store is opened, is full, or is looked at with Statistics, and when a lock is found held by the dead.
  absl::Status ReclaimDead();
  // To watch a store: take a token, look, then sleep until something changes after the token was taken.
  std::uint32_t WatchToken();
  void AwaitChange(std::uint32_t token, core::Time deadline = core::kNever);

 private:
  ShmStore(std::string name, std::shared_ptr<shm::Segment> segment);
  static absl::StatusOr<ShmStore> Attach(const ShmStoreOptions& options, int mode);
  ShmObject Wrap(const shm::SegmentObject& object) const;

  std::string name_;
  std::shared_ptr<shm::Segment> segment_;
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_SHM_SHM_STORE_H_
