#include "examples/word_count_input.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace word_count {

const char kHelp[] =
    R"(word_count [FLAG]... [FILE or FOLDER]...: counts the words of files, on all cores, in bounded memory.

A word is a run of ASCII letters, lower-cased; any file counts as bytes. A folder stands for the regular files below it.
Default: /usr/share/common-licenses.

  --top=N              how many words to print (10)
  --threads=N          how many pieces are counted at once (one for each processor)
  --store-limit=SIZE   bytes of pieces and counts in memory, such as 32MiB; at least 64KiB (128MiB)
  --output=FILE        all words as lines "word<TAB>count", by count down, then by word
  --help               this text
  --                   what follows are files

Exit code: 0; 1 when something could not be read or written (the rest is counted); 2 for a wrong command line.
)";

namespace {

constexpr std::size_t kLeastStoreLimit = 64 << 10;

absl::Status Takes(absl::string_view flag, absl::string_view what, absl::string_view given) {
  return absl::InvalidArgumentError(absl::StrCat(flag, " takes ", what, ", but '", given, "' was given"));
}

// "32MiB", "64k", "1000": bytes. False: not a size.
bool ParseSize(absl::string_view text, std::size_t* bytes) {
  const absl::string_view digits = text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
  const std::string unit = [&] {
    std::string lower(text.substr(digits.size()));
    for (char& letter : lower) letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return lower;
  }();
  constexpr std::pair<const char*, int> kUnits[] = {{"", 0},   {"b", 0},    {"k", 10}, {"kib", 10},
                                                    {"m", 20}, {"mib", 20}, {"g", 30}, {"gib", 30}};
  std::size_t number = 0;
  if (!absl::SimpleAtoi(digits, &number)) return false;
  for (const auto& [name, shift] : kUnits) {
    if (unit != name) continue;
    *bytes = number << shift;
    return (*bytes >> shift) == number;
  }
  return false;
}

void ListFolder(const std::string& root, std::vector<File>& files, Complaints& complaints) {
  std::vector<std::string> folders = {root};
  while (!folders.empty()) {
    const std::string folder = std::move(folders.back());
    folders.pop_back();
    DIR* const directory = opendir(folder.c_str());
    if (directory == nullptr) {
      complaints.Add(folder, errno);
      continue;
    }
    std::vector<std::string> names;
    for (;;) {
      errno = 0;
      const dirent* const entry = readdir(directory);
      if (entry == nullptr) {
        if (errno != 0) complaints.Add(folder, errno);
        break;
      }
      const std::string_view name = entry->d_name;
      if (name != "." && name != "..") names.emplace_back(name);
    }
    closedir(directory);
    std::sort(names.begin(), names.end());
    std::vector<std::string> found_folders;
    for (const std::string& name : names) {
      std::string path = folder.ends_with('/') ? folder + name : folder + '/' + name;
      struct stat status;
      if (lstat(path.c_str(), &status) != 0) {
        complaints.Add(path, errno);
      } else if (S_ISDIR(status.st_mode)) {
        found_folders.push_back(std::move(path));
      } else if (S_ISREG(status.st_mode)) {
        files.push_back({std::move(path), static_cast<std::uint64_t>(status.st_size)});
      }
    }
    std::move(found_folders.rbegin(), found_folders.rend(), std::back_inserter(folders));
  }
}

}  // namespace

absl::StatusOr<Options> ParseOptions(int argc, char** argv) {
  Options options;
  bool flags = true;
  for (int i = 1; i < argc; ++i) {
    const absl::string_view argument = argv[i];
    if (!flags || argument.size() < 2 || argument[0] != '-') {
      if (argument.empty()) return absl::InvalidArgumentError("a file's name is empty");
      options.paths.emplace_back(argument);
      continue;
    }
    const std::size_t equals = std::min(argument.find('='), argument.size());
    const absl::string_view flag = argument.substr(0, equals);
    const absl::string_view value = argument.substr(std::min(equals + 1, argument.size()));
    if (argument == "--") {
      flags = false;
    } else if (argument == "--help" || argument == "-h") {
      options.help = true;
    } else if (flag == "--top") {
      if (!absl::SimpleAtoi(value, &options.top)) return Takes(flag, "a whole number, 0 or more", value);
    } else if (flag == "--threads") {
      if (!absl::SimpleAtoi(value, &options.threads) || options.threads < 1 || options.threads > 512) {
        return Takes(flag, "a whole number from 1 to 512", value);
      }
    } else if (flag == "--store-limit") {
      if (!ParseSize(value, &options.store_limit) || options.store_limit < kLeastStoreLimit) {
        return Takes(flag, "a size of at least 64KiB, such as 32MiB", value);
      }
    } else if (flag == "--output") {
      if (value.empty()) return Takes(flag, "the name of a file", value);
      options.output = std::string(value);
    } else if (flag.substr(0, 6) == "--ray_") {
      if (flag == argument) ++i;  // its value comes next
    } else {
      return absl::InvalidArgumentError(absl::StrCat("unknown flag ", flag));
    }
  }
  if (options.paths.empty()) options.paths.push_back("/usr/share/common-licenses");
  return options;
}

void Complaints::Add(const std::string& path, int error_number) {
  ++count_;
  // A progress bar may be on the line.
  if (isatty(STDERR_FILENO) != 0) std::fputs("\r\033[K", stderr);
  std::fprintf(stderr, "word_count: %s: %s\n", path.c_str(), std::strerror(error_number));
}

std::vector<File> ListFiles(const std::vector<std::string>& paths, Complaints& complaints) {
  std::vector<File> files;
  for (const std::string& path : paths) {
    struct stat status;
    if (stat(path.c_str(), &status) != 0) {
      complaints.Add(path, errno);
    } else if (S_ISDIR(status.st_mode)) {
      ListFolder(path, files, complaints);
    } else {
      files.push_back({path, S_ISREG(status.st_mode) ? static_cast<std::uint64_t>(status.st_size) : 0});
    }
  }
  return files;
}

Input::~Input() {
  if (descriptor_ >= 0) close(descriptor_);
}

bool Input::OpenNext() {
  while (next_ != files_.size()) {
    const File& file = files_[next_++];
    descriptor_ = open(file.path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (descriptor_ >= 0) return true;
    complaints_.Add(file.path, errno);
  }
  return false;
}

std::string Input::Read(std::size_t bytes) {
  std::string piece;
  piece.reserve(bytes);
  while (piece.size() != bytes) {
    if (descriptor_ < 0 && !OpenNext()) break;
    // By way of a small buffer that stays in the cache: a string cannot be read into without being filled first.
    const ssize_t got = read(descriptor_, buffer_.data(), std::min(buffer_.size(), bytes - piece.size()));
    if (got > 0) {
      piece.append(buffer_.data(), static_cast<std::size_t>(got));
      bytes_read_ += static_cast<std::uint64_t>(got);
      continue;
    }
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) {
      complaints_.Add(files_[next_ - 1].path, errno);
    } else {
      ++files_read_;
    }
    close(descriptor_);
    descriptor_ = -1;
    piece.push_back('\0');
  }
  // The store accounts capacity.
  if (piece.size() != bytes) piece.shrink_to_fit();
  return piece;
}

}  // namespace word_count
