// InitOptions: what flags, config and environment come to. Pure functions, apart from the environment.
#ifndef RAY_API_INIT_OPTIONS_H_
#define RAY_API_INIT_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "ray/api/ray_config.h"

namespace ray::internal {

enum class Engine { kEmbedded, kProcess, kRay };

// `config` with the --ray_... flags of the command line put over it, and the environment under it. `warnings` gets
// flags that have no effect. InvalidArgument names a flag and what it takes.
absl::StatusOr<RayConfig> Resolve(const RayConfig& config, int argc, char** argv, std::vector<std::string>& warnings);

// The engine that a resolved config names. Unavailable (in this build) names the engine.
absl::StatusOr<Engine> PickEngine(const RayConfig& resolved);

// What differs between two configs, for people: "threads (2, now 4), ...". Empty: nothing.
std::string Differences(const RayConfig& current, const RayConfig& other);

}  // namespace ray::internal

#endif  // RAY_API_INIT_OPTIONS_H_
