#include "ray/api/init_options.h"

#include <cstdint>
#include <cstdlib>
#include <functional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "core/error.h"

namespace ray::internal {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

absl::Status Invalid(const std::string& message) {
  return rustyray::core::MakeStatus(absl::StatusCode::kInvalidArgument, rustyray::core::ErrorKind::kInvalid, message);
}

// One flag: how its value changes the config, or what it takes.
struct Flag {
  const char* name;
  const char* takes;
  std::function<bool(const std::string& value, RayConfig& config)> set;
};

const std::vector<Flag>& Flags() {
  static const auto* const flags = new std::vector<Flag>{
      {"ray_address", "an address", [](const std::string& v, RayConfig& c) { return c.address = v, true; }},
      {"ray_engine", "embedded, process or ray",
       [](const std::string& v, RayConfig& c) { return c.engine = absl::AsciiStrToLower(v), true; }},
      {"ray_threads", "a whole number, 0 for as many as processors",
       [](const std::string& v, RayConfig& c) { return absl::SimpleAtoi(v, &c.threads) && c.threads >= 0; }},
      {"ray_store_limit_bytes", "a whole number of bytes",
       [](const std::string& v, RayConfig& c) { return absl::SimpleAtoi(v, &c.store_limit_bytes); }},
      {"ray_schedule_seed", "a whole number",
       [](const std::string& v, RayConfig& c) { return absl::SimpleAtoi(v, &c.schedule_seed.emplace()); }},
      {"ray_code_search_path", "paths, joined by ':'",
       [](const std::string& v, RayConfig& c) { return c.code_search_path = absl::StrSplit(v, ':'), true; }},
      {"ray_head_args", "arguments of ray start",
       [](const std::string& v, RayConfig& c) {
         return c.head_args = absl::StrSplit(v, ' ', absl::SkipEmpty()), true;
       }},
      {"ray_default_actor_lifetime", "DETACHED or NON_DETACHED",
       [](const std::string& v, RayConfig& c) {
         const std::string value = absl::AsciiStrToUpper(v);
         c.default_actor_lifetime = value == "DETACHED" ? ActorLifetime::DETACHED : ActorLifetime::NON_DETACHED;
         return value == "DETACHED" || value == "NON_DETACHED";
       }},
      {"ray_job_namespace", "a name", [](const std::string& v, RayConfig& c) { return c.ray_namespace = v, true; }},
  };
  return *flags;
}

// What differs, by field.
template <class T>
void Compare(const char* name, const T& a, const T& b, std::vector<std::string>& out) {
  if (a == b) return;
  if constexpr (std::is_same_v<T, std::string>) {
    out.push_back(absl::StrCat(name, " ('", a, "', now '", b, "')"));
  } else if constexpr (std::is_arithmetic_v<T>) {
    out.push_back(absl::StrCat(name, " (", a, ", now ", b, ")"));
  } else {
    out.push_back(name);
  }
}

}  // namespace

absl::StatusOr<RayConfig> Resolve(const RayConfig& config, int argc, char** argv, std::vector<std::string>& warnings) {
  RayConfig resolved = config;
  for (int i = 1; i < argc; ++i) {
    std::string_view text = argv[i];
    if (text == "--") break;
    if (!text.starts_with("--ray_")) continue;
    text.remove_prefix(2);
    const std::size_t equals = text.find('=');
    const std::string_view name = text.substr(0, equals);
    const auto flag = std::find_if(Flags().begin(), Flags().end(), [&](const Flag& one) { return name == one.name; });
    if (flag == Flags().end()) {
      warnings.push_back(absl::StrCat("--", View(name), " has no effect here"));
      continue;
    }
    std::string value;
    if (equals != std::string_view::npos) {
      value = text.substr(equals + 1);
    } else if (i + 1 < argc) {
      value = argv[++i];
    } else {
      return Invalid(absl::StrCat("--", View(name), " takes ", flag->takes, ", but nothing was given"));
    }
    if (!flag->set(value, resolved)) {
      return Invalid(absl::StrCat("--", View(name), " takes ", flag->takes, ", but '", value, "' was given"));
    }
  }
  if (resolved.threads < 0) {
    return Invalid(absl::StrCat("RayConfig::threads must be 0 or more, but it is ", resolved.threads));
  }
  if (resolved.max_threads < 1) {
    return Invalid(absl::StrCat("RayConfig::max_threads must be 1 or more, but it is ", resolved.max_threads));
  }
  if (!resolved.local_mode && resolved.engine.empty() && resolved.address.empty()) {
    if (const char* const engine = std::getenv("RAY_ENGINE")) resolved.engine = absl::AsciiStrToLower(engine);
  }
  if (!resolved.local_mode && resolved.address.empty()) {
    if (const char* const address = std::getenv("RAY_ADDRESS")) resolved.address = address;
  }
  return resolved;
}

absl::StatusOr<Engine> PickEngine(const RayConfig& resolved) {
  std::string name = resolved.engine;
  if (name.empty()) name = resolved.local_mode || resolved.address.empty() ? "embedded" : "ray";
  if (name == "embedded") return Engine::kEmbedded;
  if (name != "process" && name != "ray") {
    return Invalid(absl::StrCat("'", name, "' is no engine: there are embedded, process and ray"));
  }
  return rustyray::core::MakeStatus(
      absl::StatusCode::kUnavailable, rustyray::core::ErrorKind::kInvalid,
      std::string(
          absl::StrCat("the engine '", name, "'",
                       resolved.engine.empty() ? absl::StrCat(" (for the address '", resolved.address, "')") : "",
                       " is not there in this build: only 'embedded' is")));
}

std::string Differences(const RayConfig& current, const RayConfig& other) {
  std::vector<std::string> out;
  Compare("address", current.address, other.address, out);
  Compare("local_mode", current.local_mode, other.local_mode, out);
  Compare("engine", current.engine, other.engine, out);
  Compare("threads", current.threads, other.threads, out);
  Compare("max_threads", current.max_threads, other.max_threads, out);
  Compare("store_limit_bytes", current.store_limit_bytes, other.store_limit_bytes, out);
  Compare("store_full", current.store_full, other.store_full, out);
  Compare("store_wait_ms", current.store_wait_ms, other.store_wait_ms, out);
  Compare("shutdown_timeout_ms", current.shutdown_timeout_ms, other.shutdown_timeout_ms, out);
  Compare("schedule_seed", current.schedule_seed, other.schedule_seed, out);
  Compare("code_search_path", current.code_search_path, other.code_search_path, out);
  Compare("head_args", current.head_args, other.head_args, out);
  Compare("default_actor_lifetime", current.default_actor_lifetime, other.default_actor_lifetime, out);
  Compare("ray_namespace", current.ray_namespace, other.ray_namespace, out);
  return absl::StrJoin(out, ", ");
}

}  // namespace ray::internal
