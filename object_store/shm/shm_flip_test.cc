// Bits of a live segment are flipped, everywhere: what is read is right, or is an error; nobody crashes, nothing hangs.

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/id.h"
#include "core/testing/seeds.h"
#include "gtest/gtest.h"
#include "object_store/shm/chaos.h"
#include "object_store/shm/chaos_worker.h"
#include "object_store/shm/layout.h"
#include "object_store/shm/segment_file.h"
#include "object_store/shm/shm_store.h"

namespace rustyray::object_store {
namespace {

constexpr std::size_t kLimit = 8 << 20;
constexpr int kIds = 200;
constexpr int kFlipsAStore = 500;

// The parts of a segment that are used, to flip bits in.
class Flipper {
 public:
  Flipper(shm::SegmentFile& file, std::uint64_t seed) : file_(file), random_(seed) {
    const shm::Geometry& geometry = file.geometry();
    // The header's fixed part is read once, when a store is opened: who flips it before is told so.
    AddPart("header", offsetof(shm::SegmentHeader, gate), sizeof(shm::SegmentHeader));
    AddPart("shards", geometry.shards_at, geometry.buckets_at - shm::kPage);
    AddPart("buckets", geometry.buckets_at, geometry.entries_at - shm::kPage);
    AddPart("entries", geometry.entries_at, geometry.pins_at - shm::kPage);
    AddPart("pins", geometry.pins_at, geometry.tags_at - shm::kPage);
    AddPart("tags", geometry.tags_at, geometry.arena_at - shm::kPage);
    AddPart("arena", geometry.arena_at, geometry.segment_bytes - shm::kPage);
  }

  // Which part it was in.
  std::string Flip() {
    const Part& part = parts_[random_() % parts_.size()];
    std::vector<std::pair<std::uint64_t, std::uint64_t>> pages;
    file_.VisitPages(part.begin, part.end - part.begin,
                     [&](std::uint64_t at, std::uint64_t size) { pages.emplace_back(at, size); });
    if (pages.empty()) return part.name;
    const auto& [at, size] = pages[random_() % pages.size()];
    const std::uint64_t begin = std::max(at, part.begin);
    const std::uint64_t end = std::min(at + size, part.end);
    // Half of all where words are not zero: there is more to break.
    std::uint64_t byte = begin + random_() % (end - begin);
    for (int look = 0; look < 200 && random_() % 8 != 0 && file_.base()[byte] == 0; ++look) {
      byte = begin + random_() % (end - begin);
    }
    reinterpret_cast<std::atomic<char>*>(file_.base() + byte)->fetch_xor(static_cast<char>(1u << (random_() % 8)));
    return part.name;
  }

 private:
  struct Part {
    std::string name;
    std::uint64_t begin;
    std::uint64_t end;
  };
  void AddPart(std::string name, std::uint64_t begin, std::uint64_t end) {
    parts_.push_back({std::move(name), begin, end});
  }
  shm::SegmentFile& file_;
  std::mt19937_64 random_;
  std::vector<Part> parts_;
};

// Puts, reads and deletes a little; what is wrong, if anything is. A bit flipped in what is written and not sealed yet
// would be part of the object: who writes must not do so while others flip.
std::string UseIt(ShmStore& store, std::mt19937_64& random, std::vector<ShmObject>& held, bool writes = true) {
  const auto begun = std::chrono::steady_clock::now();
  const auto id = [&] { return Chaos::IdOf(static_cast<int>(random() % kIds)); };
  for (int i = 0; i < 4; ++i) {
    const std::size_t size = 8 + random() % 3000;
    const core::ObjectId putting = id();
    if (writes) {
      absl::StatusOr<ShmWriter> writer = store.Create(putting, size, ShmType::ArrayOf<char>(), {.checksum = true});
      if (writer.ok()) {
        Chaos::Fill(putting, writer->bytes());
        (void)std::move(*writer).Seal();
      }
    }
    absl::StatusOr<ShmObject> object = store.Get(id());
    if (object.ok()) {
      const std::string type = object->type_name();
      if (type != "std::vector<char>" && type != "(a name that is damaged)") return "a wrong type: " + type;
      if (object->As<int>().ok()) return "read as a wrong type";
      // In this order: a bit may be flipped between the two.
      if (!Chaos::IsFilled(object->id(), object->bytes()) && object->Verify().ok()) return "wrong bytes";
      if (random() % 4 == 0) held.push_back(*std::move(object));
      if (held.size() > 16) held.erase(held.begin());
    }
    if (random() % 4 == 0) (void)store.Delete(id());
  }
  (void)store.Statistics();
  (void)store.List();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
  return took.count() > 5 ? "it took " + std::to_string(took.count()) + " s" : "";
}

TEST(ShmFlips, WhatIsReadIsRightOrAnError) {
  const int stores = core::Sized(6, 200);
  for (int number = 0; number < stores; ++number) {
    const std::uint64_t seed = static_cast<std::uint64_t>(number) + 1;
    SCOPED_TRACE("seed " + std::to_string(seed));
    // In a process of its own, so that a crash is seen as one.
    Worker flipped([&]() -> std::string {
      ShmStore store = ShmStore::Create({.limit_bytes = kLimit}).value();
      absl::StatusOr<shm::SegmentFile::Found> found = shm::SegmentFile::Attach(
          {.path = *shm::SegmentPath("/dev/shm", store.name()), .mode = shm::SegmentFile::Mode::kOpen});
      if (!found.ok()) return found.status().ToString();
      Worker reader([&]() -> std::string {
        absl::StatusOr<ShmStore> mine = ShmStore::Open(store.name());
        if (!mine.ok()) return "";  // already too damaged to enter
        std::mt19937_64 random(seed + 1000);
        std::vector<ShmObject> held;
        for (;;) {
          if (std::string wrong = UseIt(*mine, random, held, false); !wrong.empty()) return wrong;
        }
      });
      std::mt19937_64 random(seed);
      std::vector<ShmObject> held;
      for (int i = 0; i < 20; ++i) {
        if (std::string wrong = UseIt(store, random, held); !wrong.empty()) return "before any flip: " + wrong;
      }
      Flipper flipper(*found->file, seed);
      for (int flip = 0; flip < kFlipsAStore; ++flip) {
        const std::string part = flipper.Flip();
        if (std::string wrong = UseIt(store, random, held); !wrong.empty()) {
          return "after flip " + std::to_string(flip) + ", in " + part + ": " + wrong;
        }
      }
      if (reader.Ended() && reader.WasKilled()) return "the reader crashed";
      const std::string said = reader.Kill();
      return said.empty() ? "done" : "the reader: " + said;
    });
    flipped.WaitFor();
    const std::string said = flipped.Kill();
    ASSERT_EQ(said, "done");
  }
}

}  // namespace
}  // namespace rustyray::object_store
