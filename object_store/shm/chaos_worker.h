// Worker: a process that works on a shared store in tests, and is killed there; and what must hold when all are gone.
// Test only.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_CHAOS_WORKER_H_
#define RUSTYRAY_OBJECT_STORE_SHM_CHAOS_WORKER_H_

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/id.h"
#include "gtest/gtest.h"
#include "object_store/shm/shm_store.h"

namespace rustyray::object_store {

// A child process, and where it says what is wrong.
class Worker {
 public:
  template <class F>
  explicit Worker(F work) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      const std::string wrong = work();
      if (write(ends[1], wrong.data(), wrong.size()) < 0) _exit(2);
      _exit(wrong.empty() ? 0 : 1);
    }
    close(ends[1]);
    from_ = ends[0];
  }
  Worker(Worker&& other) noexcept : pid_(std::exchange(other.pid_, 0)), from_(std::exchange(other.from_, -1)) {}
  Worker& operator=(Worker&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(from_, other.from_);
    std::swap(status_, other.status_);
    return *this;
  }
  ~Worker() {
    if (pid_ != 0) Kill();
  }

  bool Ended() { return pid_ == 0 || status_ != 0 || waitpid(pid_, &status_, WNOHANG) == pid_; }
  bool WasKilled() const { return WIFSIGNALED(status_) && WTERMSIG(status_) == SIGKILL; }
  void WaitFor() {
    if (status_ == 0) waitpid(pid_, &status_, 0);
  }
  // What it said before.
  std::string Kill() {
    kill(pid_, SIGKILL);
    if (status_ == 0) waitpid(pid_, &status_, 0);
    pid_ = 0;
    std::string said(4096, '\0');
    const ssize_t size = read(from_, said.data(), said.size());
    close(from_);
    said.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return said;
  }

 private:
  pid_t pid_ = 0;
  int from_ = -1;
  int status_ = 0;
};

// What must hold when nobody but this process has the store, and nothing is pinned.
inline void ExpectAllComesBack(ShmStore& store) {
  const std::vector<ShmObjectInfo> all = store.List().value();
  for (const ShmObjectInfo& object : all) {
    EXPECT_TRUE(object.sealed) << "left half written: " << object.id.Hex();
    EXPECT_EQ(object.lifetime, Lifetime::kCache) << "its owner is dead: " << object.id.Hex();
    EXPECT_EQ(object.pinned_by, 0);
    EXPECT_TRUE(store.Delete(object.id).ok());
  }
  const ShmStatistics rest = store.Statistics().value();
  EXPECT_EQ(rest.objects, 0u);
  EXPECT_EQ(rest.bytes, 0u);
  EXPECT_EQ(rest.being_written, 0u);
  EXPECT_EQ(rest.deleted_but_pinned, 0u);
  EXPECT_EQ(rest.lost, 0u);
  EXPECT_EQ(rest.pids.size(), 1u);
  // Every byte is there, in one piece.
  const absl::StatusOr<ShmWriter> all_of_it = store.Create(core::ObjectId::Random(), store.limit_bytes() / 64 * 64);
  EXPECT_TRUE(all_of_it.ok()) << all_of_it.status();
}

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_SHM_CHAOS_WORKER_H_
