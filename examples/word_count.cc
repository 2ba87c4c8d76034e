// Counts the words of files and folders: the driver reads pieces and puts them into the object store, tasks count them
// by reference, and an actor merges the counts as they arrive. See --help.
//
// Memory: a piece and its counts, which take no more than the piece, are in the store until they are merged. So pieces
// are put only while all that are in flight, and their counts, fit under the store's limit.
#include <malloc.h>
#include <ray/api.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "examples/word_count_input.h"
#include "examples/word_counts.h"

using word_count::CountPiece;

namespace {

// The actor: all counts so far.
class Merger {
 public:
  static Merger* Create() { return new Merger; }
  void Merge(const std::string& counts) { totals_.Merge(counts); }
  // After the last: what they come to.
  word_count::WordTotals Finish() {
    totals_.Finish();
    return std::move(totals_);
  }

 private:
  word_count::WordTotals totals_;
};

RAY_REMOTE(CountPiece, Merger::Create, &Merger::Merge, &Merger::Finish);

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// How the input is cut.
struct Plan {
  std::size_t threads;
  std::size_t most_bytes;  // of a piece
  std::size_t pieces_in_flight;
};

constexpr std::size_t kLeastPiece = 8 << 10;

Plan MakePlan(const word_count::Options& options) {
  constexpr std::size_t kMostPiece = 8 << 20;
  // What a piece and its counts may take beyond their bytes, each: the record, and the ends of strings.
  constexpr std::size_t kOverhead = 512;
  Plan plan;
  plan.threads = options.threads != 0 ? static_cast<std::size_t>(options.threads)
                                      : std::max(1u, std::thread::hardware_concurrency());
  // A piece for each thread, and half as many ready for the thread that is done first. Few and large ones have fewer
  // words to merge, which is the driver's work alone.
  const std::size_t in_flight = plan.threads + (plan.threads + 1) / 2;
  plan.most_bytes =
      std::clamp(options.store_limit / (2 * in_flight), kLeastPiece + kOverhead, kMostPiece + kOverhead) - kOverhead;
  plan.pieces_in_flight = options.store_limit / (2 * (plan.most_bytes + kOverhead));
  return plan;
}

// The next piece; they get smaller toward the end, so that all threads end together.
std::size_t PieceBytes(const Plan& plan, std::uint64_t bytes_left) {
  return std::clamp<std::uint64_t>(bytes_left / (2 * plan.threads), kLeastPiece, plan.most_bytes);
}

// A bar on stderr, if that is a terminal.
class ProgressBar {
 public:
  explicit ProgressBar(std::uint64_t total_bytes) : total_(total_bytes), shown_(isatty(STDERR_FILENO) != 0) {}
  ~ProgressBar() {
    if (drawn_) std::fputs("\r\033[K", stderr);
  }

  void Show(std::uint64_t bytes) {
    if (!shown_ || SecondsSince(last_) < 0.1) return;
    last_ = Clock::now();
    drawn_ = true;
    const double part = total_ == 0 ? 0 : std::min(1.0, static_cast<double>(bytes) / static_cast<double>(total_));
    std::string bar(40, ' ');
    std::fill_n(bar.begin(), static_cast<int>(part * 40), '#');
    const double megabytes = static_cast<double>(bytes) / 1e6;
    std::fprintf(stderr, "\r[%s] %3.0f %%  %.0f MB  %.0f MB/s\033[K", bar.c_str(), part * 100, megabytes,
                 megabytes / std::max(SecondsSince(start_), 1e-3));
    std::fflush(stderr);
  }

 private:
  const std::uint64_t total_;
  const bool shown_;
  bool drawn_ = false;
  const Clock::time_point start_ = Clock::now();
  Clock::time_point last_ = start_;
};

// Pieces being counted, and those whose counts are being merged.
class Count {
 public:
  explicit Count(const Plan& plan) : plan_(plan) {}

  // Waits for room for `piece`.
  void Add(std::string piece) {
    while (in_flight() >= plan_.pieces_in_flight) MakeRoom();
    for (;;) {
      auto ref = ray::TryPut(std::move(piece));
      if (ref.ok()) {
        counting_.push_back(ray::Task(CountPiece).Remote(*std::move(ref), tasks_++));
        return;
      }
      // The piece is back in `piece`. Each merge makes room; with nothing to merge there is no hope.
      if (!absl::IsResourceExhausted(ref.status()) || in_flight() == 0) {
        throw ray::RayException(std::string(ref.status().message()));
      }
      MakeRoom();
    }
  }

  // After the last piece: all counts. The actor's own, not copied.
  std::shared_ptr<const word_count::WordTotals> Finish() {
    while (in_flight() != 0) MakeRoom();
    return ray::View(merger_.Task(&Merger::Finish).Remote());
  }

  std::uint64_t tasks() const { return tasks_; }

 private:
  std::size_t in_flight() const { return counting_.size() + merging_.size(); }

  // Waits for some of the counts, and gives those that are there to the actor. Their room is back once they are merged.
  void MakeRoom() {
    if (!counting_.empty()) {
      const int some = static_cast<int>(std::max<std::size_t>(counting_.size() / 4, 1));
      ray::WaitResult<std::string> counts = ray::Wait(counting_, some, -1);
      counting_.assign(counts.unready.begin(), counts.unready.end());
      for (const auto& count : counts.ready) merging_.push_back(merger_.Task(&Merger::Merge).Remote(count));
    }
    for (const ray::ObjectRef<void>& merge : merging_) ray::Get(merge);
    merging_.clear();
  }

  const Plan plan_;
  ray::ActorHandle<Merger> merger_ = ray::Actor(Merger::Create).Remote();
  std::vector<ray::ObjectRef<std::string>> counting_;
  std::vector<ray::ObjectRef<void>> merging_;
  std::uint64_t tasks_ = 0;
};

void PrintTable(const word_count::WordTotals& totals, std::size_t top) {
  if (top == 0 || totals.words() == 0) return;
  constexpr std::size_t kWidest = 40;
  const auto words = totals.Top(top);
  const auto shown = [](const word_count::WordTable::Word& word) {
    if (word.length <= kWidest) return std::string(word.text());
    return std::string(word.text().substr(0, kWidest - 3)) + "...";
  };
  int width = 4;
  for (const auto* word : words) width = std::max(width, static_cast<int>(shown(*word).size()));
  std::printf("%6s  %-*s %12s %8s\n", "rank", width, "word", "count", "share");
  std::size_t rank = 0;
  for (const auto* word : words) {
    std::printf("%6zu  %-*s %12zu %6.2f %%\n", ++rank, width, shown(*word).c_str(),
                static_cast<std::size_t>(word->count),
                100.0 * static_cast<double>(word->count) / static_cast<double>(totals.words()));
  }
  std::printf("\n");
}

// False: an error, which errno names.
bool WriteAll(const word_count::WordTotals& totals, std::FILE* file) {
  // Pipes and terminals have nothing to empty.
  if (ftruncate(fileno(file), 0) != 0 && errno != EINVAL) return false;
  for (const word_count::WordTable::Word* word : totals.Top(totals.different_words())) {
    std::fwrite(word->letters, 1, word->length, file);
    std::fprintf(file, "\t%zu\n", static_cast<std::size_t>(word->count));
  }
  const bool good = std::ferror(file) == 0;
  return std::fclose(file) == 0 && good;
}

int Run(const word_count::Options& options, int argc, char** argv) {
  const Clock::time_point start = Clock::now();
  word_count::Complaints complaints;
  std::vector<word_count::File> files = word_count::ListFiles(options.paths, complaints);
  if (files.empty()) {
    std::fprintf(stderr, "word_count: there are no files to count in %s%s\n", options.paths[0].c_str(),
                 options.paths.size() > 1 ? ", ..." : "");
    return 1;
  }
  std::FILE* output = nullptr;
  if (!options.output.empty()) {
    // Opened before the work, but not emptied: it may be among the files.
    output = std::fopen(options.output.c_str(), "ab");
    if (output == nullptr) {
      complaints.Add(options.output, errno);
      return 1;
    }
  }
  std::uint64_t total_bytes = 0;
  for (const word_count::File& file : files) total_bytes += file.bytes;

  ray::RayConfig config;
  config.threads = options.threads;
  config.store_limit_bytes = options.store_limit;
  ray::Init(config, argc, argv);
  const Plan plan = MakePlan(options);
  word_count::Input input(std::move(files), complaints);
  Count count(plan);
  std::shared_ptr<const word_count::WordTotals> totals;
  {
    ProgressBar progress(total_bytes);
    for (;;) {
      // What has no size when it is listed, such as a pipe, may be large.
      const std::uint64_t left = total_bytes > input.bytes() ? total_bytes - input.bytes() : UINT64_MAX;
      std::string piece = input.Read(PieceBytes(plan, left));
      if (piece.empty()) break;
      count.Add(std::move(piece));
      progress.Show(input.bytes());
    }
    totals = count.Finish();
  }
  const double seconds = SecondsSince(start);
  const std::size_t peak_bytes = ray::GetStoreStatistics().peak_bytes;
  ray::Shutdown();

  PrintTable(*totals, options.top);
  std::printf("%zu files, %zu bytes, %zu words (%zu different) in %.3f s: %.1f MB/s, %zu tasks, peak store %zu bytes\n",
              static_cast<std::size_t>(input.files()), static_cast<std::size_t>(input.bytes()),
              static_cast<std::size_t>(totals->words()), totals->different_words(), seconds,
              static_cast<double>(input.bytes()) / 1e6 / seconds, static_cast<std::size_t>(count.tasks()), peak_bytes);
  if (output != nullptr && !WriteAll(*totals, output)) complaints.Add(options.output, errno);
  return complaints.count() == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  const absl::StatusOr<word_count::Options> options = word_count::ParseOptions(argc, argv);
  if (!options.ok()) {
    std::fprintf(stderr, "word_count: %s; see --help\n", std::string(options.status().message()).c_str());
    return 2;
  }
  if (options->help) {
    std::fputs(word_count::kHelp, stdout);
    return 0;
  }
  // Bazel runs programs in a folder of its own, and tells where its user is.
  if (const char* const folder = std::getenv("BUILD_WORKING_DIRECTORY"); folder != nullptr && chdir(folder) != 0) {
    std::fprintf(stderr, "word_count: BUILD_WORKING_DIRECTORY=%s: %s\n", folder, std::strerror(errno));
    return 1;
  }
  // Pieces come and go, all of about one size. Their pages are kept for the next ones: a page fault is dearer than the
  // copy into it. In flight there are never more than the store's limit allows, so that is all that is kept.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  // Each arena of the allocator keeps pages of its own, and merges run on any thread: no more of them than threads that
  // count, but two, so that the driver is not in the way of one that counts.
  mallopt(M_ARENA_MAX, static_cast<int>(std::max<std::size_t>(MakePlan(*options).threads, 2)));
  try {
    return Run(*options, argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "word_count: %s\n", error.what());
    return 1;
  }
}
