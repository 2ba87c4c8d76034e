// Chaos: what a process does to a shared store in tests of crashes: objects under a few ids, put, read, deleted,
// aborted and waited for at random, and every byte checked. Test only.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_CHAOS_H_
#define RUSTYRAY_OBJECT_STORE_SHM_CHAOS_H_

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "core/id.h"
#include "object_store/shm/shm_store.h"
#include "object_store/shm/words.h"

namespace rustyray::object_store {

class Chaos {
 public:
  Chaos(ShmStore& store, std::uint64_t seed, std::size_t most_bytes, int ids = 256)
      : store_(store), random_(seed), most_bytes_(most_bytes), ids_(ids) {}

  // One operation. Empty, or what was wrong.
  std::string Step() {
    const auto begun = std::chrono::steady_clock::now();
    std::string wrong = Act();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
    if (wrong.empty() && took.count() > 5) wrong = absl::StrCat("an operation took ", took.count(), " s");
    return wrong;
  }
  void DropAll() { held_.clear(); }

  static core::ObjectId IdOf(int number) {
    return *core::ObjectId::FromHex(
        absl::StrCat(absl::Hex(shm::Mix(static_cast<std::uint64_t>(number)), absl::kZeroPad16),
                     absl::Hex(shm::Mix(~static_cast<std::uint64_t>(number)), absl::kZeroPad16)));
  }
  // The bytes depend on the id and on the size, which the first word tells.
  static void Fill(const core::ObjectId& id, std::span<std::byte> bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
      const std::uint64_t word = WordAt(id, bytes.size(), at);
      std::memcpy(bytes.data() + at, &word, std::min<std::size_t>(8, bytes.size() - at));
    }
  }
  static bool IsFilled(const core::ObjectId& id, std::span<const std::byte> bytes) {
    for (std::size_t at = 0; at < bytes.size(); at += 8) {
      const std::uint64_t word = WordAt(id, bytes.size(), at);
      if (std::memcmp(bytes.data() + at, &word, std::min<std::size_t>(8, bytes.size() - at)) != 0) return false;
    }
    return true;
  }

 private:
  static std::uint64_t WordAt(const core::ObjectId& id, std::size_t size, std::size_t at) {
    std::uint64_t word;
    std::memcpy(&word, &id, 8);
    return shm::Mix(word ^ shm::Mix(size) ^ at);
  }

  std::string Act() {
    const core::ObjectId id = IdOf(static_cast<int>(random_() % static_cast<std::uint64_t>(ids_)));
    switch (random_() % 10) {
      case 0:
      case 1:
      case 2:
        return Put(id);
      case 3:
      case 4:
      case 5:
      case 6:
        return Read(id);
      case 7: {
        const absl::Status status = store_.Delete(id);
        return status.ok() || absl::IsNotFound(status) || absl::IsFailedPrecondition(status)
                   ? ""
                   : absl::StrCat("delete: ", status.ToString());
      }
      case 8: {
        const absl::StatusOr<ShmObject> object = store_.Wait(id, std::chrono::steady_clock::now());
        return object.ok() || absl::IsDeadlineExceeded(object.status())
                   ? ""
                   : absl::StrCat("wait: ", object.status().ToString());
      }
      default:
        if (!held_.empty()) held_.erase(held_.begin() + static_cast<std::ptrdiff_t>(random_() % held_.size()));
        return "";
    }
  }

  std::string Put(const core::ObjectId& id) {
    // Sizes in equal numbers of each magnitude.
    const double magnitude = std::uniform_real_distribution<>(0, std::log2(static_cast<double>(most_bytes_)))(random_);
    const auto size = static_cast<std::size_t>(std::exp2(magnitude));
    absl::StatusOr<ShmWriter> writer =
        store_.Create(id, size, {}, {.lifetime = random_() % 4 == 0 ? Lifetime::kOwned : Lifetime::kCache});
    if (absl::IsAlreadyExists(writer.status()) || absl::IsResourceExhausted(writer.status())) return "";
    if (!writer.ok()) return absl::StrCat("create: ", writer.status().ToString());
    Fill(id, writer->bytes());
    if (random_() % 8 == 0) return "";  // aborted
    absl::StatusOr<ShmObject> object = std::move(*writer).Seal();
    if (!object.ok()) return absl::StrCat("seal: ", object.status().ToString());
    return Keep(*std::move(object));
  }

  std::string Read(const core::ObjectId& id) {
    absl::StatusOr<ShmObject> object = store_.Get(id);
    if (absl::IsNotFound(object.status())) return "";
    if (!object.ok()) return absl::StrCat("get: ", object.status().ToString());
    return Keep(*std::move(object));
  }

  // Looks at it, and again at what was held long.
  std::string Keep(ShmObject object) {
    if (!IsFilled(object.id(), object.bytes())) return absl::StrCat("wrong bytes in ", object.id().Hex());
    if (random_() % 2 == 0) return "";
    held_.push_back(std::move(object));
    if (held_.size() <= 8) return "";
    const ShmObject old = std::move(held_.front());
    held_.erase(held_.begin());
    return IsFilled(old.id(), old.bytes()) ? "" : absl::StrCat("bytes changed under a pin of ", old.id().Hex());
  }

  ShmStore& store_;
  std::mt19937_64 random_;
  const std::size_t most_bytes_;
  const int ids_;
  std::vector<ShmObject> held_;
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_SHM_CHAOS_H_
