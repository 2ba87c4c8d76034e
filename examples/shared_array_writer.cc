// Shares an array of numbers with other programs, in place: run it, then shared_array_reader with the name it prints.
// It makes a store in shared memory, writes the array where readers will read it, and ends when a reader has answered.
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/id.h"
#include "object_store/shm/shm_store.h"

namespace {

using rustyray::core::ObjectId;
using rustyray::object_store::ShmObject;
using rustyray::object_store::ShmStore;
using rustyray::object_store::ShmType;
using rustyray::object_store::ShmWriter;

constexpr std::string_view kUsage =
    "usage: shared_array_writer [NAME [NUMBERS]]\n"
    "  NAME of the store (shared_array), NUMBERS in the array (12500000, which are 100 MB)\n";

// Known to both programs. Ids are usually drawn with ObjectId::Random and passed on.
const ObjectId kArray = *ObjectId::FromHex("00000000-0000-0000-0000-0000000000a1");
const ObjectId kAnswer = *ObjectId::FromHex("00000000-0000-0000-0000-0000000000a2");

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "shared_array_writer: %s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string name = argc > 1 ? argv[1] : "shared_array";
  std::size_t count = 12'500'000;
  if (argc > 2) {
    const std::string_view text = argv[2];
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), count);
    if (error != std::errc() || end != text.data() + text.size() || count == 0 || count > 1'000'000'000) {
      std::fprintf(stderr, "shared_array_writer: '%s' is not a number from 1 to 1000000000\n%s", argv[2],
                   std::string(kUsage).c_str());
      return 2;
    }
  }
  if (argc > 3 || name.starts_with("-")) {
    std::fprintf(stderr, "%s", std::string(kUsage).c_str());
    return 2;
  }

  absl::StatusOr<ShmStore> store =
      ShmStore::Create({.name = name, .limit_bytes = count * sizeof(double) + (std::size_t{1} << 20)});
  if (!store.ok()) return Fail(store.status());
  absl::StatusOr<ShmWriter> writer = store->Create(kArray, count * sizeof(double), ShmType::ArrayOf<double>());
  if (!writer.ok()) return Fail(writer.status());
  const std::span<double> numbers(reinterpret_cast<double*>(writer->bytes().data()), count);
  for (std::size_t i = 0; i < count; ++i) numbers[i] = static_cast<double>(i % 1000);
  const absl::StatusOr<ShmObject> array = std::move(*writer).Seal();  // from here on nobody writes it
  if (!array.ok()) return Fail(array.status());
  std::printf("shared %zu numbers, %.1f MB, as %s\n", count, static_cast<double>(array->bytes().size()) / 1e6,
              name.c_str());
  std::fflush(stdout);

  const absl::StatusOr<ShmObject> answer =
      store->Wait(kAnswer, std::chrono::steady_clock::now() + std::chrono::minutes(10));
  if (!answer.ok()) return Fail(answer.status());
  const auto sum = answer->As<double>();
  if (!sum.ok()) return Fail(sum.status());
  std::printf("a reader says that they sum up to %.0f\n", sum->front());
}
