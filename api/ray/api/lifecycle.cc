#include "ray/api/lifecycle.h"

#include <pthread.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/call.h"
#include "core/error.h"
#include "core/id.h"
#include "core/mutex.h"
#include "core/thread_context.h"
#include "core/waiting.h"
#include "glog/logging.h"
#include "ray/api/actor.h"
#include "ray/api/exception.h"
#include "ray/api/init_options.h"
#include "ray/api/remote.h"
#include "ray/api/runtime_use.h"
#include "ray/api/statistics.h"
#include "runtime/embedded_runtime.h"

namespace ray {
namespace internal {
namespace {

using rustyray::core::ErrorKind;
using rustyray::core::MakeStatus;
using rustyray::core::Mutex;
using rustyray::core::MutexLock;

// What outlives runtimes. Never destroyed: threads may end after main does.
struct Process {
  Mutex mutex;  // over Init and Shutdown
  std::unique_ptr<Runtime> runtime ABSL_GUARDED_BY(mutex);
  RayConfig config ABSL_GUARDED_BY(mutex);
  bool hooks ABSL_GUARDED_BY(mutex) = false;
  pid_t initialized_by ABSL_GUARDED_BY(mutex) = 0;
  std::vector<std::unique_ptr<Runtime>> ended ABSL_GUARDED_BY(mutex);  // until no thread uses them
  std::vector<std::unique_ptr<Runtime>> kept ABSL_GUARDED_BY(mutex);   // for ever: abandoned tasks run in them

  // What running tasks ask for: `mutex` is held while Shutdown waits for them.
  Mutex job_mutex;
  std::string job_namespace ABSL_GUARDED_BY(job_mutex);
  ActorLifetime lifetime ABSL_GUARDED_BY(job_mutex) = ActorLifetime::NON_DETACHED;

  Mutex uses_mutex;
  std::vector<std::unique_ptr<ThreadUse>> uses ABSL_GUARDED_BY(uses_mutex);
  std::vector<ThreadUse*> free_uses ABSL_GUARDED_BY(uses_mutex);
  std::set<Runtime*> keep ABSL_GUARDED_BY(uses_mutex);

  std::atomic<std::uint64_t> last_trace{0};  // of the runtime that ended last
  std::atomic<bool> ever{false};
  std::atomic<bool> forked{false};

  static Process& Get() {
    static Process* const process = new Process;
    return *process;
  }
};

// Frees the ended runtimes that no thread is inside of.
void Sweep(Process& process) ABSL_EXCLUSIVE_LOCKS_REQUIRED(process.mutex) {
  if (process.ended.empty()) return;
  rustyray::core::HeavyFence();
  std::set<Runtime*> used;
  {
    MutexLock lock(process.uses_mutex);
    used = process.keep;
    for (const std::unique_ptr<ThreadUse>& use : process.uses) {
      used.insert(use->runtime.load(std::memory_order_acquire));
    }
  }
  std::erase_if(process.ended, [&](const std::unique_ptr<Runtime>& runtime) { return !used.contains(runtime.get()); });
}

absl::Status End(Process& process) ABSL_EXCLUSIVE_LOCKS_REQUIRED(process.mutex) {
  current_runtime.store(nullptr, std::memory_order_seq_cst);
  if (process.runtime == nullptr) return absl::OkStatus();
  const int timeout_ms = process.config.shutdown_timeout_ms;
  const std::vector<std::string> abandoned =
      process.runtime->Shutdown(timeout_ms < 0 ? rustyray::core::kNever
                                               : rustyray::core::SaturatingAdd(process.runtime->clock().Now(),
                                                                               std::chrono::milliseconds(timeout_ms)));
  process.last_trace.store(process.runtime->schedule_trace());
  if (abandoned.empty()) {
    process.ended.push_back(std::move(process.runtime));
  } else {
    LOG(WARNING) << "ray::Shutdown abandoned " << abandoned.size() << " task(s) that still ran after " << timeout_ms
                 << " ms: " << absl::StrJoin(abandoned, ", ");
    process.kept.push_back(std::move(process.runtime));
  }
  Sweep(process);
  return absl::OkStatus();
}

void AtExit() {
  if (rustyray::core::current_frame != nullptr) return;  // exit() inside a task: it cannot wait for itself
  Process& process = Process::Get();
  MutexLock lock(process.mutex);
  if (process.initialized_by == getpid()) (void)End(process);
}

// No lock of ours may be held by another thread in the child, where that thread is not.
void BeforeFork() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Process& process = Process::Get();
  process.mutex.Lock();
  process.job_mutex.Lock();
  process.uses_mutex.Lock();
}
void InParent() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Process& process = Process::Get();
  process.uses_mutex.Unlock();
  process.job_mutex.Unlock();
  process.mutex.Unlock();
}
void InChild() ABSL_NO_THREAD_SAFETY_ANALYSIS {
  Process& process = Process::Get();
  if (current_runtime.exchange(nullptr) != nullptr) process.forked.store(true);
  if (process.runtime != nullptr) process.kept.push_back(std::move(process.runtime));  // its threads are not here
  InParent();
}

void InstallHooks(Process& process) ABSL_EXCLUSIVE_LOCKS_REQUIRED(process.mutex) {
  if (std::exchange(process.hooks, true)) return;
  std::atexit(AtExit);
  pthread_atfork(BeforeFork, InParent, InChild);
}

// Gives a thread's word back when it ends.
struct ThreadUseLease {
  ThreadUse* use = nullptr;
  ~ThreadUseLease() {
    if (use == nullptr) return;
    this_thread_use = nullptr;
    use->runtime.store(nullptr, std::memory_order_release);
    Process& process = Process::Get();
    MutexLock lock(process.uses_mutex);
    process.free_uses.push_back(use);
  }
};

}  // namespace

ThreadUse& RegisterThreadUse() {
  static thread_local ThreadUseLease lease;
  Process& process = Process::Get();
  MutexLock lock(process.uses_mutex);
  if (process.free_uses.empty()) {
    process.uses.push_back(std::make_unique<ThreadUse>());
    lease.use = process.uses.back().get();
  } else {
    lease.use = process.free_uses.back();
    process.free_uses.pop_back();
  }
  this_thread_use = lease.use;
  return *lease.use;
}

void KeepForEver(Runtime& runtime) {
  Process& process = Process::Get();
  MutexLock lock(process.uses_mutex);
  process.keep.insert(&runtime);
}

std::string NamespaceOr(const std::string& name_space) {
  if (!name_space.empty()) return name_space;
  Process& process = Process::Get();
  MutexLock lock(process.job_mutex);
  return process.job_namespace;
}

ActorLifetime DefaultLifetime() {
  Process& process = Process::Get();
  MutexLock lock(process.job_mutex);
  return process.lifetime;
}

absl::Status NoRuntime() {
  const Process& process = Process::Get();
  if (process.forked.load()) {
    return MakeStatus(absl::StatusCode::kFailedPrecondition, ErrorKind::kShutdown,
                      "this process was forked from one that had called ray::Init: its runtime is not here; call "
                      "ray::Init in the child");
  }
  return MakeStatus(absl::StatusCode::kFailedPrecondition, ErrorKind::kShutdown,
                    process.ever.load() ? "ray::Shutdown was called: call ray::Init again first"
                                        : "ray::Init was not called: call it before anything else of ray::");
}

}  // namespace internal

absl::Status TryInit(const RayConfig& config, int argc, char** argv) {
  using namespace internal;
  std::vector<std::string> warnings;
  absl::StatusOr<RayConfig> resolved = Resolve(config, argc, argv, warnings);
  if (!resolved.ok()) return resolved.status();
  Process& process = Process::Get();
  MutexLock lock(process.mutex);
  if (process.runtime != nullptr) {
    if (const std::string differences = Differences(process.config, *resolved); !differences.empty()) {
      LOG(WARNING) << "ray::Init was called while initialized, and changes nothing; it would have changed: "
                   << differences;
    }
    return absl::OkStatus();
  }
  for (const std::string& warning : warnings) LOG(WARNING) << "ray::Init: " << warning;
  absl::StatusOr<Engine> engine = PickEngine(*resolved);
  if (!engine.ok()) return engine.status();
  InstallHooks(process);
  Sweep(process);
  rustyray::runtime::EmbeddedOptions options{.threads = resolved->threads,
                                             .max_threads = resolved->max_threads,
                                             .schedule_seed = resolved->schedule_seed,
                                             .registrations = &RegistrationList};
  if (resolved->store_limit_bytes != 0) options.store_limit_bytes = resolved->store_limit_bytes;
  if (resolved->store_full == StoreFullPolicy::WAIT) {
    options.store_wait = resolved->store_wait_ms < 0 ? rustyray::core::Duration::max()
                                                     : std::chrono::milliseconds(resolved->store_wait_ms);
  }
  absl::StatusOr<std::unique_ptr<Runtime>> runtime = rustyray::runtime::MakeEmbeddedRuntime(options);
  if (!runtime.ok()) return runtime.status();
  process.runtime = *std::move(runtime);
  process.config = *std::move(resolved);
  {
    MutexLock job_lock(process.job_mutex);
    process.job_namespace = process.config.ray_namespace;
    if (process.job_namespace.empty()) {
      process.job_namespace = rustyray::core::Id<struct NamespaceTag>::Random().Hex();
    }
    process.lifetime = process.config.default_actor_lifetime;
  }
  process.initialized_by = getpid();
  process.forked.store(false);
  process.ever.store(true);
  current_runtime.store(process.runtime.get(), std::memory_order_seq_cst);
  return absl::OkStatus();
}

void Init() { internal::ThrowUnlessOk(TryInit(RayConfig())); }
void Init(RayConfig& config) { internal::ThrowUnlessOk(TryInit(config)); }
void Init(RayConfig& config, int argc, char** argv) { internal::ThrowUnlessOk(TryInit(config, argc, argv)); }

bool IsInitialized() { return internal::current_runtime.load(std::memory_order_acquire) != nullptr; }

absl::Status TryShutdown() {
  using namespace internal;
  if (rustyray::core::current_frame != nullptr) {
    const std::string_view name = rustyray::core::current_frame->call->name();
    return MakeStatus(
        absl::StatusCode::kFailedPrecondition, ErrorKind::kInvalid,
        std::string(absl::StrCat("ray::Shutdown was called inside task ", absl::string_view(name.data(), name.size()),
                                 ", which it would have to wait for: call it outside of tasks")));
  }
  Process& process = Process::Get();
  MutexLock lock(process.mutex);
  return End(process);
}

void Shutdown() { internal::ThrowUnlessOk(TryShutdown()); }

StoreStatistics GetStoreStatistics() {
  const internal::RuntimeUse runtime;
  internal::ThrowUnlessOk(runtime.status());
  return runtime->objects().Statistics();
}

std::string GetNamespace() {
  const internal::RuntimeUse runtime;
  internal::ThrowUnlessOk(runtime.status());
  return internal::NamespaceOr("");
}

std::uint64_t ScheduleTrace() {
  const internal::RuntimeUse runtime;
  return runtime ? runtime->schedule_trace() : internal::Process::Get().last_trace.load();
}

std::string DumpWaits() {
  const internal::RuntimeUse runtime;
  internal::ThrowUnlessOk(runtime.status());
  return runtime->objects().waiting().Dump();
}

}  // namespace ray
