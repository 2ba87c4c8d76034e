// The command line of shmstore: its commands and flags, their help, and what a user asked for.
//
// Parse checks everything that can be checked without a store, so that what it accepts has values of the right kinds.
// All functions are pure; any thread.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_SHMSTORE_ARGUMENTS_H_
#define RUSTYRAY_OBJECT_STORE_SHM_SHMSTORE_ARGUMENTS_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace rustyray::object_store::shmstore {

enum class ValueKind : std::uint8_t { kNone, kText, kSize, kCount, kSeconds };

struct Flag {
  std::string_view name;  // with its dashes
  ValueKind kind;
  std::string_view value;  // its name in the help
  std::string_view help;
};

struct Command {
  std::string_view name;
  std::string_view words;  // as the help names them
  std::size_t least_words;
  std::size_t most_words;
  std::string_view summary;
  std::string_view details;
  std::vector<Flag> flags;  // beside those that all have
};

const std::vector<Command>& Commands();
// Null if there is none of that name.
const Command* FindCommand(std::string_view name);

struct Arguments {
  const Command* command = nullptr;
  bool help = false;  // of `command`, or of all if that is null; nothing else is checked then
  std::vector<std::string> words;
  std::map<std::string, std::string, std::less<>> flags;

  bool Has(std::string_view flag) const { return flags.find(flag) != flags.end(); }
  // Of flags that Parse accepted, of that kind.
  std::string Text(std::string_view flag, std::string_view otherwise) const;
  std::optional<std::uint64_t> Number(std::string_view flag) const;  // of kSize and kCount
  std::optional<std::chrono::nanoseconds> Seconds(std::string_view flag) const;
};

// InvalidArgument with a message that says what is expected.
absl::StatusOr<Arguments> Parse(const std::vector<std::string>& arguments);

// Digits with a unit: B (or none), kB, MB, GB, TB (powers of 1000), KiB, MiB, GiB, TiB (of 1024), in either case.
absl::StatusOr<std::uint64_t> ParseSize(std::string_view text);

std::string Help();
std::string HelpOf(const Command& command);

}  // namespace rustyray::object_store::shmstore

#endif  // RUSTYRAY_OBJECT_STORE_SHM_SHMSTORE_ARGUMENTS_H_
