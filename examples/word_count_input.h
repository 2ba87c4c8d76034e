// What word_count counts: its command line, the files that it names, and their bytes.
#ifndef RUSTYRAY_EXAMPLES_WORD_COUNT_INPUT_H_
#define RUSTYRAY_EXAMPLES_WORD_COUNT_INPUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"

namespace word_count {

extern const char kHelp[];

struct Options {
  bool help = false;
  std::size_t top = 10;
  int threads = 0;  // one for each processor, when not given
  std::size_t store_limit = std::size_t{128} << 20;
  std::string output;  // empty: none
  std::vector<std::string> paths;
};

// InvalidArgument names the flag and what it takes. Flags that begin with --ray_ are left to ray::Init.
absl::StatusOr<Options> ParseOptions(int argc, char** argv);

// Says on stderr what cannot be read, and counts it.
class Complaints {
 public:
  void Add(const std::string& path, int error_number);
  int count() const { return count_; }

 private:
  int count_ = 0;
};

struct File {
  std::string path;
  std::uint64_t bytes = 0;  // when it was listed; 0 also for what has no size, such as a pipe
};

// The files of `paths`, each as often as it is named. A folder stands for the regular files below it, as
// `find folder/ -type f` lists them: links in it are not followed, those named in `paths` are.
std::vector<File> ListFiles(const std::vector<std::string>& paths, Complaints& complaints);

// The bytes of all files, one after the other, with a NUL between two, so that no word goes from one file to the next.
class Input {
 public:
  // `complaints` must outlive this.
  Input(std::vector<File> files, Complaints& complaints) : files_(std::move(files)), complaints_(complaints) {}
  ~Input();
  Input(const Input&) = delete;
  Input& operator=(const Input&) = delete;

  // The next `bytes` bytes, fewer at the end; empty after it.
  std::string Read(std::size_t bytes);

  // So far: files read to their end, and their bytes.
  std::uint64_t files() const { return files_read_; }
  std::uint64_t bytes() const { return bytes_read_; }

 private:
  bool OpenNext();

  const std::vector<File> files_;
  Complaints& complaints_;
  std::size_t next_ = 0;
  int descriptor_ = -1;
  std::uint64_t files_read_ = 0;
  std::uint64_t bytes_read_ = 0;
  std::vector<char> buffer_ = std::vector<char>(64 << 10);
};

}  // namespace word_count

#endif  // RUSTYRAY_EXAMPLES_WORD_COUNT_INPUT_H_
