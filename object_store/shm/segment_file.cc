#include "object_store/shm/segment_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "core/id.h"
#include "core/mutex.h"
#include "object_store/shm/failure.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

namespace rustyray::object_store::shm {
namespace {

constexpr std::string_view kPrefix = "rustyray.";
// Bytes of the file that locks name: nothing is ever stored there.
constexpr off_t kSlotLocks = off_t{1} << 60;
constexpr off_t kAttachLock = kSlotLocks - 1;

// What the system said, for `what` that failed.
absl::Status SystemError(int error, std::string_view what) {
  absl::StatusCode code = absl::StatusCode::kUnavailable;
  if (error == ENOENT || error == ENOTDIR) code = absl::StatusCode::kNotFound;
  if (error == EEXIST) code = absl::StatusCode::kAlreadyExists;
  if (error == EACCES || error == EPERM || error == EROFS || error == ELOOP) code = absl::StatusCode::kPermissionDenied;
  if (error == ENOSPC || error == ENOMEM || error == EMFILE || error == ENFILE || error == EDQUOT || error == EFBIG) {
    code = absl::StatusCode::kResourceExhausted;
  }
  return Failure(code, absl::StrCat(std::string(what), ": ", std::strerror(error)));
}

struct flock Range(short type, off_t begin, off_t length) {
  struct flock range = {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = begin;
  range.l_len = length;
  return range;
}

bool TryLock(int fd, off_t byte) {
  struct flock range = Range(F_WRLCK, byte, 1);
  return fcntl(fd, F_OFD_SETLK, &range) == 0;
}

void Unlock(int fd, off_t byte) {
  struct flock range = Range(F_UNLCK, byte, 1);
  fcntl(fd, F_OFD_SETLK, &range);
}

// Whether somebody else has a lock in the range. If the system cannot tell: yes.
bool OthersHold(int fd, off_t begin, off_t length) {
  struct flock range = Range(F_WRLCK, begin, length);
  return fcntl(fd, F_OFD_GETLK, &range) != 0 || range.l_type != F_UNLCK;
}

bool SameFile(int fd, const std::string& path) {
  struct stat of_fd = {};
  struct stat of_path = {};
  return fstat(fd, &of_fd) == 0 && lstat(path.c_str(), &of_path) == 0 && of_fd.st_ino == of_path.st_ino &&
         of_fd.st_dev == of_path.st_dev;
}

std::string DirectoryOf(const std::string& path) { return path.substr(0, path.rfind('/')); }

absl::StatusOr<SegmentHeader::Fixed> ReadHeader(int fd, const std::string& path) {
  SegmentHeader::Fixed fixed;
  const ssize_t got = pread(fd, &fixed, sizeof(fixed), 0);
  if (got < 0) return SystemError(errno, absl::StrCat("cannot read ", path));
  if (static_cast<std::size_t>(got) < sizeof(fixed) || fixed.magic != kMagic) {
    return Failure(absl::StatusCode::kFailedPrecondition, absl::StrCat(path, " is not a shared-memory store"));
  }
  if (fixed.version != kLayoutVersion) {
    return Failure(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat("the shared-memory store ", path, " has layout version ", fixed.version,
                                ", this program reads version ", kLayoutVersion,
                                ": end the programs that use it and remove the file, or choose another name"));
  }
  if (fixed.checksum == HeaderChecksum(fixed) && fixed.layout != LayoutHash()) {
    return Failure(
        absl::StatusCode::kFailedPrecondition,
        absl::StrCat("the shared-memory store ", path, " was made by a program with another layout of version ",
                     fixed.version, ": end the programs that use it and remove the file, or choose another name"));
  }
  if (fixed.checksum != HeaderChecksum(fixed)) {
    return Failure(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat("the header of the shared-memory store ", path, " is damaged"));
  }
  return fixed;
}

// Segments of this process, for the child of a fork.
struct Registry {
  core::Mutex mutex;
  std::vector<SegmentFile*> all ABSL_GUARDED_BY(mutex);
};
Registry& TheRegistry() {
  static Registry* const registry = new Registry;
  return *registry;
}

}  // namespace

absl::StatusOr<std::string> SegmentPath(std::string_view directory, std::string_view name) {
  const bool fits = !name.empty() && name.size() <= 200 && std::all_of(name.begin(), name.end(), [](char c) {
    return ('a' <= c && c <= 'z') || ('A' <= c && c <= 'Z') || ('0' <= c && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
  if (!fits) {
    return Failure(absl::StatusCode::kInvalidArgument,
                   absl::StrCat("a shared-memory store cannot be named \"", std::string(name),
                                "\": a name has 1 to 200 letters, digits, '.', '_' and '-'"));
  }
  return absl::StrCat(std::string(directory), "/", std::string(kPrefix), std::string(name));
}

std::string SegmentFile::PatienceText() const {
  return absl::StrCat(std::chrono::duration<double>(patience_).count(), " s");
}

absl::Status SegmentFile::LockAttach() const {
  const auto until = std::chrono::steady_clock::now() + patience_;
  while (!TryLock(fd_, kAttachLock)) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
      return SystemError(errno, absl::StrCat("cannot lock the shared-memory store ", path_));
    }
    if (std::chrono::steady_clock::now() >= until) {
      return Failure(
          absl::StatusCode::kUnavailable,
          absl::StrCat("the shared-memory store ", path_, " is being attached by a process that has not gone on for ",
                       PatienceText(), " (is it stopped?)"));
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return absl::OkStatus();
}

absl::StatusOr<SegmentFile::Found> SegmentFile::Attach(const Request& request) {
  RemoveLeftovers(DirectoryOf(request.path), request.path);
  // Each time round somebody else made or removed it meanwhile.
  constexpr int kMostRounds = 100;
  for (int round = 0; round < kMostRounds; ++round) {
    std::unique_ptr<SegmentFile> file(new SegmentFile(request));
    if (request.mode != Mode::kCreate) {
      absl::Status status = file->OpenThere(request);
      if (status.ok()) return Found{std::move(file), false};
      if (absl::IsAborted(status)) continue;
      if (!absl::IsNotFound(status) || request.mode == Mode::kOpen) return status;
      file.reset(new SegmentFile(request));
    }
    absl::Status status = file->Make(request);
    if (status.ok()) return Found{std::move(file), true};
    if (!absl::IsAlreadyExists(status)) return status;
    if (request.mode == Mode::kCreate) {
      // What nobody uses is a leftover: opening it removes it.
      SegmentFile probe(request);
      const absl::Status there = probe.OpenThere(request);
      if (there.ok() || !(absl::IsNotFound(there) || absl::IsAborted(there))) return status;
    }
  }
  return Failure(absl::StatusCode::kUnavailable, absl::StrCat("the shared-memory store ", request.path,
                                                              " was made and removed by others all the time"));
}

absl::Status SegmentFile::Make(const Request& request) {
  const std::string directory = DirectoryOf(path_);
  // Nobody can find it before it is complete: it gets its name last.
  fd_ = open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd_ < 0) return SystemError(errno, absl::StrCat("cannot make a shared-memory store in ", directory));
  geometry_ = request.geometry;
  keep_ = request.keep;
  const core::ObjectId random = core::ObjectId::Random();
  key_ = std::hash<core::ObjectId>{}(random) | 1;
  if (fchmod(fd_, 0600) != 0 || ftruncate(fd_, static_cast<off_t>(geometry_.segment_bytes)) != 0) {
    return SystemError(errno, absl::StrCat("cannot make a shared-memory store of ", geometry_.segment_bytes,
                                           " bytes of address space in ", directory));
  }
  if (absl::Status status = Map(); !status.ok()) return status;
  if (!Reserve(0, sizeof(SegmentHeader)) || !Reserve(geometry_.shards_at, sizeof(Shard) * geometry_.shards)) {
    return Failure(absl::StatusCode::kResourceExhausted, absl::StrCat("cannot make the shared-memory store ", path_,
                                                                      ": the file system of ", directory, " is full"));
  }
  SegmentHeader::Fixed& fixed = header().fixed;
  fixed = {.magic = kMagic,
           .version = kLayoutVersion,
           .keep = keep_ ? 1u : 0u,
           .limit_bytes = geometry_.limit_bytes,
           .arena_units = geometry_.arena_units,
           .max_entries = geometry_.max_entries,
           .shards = geometry_.shards,
           .layout = LayoutHash(),
           .key = key_,
           .checksum = 0};
  fixed.checksum = HeaderChecksum(fixed);
  if (absl::Status status = TakeSlot(); !status.ok()) return status;
  if (linkat(AT_FDCWD, absl::StrCat("/proc/self/fd/", fd_).c_str(), AT_FDCWD, path_.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    const int error = errno;
    if (error == EEXIST) {
      return Failure(absl::StatusCode::kAlreadyExists,
                     absl::StrCat("there is a shared-memory store ", path_, " already"));
    }
    return SystemError(error, absl::StrCat("cannot make the shared-memory store ", path_));
  }
  return absl::OkStatus();
}

absl::Status SegmentFile::OpenThere(const Request& request) {
  fd_ = open(path_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
  if (fd_ < 0) {
    const int error = errno;
    if (error == ENOENT) {
      return Failure(absl::StatusCode::kNotFound, absl::StrCat("there is no shared-memory store ", path_));
    }
    if (error == ELOOP) {
      return Failure(absl::StatusCode::kPermissionDenied,
                     absl::StrCat(path_, " is a symbolic link: a shared-memory store is opened by its own name only"));
    }
    return SystemError(error, absl::StrCat("cannot open the shared-memory store ", path_));
  }
  struct stat found = {};
  if (fstat(fd_, &found) != 0) return SystemError(errno, absl::StrCat("cannot look at ", path_));
  if (!S_ISREG(found.st_mode)) {
    return Failure(absl::StatusCode::kFailedPrecondition, absl::StrCat(path_, " is not a shared-memory store"));
  }
  if (found.st_uid != geteuid()) {
    return Failure(absl::StatusCode::kPermissionDenied,
                   absl::StrCat("the shared-memory store ", path_, " belongs to user ", found.st_uid,
                                ", and this is user ", geteuid(), ": stores are not shared between users"));
  }
  if ((found.st_mode & 0777) != 0600) {
    return Failure(
        absl::StatusCode::kPermissionDenied,
        absl::StrFormat("the shared-memory store %s has mode %04o, expected 0600: others may have written it", path_,
                        found.st_mode & 07777));
  }
  if (absl::Status status = LockAttach(); !status.ok()) return status;
  const absl::Cleanup unlock = [this] { Unlock(fd_, kAttachLock); };
  if (!SameFile(fd_, path_)) return absl::AbortedError("it was removed meanwhile");
  absl::StatusOr<SegmentHeader::Fixed> fixed = ReadHeader(fd_, path_);
  if (!fixed.ok()) return fixed.status();
  keep_ = fixed->keep != 0;
  if (!keep_ && !OthersHold(fd_, kSlotLocks, kSlots)) {
    unlink(path_.c_str());
    return Failure(absl::StatusCode::kNotFound,
                   absl::StrCat("there is no shared-memory store ", path_,
                                ": the one of that name was left behind by processes that ended, and was removed"));
  }
  absl::StatusOr<Geometry> geometry =
      Geometry::FromParts(fixed->limit_bytes, fixed->arena_units, fixed->max_entries, fixed->shards);
  if (!geometry.ok()) return geometry.status();
  if (static_cast<std::uint64_t>(found.st_size) != geometry->segment_bytes) {
    return Failure(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat("the shared-memory store ", path_, " has ", found.st_size, " bytes, its header says ",
                                geometry->segment_bytes));
  }
  if (request.mode == Mode::kCreate) return absl::OkStatus();  // it is there and used: that was the question
  geometry_ = *geometry;
  key_ = fixed->key;
  if (absl::Status status = Map(); !status.ok()) return status;
  return TakeSlot();
}

absl::Status SegmentFile::Map() {
  void* const mapped =
      mmap(nullptr, geometry_.segment_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd_, 0);
  if (mapped == MAP_FAILED) {
    return SystemError(errno, absl::StrCat("cannot map ", geometry_.segment_bytes, " bytes of address space for the ",
                                           "shared-memory store ", path_));
  }
  base_ = static_cast<char*>(mapped);
  for (const std::uint64_t part : {geometry_.shards_at, geometry_.buckets_at, geometry_.entries_at, geometry_.pins_at,
                                   geometry_.tags_at, geometry_.arena_at, geometry_.segment_bytes}) {
    mprotect(base_ + part - kPage, kPage, PROT_NONE);
  }
  // Where the system has huge pages for shared memory on request; elsewhere it does nothing.
  madvise(base_ + geometry_.arena_at, geometry_.segment_bytes - geometry_.arena_at, MADV_HUGEPAGE);
  const std::size_t pages = geometry_.arena_at / kPage;
  reserved_ = std::make_unique<std::atomic<std::uint64_t>[]>(pages / 64 + 1);
  return absl::OkStatus();
}

absl::Status SegmentFile::TakeSlot() {
  for (std::uint32_t slot = 0; slot < kSlots; ++slot) {
    if (!TryLock(fd_, kSlotLocks + slot)) continue;
    slot_ = slot;
    static const int registered =
        pthread_atfork(&LockAll, &UnlockAll, &CloseAllInChild) + std::atexit(&RemoveAllAtExit);
    (void)registered;
    core::MutexLock lock(TheRegistry().mutex);
    TheRegistry().all.push_back(this);
    return absl::OkStatus();
  }
  return Failure(absl::StatusCode::kResourceExhausted, absl::StrCat("the shared-memory store ", path_, " is used by ",
                                                                    kSlots, " processes, as many as it can have"));
}

void SegmentFile::LockAll() ABSL_NO_THREAD_SAFETY_ANALYSIS { TheRegistry().mutex.Lock(); }

void SegmentFile::UnlockAll() ABSL_NO_THREAD_SAFETY_ANALYSIS { TheRegistry().mutex.Unlock(); }

void SegmentFile::CloseAllInChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  for (SegmentFile* const file : TheRegistry().all) {
    file->forked_.store(true, std::memory_order_relaxed);
    close(file->fd_);
    file->fd_ = -1;
  }
  TheRegistry().mutex.Unlock();
}

SegmentFile::~SegmentFile() {
  {
    core::MutexLock lock(TheRegistry().mutex);
    std::erase(TheRegistry().all, this);
  }
  if (base_ != nullptr) munmap(base_, geometry_.segment_bytes);
  if (fd_ < 0) return;
  RemoveUnlessUsed({});
  close(fd_);
}

void SegmentFile::RemoveUnlessUsed(std::span<SegmentFile* const> besides) const {
  if (slot_ >= kSlots || keep_ || !LockAttach().ok()) return;
  bool used = OthersHold(fd_, kSlotLocks, kSlots);
  if (used && !besides.empty()) {
    used = false;
    for (std::uint32_t slot = 0; slot < kSlots && !used; ++slot) {
      used = OthersHold(fd_, kSlotLocks + slot, 1) &&
             std::none_of(besides.begin(), besides.end(), [&](const SegmentFile* besides_it) {
               return !besides_it->forked() && besides_it->slot_ == slot && besides_it->key_ == key_;
             });
    }
  }
  if (!used && SameFile(fd_, path_)) unlink(path_.c_str());
  Unlock(fd_, kAttachLock);
}

void SegmentFile::RemoveAllAtExit() {
  core::MutexLock lock(TheRegistry().mutex);
  for (const SegmentFile* const file : TheRegistry().all) {
    if (!file->forked()) file->RemoveUnlessUsed(TheRegistry().all);
  }
}

bool SegmentFile::SlotIsHeld(std::uint32_t slot) const {
  return slot == slot_ || (slot < kSlots && OthersHold(fd_, kSlotLocks + slot, 1));
}

bool SegmentFile::Allocate(std::uint64_t offset, std::uint64_t size) const {
  const std::uint64_t begin = offset / kPage * kPage;
  const std::uint64_t end = (offset + size + kPage - 1) / kPage * kPage;
  int result;
  do {
    result = fallocate(fd_, 0, static_cast<off_t>(begin), static_cast<off_t>(end - begin));
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

bool SegmentFile::Reserve(std::uint64_t offset, std::uint64_t size) {
  for (std::uint64_t page = offset / kPage; page <= (offset + size - 1) / kPage; ++page) {
    const std::uint64_t bit = std::uint64_t{1} << (page % 64);
    if (reserved_[page / 64].load(std::memory_order_relaxed) & bit) [[likely]]
      continue;
    if (!ReserveAround(page)) return false;
  }
  return true;
}

bool SegmentFile::ReserveAround(std::uint64_t page) {
  // Tags of large blocks lie far apart, and each would cost its neighbours: one page. Of all else there is soon more.
  constexpr std::uint64_t kTogether = 16;
  std::uint64_t begin = page;
  std::uint64_t end = page + 1;
  if (page < geometry_.tags_at / kPage) {
    const std::array<std::uint64_t, 6> parts = {0,
                                                geometry_.shards_at / kPage,
                                                geometry_.buckets_at / kPage,
                                                geometry_.entries_at / kPage,
                                                geometry_.pins_at / kPage,
                                                geometry_.tags_at / kPage};
    const auto next = std::upper_bound(parts.begin(), parts.end(), page);
    begin = std::max(*(next - 1), page / kTogether * kTogether);
    end = std::min(*next - 1, (page / kTogether + 1) * kTogether);  // the part's last page is its guard
  }
  // Makes the pages and maps them in one call, where the system can (Linux 5.14); else they are made now and mapped at
  // the first touch.
  if (madvise(base_ + begin * kPage, (end - begin) * kPage, MADV_POPULATE_WRITE) != 0 &&
      !Allocate(begin * kPage, (end - begin) * kPage)) {
    if (end - begin == 1 || !Allocate(page * kPage, kPage)) return false;
    begin = page;
    end = page + 1;
  }
  for (std::uint64_t each = begin; each < end; ++each) {
    reserved_[each / 64].fetch_or(std::uint64_t{1} << (each % 64), std::memory_order_relaxed);
  }
  return true;
}

void SegmentFile::VisitPages(std::uint64_t offset, std::uint64_t size,
                             absl::FunctionRef<void(std::uint64_t offset, std::uint64_t size)> visit) const {
  const std::uint64_t end = offset + size;
  while (offset < end) {
    const off_t data = lseek(fd_, static_cast<off_t>(offset), SEEK_DATA);
    if (data < 0 || static_cast<std::uint64_t>(data) >= end) return;
    const off_t hole = lseek(fd_, data, SEEK_HOLE);
    const std::uint64_t until = hole < 0 ? end : std::min(end, static_cast<std::uint64_t>(hole));
    visit(static_cast<std::uint64_t>(data), until - static_cast<std::uint64_t>(data));
    offset = until;
  }
}

absl::Status SegmentFile::Remove(const std::string& path) {
  struct stat found = {};
  if (lstat(path.c_str(), &found) == 0 && found.st_uid != geteuid()) {
    return Failure(absl::StatusCode::kPermissionDenied,
                   absl::StrCat("the shared-memory store ", path, " belongs to user ", found.st_uid,
                                ", and this is user ", geteuid()));
  }
  if (unlink(path.c_str()) == 0) return absl::OkStatus();
  if (errno == ENOENT)
    return Failure(absl::StatusCode::kNotFound, absl::StrCat("there is no shared-memory store ", path));
  return SystemError(errno, absl::StrCat("cannot remove the shared-memory store ", path));
}

std::vector<std::string> SegmentFile::Names(const std::string& directory) {
  std::vector<std::string> names;
  DIR* const open_directory = opendir(directory.c_str());
  if (open_directory == nullptr) return names;
  while (const dirent* const entry = readdir(open_directory)) {
    std::string_view name = entry->d_name;
    struct stat found = {};
    if (!name.starts_with(kPrefix) || lstat(absl::StrCat(directory, "/", std::string(name)).c_str(), &found) != 0)
      continue;
    if (S_ISREG(found.st_mode) && found.st_uid == geteuid()) names.emplace_back(name.substr(kPrefix.size()));
  }
  closedir(open_directory);
  std::sort(names.begin(), names.end());
  return names;
}

void SegmentFile::RemoveLeftovers(const std::string& directory, const std::string& except) {
  for (const std::string& name : Names(directory)) {
    const std::string path = absl::StrCat(directory, "/", std::string(kPrefix), name);
    if (path == except) continue;
    const int fd = open(path.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) continue;
    // Whoever holds it now attaches or detaches: not left behind.
    if (TryLock(fd, kAttachLock)) {
      const absl::StatusOr<SegmentHeader::Fixed> fixed = ReadHeader(fd, path);
      if (fixed.ok() && fixed->keep == 0 && !OthersHold(fd, kSlotLocks, kSlots) && SameFile(fd, path)) {
        unlink(path.c_str());
      }
    }
    close(fd);
  }
}

}  // namespace rustyray::object_store::shm
