#include "object_store/shm/shmstore_arguments.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace rustyray::object_store::shmstore {
namespace {

constexpr Flag kJson = {"--json", ValueKind::kNone, "", "print JSON, for programs"};

// What all commands have.
const std::vector<Flag>& CommonFlags() {
  static const std::vector<Flag> flags = {
      {"--directory", ValueKind::kText, "DIR", "where the stores lie: a file system in memory (/dev/shm)"},
      {"--help", ValueKind::kNone, "", "print this"},
  };
  return flags;
}

absl::Status Invalid(const std::string& message) { return absl::InvalidArgumentError(message); }

std::optional<std::uint64_t> Digits(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::chrono::nanoseconds> ParseSeconds(std::string_view text) {
  double seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  constexpr double kMost = 1e9;  // 31 years; far below what nanoseconds can count
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  if (!(seconds >= 0 && seconds <= kMost)) return std::nullopt;
  return std::chrono::nanoseconds(std::llround(seconds * 1e9));
}

absl::Status CheckValue(const Flag& flag, const std::string& value) {
  const std::string name(flag.name);
  switch (flag.kind) {
    case ValueKind::kNone:
      break;
    case ValueKind::kText:
      if (value.empty()) return Invalid(absl::StrCat(name, " is empty: expected ", std::string(flag.value)));
      break;
    case ValueKind::kSize:
      if (absl::StatusOr<std::uint64_t> size = ParseSize(value); !size.ok()) {
        return Invalid(absl::StrCat(name, ": ", size.status().message()));
      }
      break;
    case ValueKind::kCount:
      if (!Digits(value).has_value()) return Invalid(absl::StrCat(name, ": '", value, "' is not a whole number"));
      break;
    case ValueKind::kSeconds:
      if (!ParseSeconds(value).has_value()) {
        return Invalid(absl::StrCat(name, ": '", value, "' is not a number of seconds from 0 to 1000000000"));
      }
      break;
  }
  return absl::OkStatus();
}

const Flag* FindFlag(const Command& command, std::string_view name) {
  if (name == "-h") name = "--help";
  for (const std::vector<Flag>* const flags : {&command.flags, &CommonFlags()}) {
    for (const Flag& flag : *flags) {
      if (flag.name == name) return &flag;
    }
  }
  return nullptr;
}

template <class All>
std::string NamesOf(const All& all) {
  std::string names;
  for (const auto& each : all) absl::StrAppend(&names, names.empty() ? "" : ", ", std::string(each.name));
  return names;
}

std::string FlagsOf(const Command& command) {
  const std::string own = NamesOf(command.flags);
  return absl::StrCat(own, own.empty() ? "" : ", ", NamesOf(CommonFlags()));
}

std::string Usage(const Command& command) {
  return absl::StrCat("shmstore ", std::string(command.name), command.words.empty() ? "" : " ",
                      std::string(command.words));
}

std::string FlagLines(const std::vector<Flag>& flags) {
  std::string lines;
  for (const Flag& flag : flags) {
    std::string left(flag.name);
    const bool is_short = !flag.name.starts_with("--");
    if (!flag.value.empty()) absl::StrAppend(&left, is_short ? " " : "=", std::string(flag.value));
    left.resize(std::max<std::size_t>(left.size() + 1, 20), ' ');
    absl::StrAppend(&lines, "  ", left, std::string(flag.help), "\n");
  }
  return lines;
}

}  // namespace

const std::vector<Command>& Commands() {
  static const std::vector<Command> commands = {
      {"create",
       "[NAME]",
       0,
       1,
       "make a store",
       "Makes a store and prints its name. A store goes when the last process that has it open ends: so this command\n"
       "holds it until it is interrupted (SIGINT, SIGTERM, SIGHUP). With --keep it returns at once, and the store "
       "stays\n"
       "until `shmstore rm NAME`. Without a NAME it gets a random one.\n",
       {{"--limit", ValueKind::kSize, "SIZE", "bytes of all objects, such as 64MiB or 1GB (30 % of the memory)"},
        {"--max-objects", ValueKind::kCount, "N", "how many objects it has room for (one for each 256 bytes)"},
        {"--keep", ValueKind::kNone, "", "it stays when no process has it open"},
        kJson}},
      {"ls",
       "[NAME]",
       0,
       1,
       "list the stores, or the objects of one",
       "Lists this user's stores; with a NAME the objects of that store: sealed ones, and those being written.\n"
       "Removes what is left of stores whose processes were killed.\n",
       {kJson}},
      {"stat",
       "NAME",
       1,
       1,
       "what a store has, in numbers",
       "Bytes are counted as the limit counts them, each object rounded up to 64.\n",
       {kJson}},
      {"put",
       "NAME ID FILE",
       3,
       3,
       "store a file's bytes as an object",
       "Stores the bytes of FILE under ID, and prints the ID. An ID is 32 hexadecimal digits or a UUID; - or new draws "
       "one.\n"
       "FILE - is the standard input. A file is read straight into shared memory. Nothing is left of an object that\n"
       "could not be stored whole.\n",
       {{"--type", ValueKind::kText, "TYPE",
         "the name of its type (bytes); std::vector<double> and other vectors\n                      "
         "of numbers are what C++ programs read as arrays, in place"},
        {"--checksum", ValueKind::kNone, "", "keep a checksum of the bytes, for get --verify"},
        kJson}},
      {"get",
       "NAME ID",
       2,
       2,
       "write an object's bytes to the standard output, or a file",
       "Writes the bytes of the object. With --wait it sleeps until some process has sealed it.\n",
       {{"--wait", ValueKind::kSeconds, "SECONDS", "how long to wait for it (not at all)"},
        {"--verify", ValueKind::kNone, "", "look first whether they are the bytes it was sealed with"},
        {"-o", ValueKind::kText, "FILE", "write them here"}}},
      {"rm",
       "NAME [ID]",
       1,
       2,
       "remove a store, or an object of it",
       "With an ID, nobody finds the object any more; processes that read it keep its bytes until they are done.\n"
       "Without, the store's name goes at once; processes that have it open go on, alone.\n",
       {}},
      {"watch",
       "NAME",
       1,
       1,
       "print objects as they come and go",
       "Prints the objects that are there, then each that is sealed or goes, until it is interrupted. It sleeps in\n"
       "between. An object that comes and goes between two looks may not be seen. With --json, a line of JSON for "
       "each.\n",
       {{"--events", ValueKind::kCount, "N", "end after so many lines"},
        {"--for", ValueKind::kSeconds, "SECONDS", "end after so long"},
        kJson}},
  };
  return commands;
}

const Command* FindCommand(std::string_view name) {
  for (const Command& command : Commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

std::string Arguments::Text(std::string_view flag, std::string_view otherwise) const {
  const auto found = flags.find(flag);
  return found == flags.end() ? std::string(otherwise) : found->second;
}

std::optional<std::uint64_t> Arguments::Number(std::string_view flag) const {
  const auto found = flags.find(flag);
  if (found == flags.end()) return std::nullopt;
  return FindFlag(*command, flag)->kind == ValueKind::kSize ? *ParseSize(found->second) : Digits(found->second);
}

std::optional<std::chrono::nanoseconds> Arguments::Seconds(std::string_view flag) const {
  const auto found = flags.find(flag);
  return found == flags.end() ? std::nullopt : ParseSeconds(found->second);
}

absl::StatusOr<Arguments> Parse(const std::vector<std::string>& arguments) {
  const std::string expected = absl::StrCat("expected ", NamesOf(Commands()), " or help");
  if (arguments.empty()) return Invalid(absl::StrCat("no command: ", expected));
  Arguments parsed;
  const std::string& first = arguments.front();
  if (first == "help" || first == "-h" || first == "--help") {
    parsed.help = true;
    if (arguments.size() == 1) return parsed;
    parsed.command = FindCommand(arguments[1]);
    if (parsed.command == nullptr) return Invalid(absl::StrCat("no help on '", arguments[1], "': ", expected));
    if (arguments.size() > 2) return Invalid(absl::StrCat("help takes one command, not also '", arguments[2], "'"));
    return parsed;
  }
  parsed.command = FindCommand(first);
  if (parsed.command == nullptr) {
    return Invalid(absl::StrCat("unknown ", first.starts_with("-") ? "flag" : "command", " '", first, "': ", expected));
  }
  const Command& command = *parsed.command;
  for (std::size_t i = 1; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (argument == "-" || !argument.starts_with("-")) {
      parsed.words.push_back(argument);
      continue;
    }
    if (argument == "--") {
      parsed.words.insert(parsed.words.end(), arguments.begin() + static_cast<std::ptrdiff_t>(i) + 1, arguments.end());
      break;
    }
    const std::size_t equals = argument.starts_with("--") ? argument.find('=') : std::string::npos;
    const std::string name = argument.substr(0, equals);
    const Flag* const flag = FindFlag(command, name);
    if (flag == nullptr) {
      return Invalid(absl::StrCat("unknown flag '", name, "' of ", first, ": expected ", FlagsOf(command)));
    }
    if (flag->name == "--help") {
      parsed.help = true;
      return parsed;
    }
    std::string value;
    if (flag->kind == ValueKind::kNone) {
      if (equals != std::string::npos) return Invalid(absl::StrCat(name, " takes no value"));
    } else if (equals != std::string::npos) {
      value = argument.substr(equals + 1);
    } else if (i + 1 < arguments.size()) {
      value = arguments[++i];
    } else {
      return Invalid(absl::StrCat(name, " needs a value: ", std::string(flag->value)));
    }
    if (absl::Status status = CheckValue(*flag, value); !status.ok()) return status;
    if (!parsed.flags.emplace(name, value).second) return Invalid(absl::StrCat(name, " is given twice"));
  }
  if (parsed.words.size() < command.least_words) {
    return Invalid(absl::StrCat("too few arguments: expected ", Usage(command)));
  }
  if (parsed.words.size() > command.most_words) {
    return Invalid(
        absl::StrCat("one argument too many, '", parsed.words[command.most_words], "': expected ", Usage(command)));
  }
  return parsed;
}

absl::StatusOr<std::uint64_t> ParseSize(std::string_view text) {
  struct Unit {
    std::string_view name;
    std::uint64_t bytes;
  };
  constexpr std::array<Unit, 10> kUnits = {{{"", 1},
                                            {"b", 1},
                                            {"kb", 1000},
                                            {"mb", 1000'000},
                                            {"gb", 1000'000'000},
                                            {"tb", 1000'000'000'000},
                                            {"kib", std::uint64_t{1} << 10},
                                            {"mib", std::uint64_t{1} << 20},
                                            {"gib", std::uint64_t{1} << 30},
                                            {"tib", std::uint64_t{1} << 40}}};
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::optional<std::uint64_t> count = Digits(text.substr(0, digits));
  const std::string unit = absl::AsciiStrToLower(std::string(text.substr(digits)));
  const auto found = std::find_if(kUnits.begin(), kUnits.end(), [&](const Unit& each) { return each.name == unit; });
  if (!count.has_value() || found == kUnits.end() ||
      *count > std::numeric_limits<std::uint64_t>::max() / found->bytes) {
    return Invalid(absl::StrCat("'", std::string(text), "' is not a size: expected bytes, such as 4096, 64MiB or 1GB"));
  }
  return *count * found->bytes;
}

std::string Help() {
  std::string help =
      "Looks into and works on shared-memory stores: objects that all processes of a user read in place.\n\n"
      "  shmstore COMMAND ...\n\n";
  for (const Command& command : Commands()) {
    std::string left = Usage(command).substr(9);
    left.resize(20, ' ');
    absl::StrAppend(&help, "  ", left, std::string(command.summary), "\n");
  }
  return absl::StrCat(
      help,
      "  help [COMMAND]      print this, or more on a command\n\n"
      "Ends with 0; with 1 when it could not be done, and says why; with 2 when it was asked wrongly.\n");
}

std::string HelpOf(const Command& command) {
  return absl::StrCat("  ", Usage(command), "\n\n", std::string(command.details), "\n", FlagLines(command.flags),
                      FlagLines(CommonFlags()));
}

}  // namespace rustyray::object_store::shmstore
