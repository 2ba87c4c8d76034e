// RayConfig: what Init takes. Each field's comment gives its default and unit.
//
// Flags (--ray_address=..., --ray_engine=..., and so on) win over the config, the config over the environment.
#ifndef RAY_API_RAY_CONFIG_H_
#define RAY_API_RAY_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ray {

enum class ActorLifetime {
  NON_DETACHED,
  DETACHED,
};

// What a put does that finds no room in the store.
enum class StoreFullPolicy {
  REJECT,  // fails at once
  WAIT,    // waits for room, up to RayConfig::store_wait_ms
};

class RayConfig {
 public:
  // The address of a Ray cluster; else the environment variable RAY_ADDRESS. None: the embedded engine.
  std::string address = "";
  // The embedded engine, whatever the address.
  bool local_mode = false;
  // "embedded", "process" or "ray"; else the environment variable RAY_ENGINE. Empty: picked by the address.
  std::string engine = "";

  // How many calls may run at once. 0: one for each processor that this process may use.
  int threads = 0;
  // The hard cap of threads, those that wait included; past it a wait fails.
  int max_threads = 1024;
  // Accounted bytes that the object store may hold. 0: 30 % of the memory of the machine or control group.
  std::uint64_t store_limit_bytes = 0;
  StoreFullPolicy store_full = StoreFullPolicy::REJECT;
  // Milliseconds, for StoreFullPolicy::WAIT; -1: for good.
  int store_wait_ms = -1;
  // How long Shutdown waits for tasks that run, in milliseconds; then it abandons and reports them. -1: for good.
  int shutdown_timeout_ms = 10'000;

  // For tests: one thread at a time, in an order drawn from this seed, and time that jumps to the next deadline when
  // nothing else is left to do. The same seed replays a run, races included, in another process too; ray::ScheduleTrace
  // tells runs apart. All calls of ray:: must come from the thread that calls Init and from tasks and actors; a program
  // in which nobody can go on aborts, and says who waits.
  std::optional<std::uint64_t> schedule_seed;

  // For engines with worker processes: where the user's code is found, and what `ray start` is given.
  std::vector<std::string> code_search_path;
  std::vector<std::string> head_args = {};
  ActorLifetime default_actor_lifetime = ActorLifetime::NON_DETACHED;
  bool is_worker_ = false;
  // A name for this job's named actors; a random one when empty.
  std::string ray_namespace = "";
};

}  // namespace ray

#endif  // RAY_API_RAY_CONFIG_H_
