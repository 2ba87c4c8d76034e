// Reads the array of shared_array_writer where it lies, and shows that nothing was copied. It sleeps while the array is
// still being written.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <numeric>
#include <span>
#include <sstream>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/id.h"
#include "object_store/shm/shm_store.h"

namespace {

using rustyray::core::ObjectId;
using rustyray::object_store::ShmObject;
using rustyray::object_store::ShmStore;
using rustyray::object_store::ShmType;

// Known to both programs.
const ObjectId kArray = *ObjectId::FromHex("00000000-0000-0000-0000-0000000000a1");
const ObjectId kAnswer = *ObjectId::FromHex("00000000-0000-0000-0000-0000000000a2");

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "shared_array_reader: %s\n", std::string(status.message()).c_str());
  return 1;
}

// What this process alone has, of the kernel's account of it: its heap and stacks, no shared memory.
double PrivateMegabytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stod(line.substr(8)) * 1024 / 1e6;
  }
  return -1;
}

// The file that is mapped at an address.
std::string FileMappedAt(const void* address) {
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words(line);
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
    char dash = 0;
    std::string access, offset, device, inode, file;
    words >> std::hex >> begin >> dash >> end >> access >> offset >> device >> inode >> file;
    const auto at = reinterpret_cast<std::uintptr_t>(address);
    if (begin <= at && at < end) return file;
  }
  return "nothing";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
    std::fprintf(stderr, "usage: shared_array_reader [NAME]\n  NAME of the store (shared_array)\n");
    return 2;
  }
  absl::StatusOr<ShmStore> store = ShmStore::Open(argc > 1 ? argv[1] : "shared_array");
  if (!store.ok()) return Fail(store.status());
  const double before = PrivateMegabytes();

  // Sleeps until the writer has sealed it.
  const absl::StatusOr<ShmObject> array =
      store->Wait(kArray, std::chrono::steady_clock::now() + std::chrono::minutes(10));
  if (!array.ok()) return Fail(array.status());
  const absl::StatusOr<std::span<const double>> numbers = array->As<double>();
  if (!numbers.ok()) return Fail(numbers.status());
  const double sum = std::accumulate(numbers->begin(), numbers->end(), 0.0);

  std::printf("%zu numbers sum up to %.0f\n", numbers->size(), sum);
  std::printf("they lie in %s\n", FileMappedAt(numbers->data()).c_str());
  std::printf("%.1f MB were read, and this process's own memory grew by %.1f MB\n",
              static_cast<double>(array->bytes().size()) / 1e6, std::max(0.0, PrivateMegabytes() - before));
  const absl::StatusOr<ShmObject> answer =
      store->Put(kAnswer, std::as_bytes(std::span(&sum, 1)), ShmType::ArrayOf<double>());
  return answer.ok() ? 0 : Fail(answer.status());
}
