// Tasks and actors share one dataset of 100 MB by reference. Nothing copies it, and the program proves so: everybody
// sees it at the same address, the store accounts for it once, and the process does not grow.
#include <ray/api.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <utility>
#include <vector>

namespace {

using Dataset = std::vector<float>;
constexpr std::size_t kNumbers = 25'000'000;
constexpr std::size_t kMegabyte = 1'000'000;
constexpr std::size_t kMostGrowth = 5 * kMegabyte;  // a copy has 100

// What a reader saw, and where.
struct Reading {
  std::uintptr_t address;
  double sum;
};

Reading Read(const Dataset& data) {
  double sum = 0;
  for (const float number : data) sum += number;
  return {reinterpret_cast<std::uintptr_t>(data.data()), sum};
}

class Analyst {
 public:
  // The parameter is a ref: it is kept, not read.
  static Analyst* Create(ray::ObjectRef<Dataset> data) { return new Analyst(data); }

  // The dataset comes as an argument, by a ref that the caller gave.
  Reading ReadArgument(const Dataset& data) { return Read(data); }
  // The dataset is read through the ref that the actor keeps.
  Reading ReadView() { return Read(*ray::View(data_)); }

 private:
  explicit Analyst(const ray::ObjectRef<Dataset>& data) : data_(data) {}
  const ray::ObjectRef<Dataset> data_;
};

RAY_REMOTE(Read, Analyst::Create, &Analyst::ReadArgument, &Analyst::ReadView);

std::size_t ResidentBytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

int main() {
  ray::Init();
  Dataset numbers(kNumbers, 0.5f);
  const auto address = reinterpret_cast<std::uintptr_t>(numbers.data());
  const std::size_t resident_before = ResidentBytes();
  const ray::ObjectRef<Dataset> data = ray::Put(std::move(numbers));  // moves the vector, copies none of it

  std::vector<ray::ActorHandle<Analyst>> analysts;
  for (int i = 0; i < 4; ++i) analysts.push_back(ray::Actor(Analyst::Create).Remote(data));
  std::vector<ray::ObjectRef<Reading>> readings;
  for (const auto& analyst : analysts) {
    readings.push_back(ray::Task(Read).Remote(data));
    readings.push_back(analyst.Task(&Analyst::ReadArgument).Remote(data));
    readings.push_back(analyst.Task(&Analyst::ReadView).Remote());
  }

  int same_address = 0, same_sum = 0;
  for (const auto& reading : ray::Get(readings)) {
    same_address += reading->address == address;
    same_sum += reading->sum == 0.5 * kNumbers;
  }
  const std::size_t resident_after = ResidentBytes();
  const std::size_t stored = ray::GetStoreStatistics().bytes / kMegabyte;
  const bool grew = resident_after > resident_before + kMostGrowth;

  std::printf("%zu readings by tasks and actors, %d of them right\n", readings.size(), same_sum);
  std::printf("%d of them at the address where the dataset was made\n", same_address);
  std::printf("the store holds %zu MB\n", stored);
  std::printf("the process grew by %s than %zu MB\n", grew ? "more" : "less", kMostGrowth / kMegabyte);
  const int expected = static_cast<int>(readings.size());
  ray::Shutdown();
  return same_address == expected && same_sum == expected && stored == 100 && !grew ? 0 : 1;
}
