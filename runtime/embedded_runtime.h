// The composition root of the embedded engine: threads of this process, objects in its memory.
#ifndef RUSTYRAY_RUNTIME_EMBEDDED_RUNTIME_H_
#define RUSTYRAY_RUNTIME_EMBEDDED_RUNTIME_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "core/clock.h"
#include "object_store/object_store.h"
#include "runtime/runtime.h"
#include "task/function_registry.h"

namespace rustyray::runtime {

struct EmbeddedOptions {
  // How many calls may run at once. 0: one for each processor this process may use.
  int threads = 0;
  // The hard cap of threads, those that wait included.
  int max_threads = 1024;
  std::size_t store_limit_bytes = object_store::DefaultStoreLimit();
  // How long a put waits for room. Zero: it is rejected at once.
  core::Duration store_wait = core::Duration::zero();
  // Whether refs are counted for leak reports (a few nanoseconds an object).
  bool track_owners = true;
  // One thread at a time, in an order drawn from this seed, and time that jumps: see core/seeded_schedule.h. `threads`
  // and `max_threads` have no effect then.
  std::optional<std::uint64_t> schedule_seed = std::nullopt;
  // The list of registered functions, asked again when a lookup misses. May be null.
  const task::Registration* (*registrations)() = nullptr;
};

// AlreadyExists for functions registered twice.
absl::StatusOr<std::unique_ptr<Runtime>> MakeEmbeddedRuntime(const EmbeddedOptions& options);

}  // namespace rustyray::runtime

#endif  // RUSTYRAY_RUNTIME_EMBEDDED_RUNTIME_H_
