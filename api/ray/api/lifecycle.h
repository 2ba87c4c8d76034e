// Init and Shutdown: when there is a runtime.
//
// Any number of times in turn. Leaving main without Shutdown is clean: threads are joined before the destructors of
// statics made before Init. After a fork, calls in the child are errors, until the child calls Init itself.
// Threads: any, but Shutdown not from inside a task.
#ifndef RAY_API_LIFECYCLE_H_
#define RAY_API_LIFECYCLE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "ray/api/ray_config.h"

namespace ray {

// Starts the engine that flags, config and environment name. While initialized it does nothing, and logs a warning that
// names what a different config would have changed. RayException for an engine that is not there, bad flags, or
// functions registered twice.
void Init();
void Init(RayConfig& config);
// Reads --ray_... flags; leaves argv as it is.
void Init(RayConfig& config, int argc, char** argv);
absl::Status TryInit(const RayConfig& config, int argc = 0, char** argv = nullptr);

bool IsInitialized();

// Fails what is queued, asks running tasks to stop and waits for them (RayConfig::shutdown_timeout_ms), then abandons
// and reports them. Refs report it from then on; Views stay valid. Nothing when not initialized. RayException from
// inside a task.
void Shutdown();
absl::Status TryShutdown();

// With RayConfig::schedule_seed: a hash of who went on, and when, since Init; after Shutdown, of all of it. Two runs
// with the same were the same. 0 without a seed.
std::uint64_t ScheduleTrace();

// Who waits for whom, a line for each waiting thread.
std::string DumpWaits();

}  // namespace ray

#endif  // RAY_API_LIFECYCLE_H_
