// SegmentFile: the file in shared memory that a segment lies in: made, found, checked, mapped, and removed when the
// last process is gone. Internal to //object_store/shm.
//
// Who lives is known by locks of ranges of the file (open file description locks): the kernel drops them when the
// process ends, however it ends, whatever its pid or namespace. One byte, far behind the end, is each slot's; one more
// is held by whoever attaches, detaches or cleans up.
// Lifetime: mapped until destroyed. After a fork the child's copy is no owner: `forked()` is true there, its descriptor
// is closed, and it must not write.
// Threads: all methods, any thread.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_SEGMENT_FILE_H_
#define RUSTYRAY_OBJECT_STORE_SHM_SEGMENT_FILE_H_

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "object_store/shm/layout.h"

namespace rustyray::object_store::shm {

// Where a named store lies. Names are 1 to 200 of letters, digits, '.', '_' and '-'; InvalidArgument for others.
absl::StatusOr<std::string> SegmentPath(std::string_view directory, std::string_view name);

class SegmentFile {
 public:
  static constexpr core::Duration kPatience = std::chrono::seconds(4);
  struct Found {
    std::unique_ptr<SegmentFile> file;
    bool created = false;
  };
  enum class Mode : std::uint8_t { kCreate, kOpen, kOpenOrCreate };
  struct Request {
    std::string path;
    Mode mode = Mode::kOpenOrCreate;
    Geometry geometry = {};  // of a segment to be made
    bool keep = false;
    // How long to wait for a process that lives but does not go on. Another one in tests only.
    core::Duration patience = kPatience;
  };
  // Opens or makes it, and takes a slot. Leftovers of stores in the same directory whose processes are all gone are
  // removed. Errors: NotFound, AlreadyExists, PermissionDenied, FailedPrecondition (another layout, not a segment),
  // ResourceExhausted (no pages; all slots taken), Unavailable (the system's own error).
  static absl::StatusOr<Found> Attach(const Request& request);
  // Removes the file of a store, in use or not; those who have it go on. NotFound, PermissionDenied.
  static absl::Status Remove(const std::string& path);
  // Names of the segments in `directory` that this user owns.
  static std::vector<std::string> Names(const std::string& directory);

  // Gives up the slot, and removes the file if nobody else has it and it is not to be kept. What is not destroyed when
  // the process exits is removed then, and stays mapped.
  ~SegmentFile();
  SegmentFile(const SegmentFile&) = delete;
  SegmentFile& operator=(const SegmentFile&) = delete;

  const Geometry& geometry() const { return geometry_; }
  std::uint64_t key() const { return key_; }
  bool keep() const { return keep_; }
  core::Duration patience() const { return patience_; }
  // For messages: "4 s".
  std::string PatienceText() const;
  char* base() const { return base_; }
  SegmentHeader& header() const { return *reinterpret_cast<SegmentHeader*>(base_); }
  std::uint32_t slot() const { return slot_; }
  const std::string& path() const { return path_; }
  bool forked() const { return forked_.load(std::memory_order_relaxed); }

  // Whether the process that took `slot` lives, whatever the segment says: one system call.
  bool SlotIsHeld(std::uint32_t slot) const;
  // Makes sure that [offset, offset + size), not empty and before the arena, has pages; false: the file system is full.
  // Free when it was asked before by this process.
  bool Reserve(std::uint64_t offset, std::uint64_t size);
  // The same, not remembered: for the arena.
  bool Allocate(std::uint64_t offset, std::uint64_t size) const;
  // Calls `visit(offset, size)` for the pages within [offset, offset + size) that exist.
  void VisitPages(std::uint64_t offset, std::uint64_t size,
                  absl::FunctionRef<void(std::uint64_t offset, std::uint64_t size)> visit) const;

 private:
  explicit SegmentFile(const Request& request) : path_(request.path), patience_(request.patience) {}
  absl::Status Make(const Request& request);
  absl::Status OpenThere(const Request& request);
  // The lock of those who attach, detach or clean up. Held for microseconds; whoever holds it may be stopped, so
  // patience ends.
  absl::Status LockAttach() const;
  absl::Status Map();
  absl::Status TakeSlot();
  // Unless somebody has it beside this and `besides`, or it is to be kept.
  void RemoveUnlessUsed(std::span<SegmentFile* const> besides) const;
  static void RemoveAllAtExit();
  bool ReserveAround(std::uint64_t page);
  static void RemoveLeftovers(const std::string& directory, const std::string& except);
  // Around a fork.
  static void LockAll();
  static void UnlockAll();
  static void CloseAllInChild();

  const std::string path_;
  int fd_ = -1;
  char* base_ = nullptr;
  Geometry geometry_;
  std::uint64_t key_ = 0;
  bool keep_ = false;
  const core::Duration patience_;
  std::uint32_t slot_ = kSlots;
  std::atomic<bool> forked_{false};
  std::unique_ptr<std::atomic<std::uint64_t>[]> reserved_;  // a bit a page, of all parts before the arena
};

}  // namespace rustyray::object_store::shm

#endif  // RUSTYRAY_OBJECT_STORE_SHM_SEGMENT_FILE_H_
