// An object store used by itself: no tasks, no runtime. Shows its limit, pins, eviction, what a wrong type gives, and
// the statistics.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/id.h"
#include "core/object_ref.h"
#include "object_store/memory_object_store.h"
#include "object_store/object_store.h"

namespace {

namespace store = rustyray::object_store;
using rustyray::core::ObjectId;
using rustyray::core::ObjectRef;

constexpr std::size_t kKilobyte = 1000;

void Print(const char* what, const absl::Status& status) {
  std::printf("%s: %s\n", what, status.ok() ? "OK" : std::string(status.message()).c_str());
}

void PrintStatistics(store::ObjectStore& objects) {
  const store::StoreStatistics now = objects.Statistics();
  std::printf("  [%zu objects, %zu of %zu kB, pinned %zu kB]\n", now.objects, now.bytes / kKilobyte,
              now.limit_bytes / kKilobyte, now.pinned_bytes / kKilobyte);
}

// Owned objects live as long as something refers to them.
void Limit() {
  std::printf("--- Limit\n");
  const std::unique_ptr<store::ObjectStore> objects = store::MakeMemoryObjectStore({.limit_bytes = 1000 * kKilobyte});
  absl::StatusOr<ObjectRef> first = objects->Put(std::string(600 * kKilobyte, 'a'));
  Print("put 600 kB", first.status());
  PrintStatistics(*objects);

  std::string more(600 * kKilobyte, 'b');
  absl::StatusOr<ObjectRef> second = objects->Put(std::move(more));
  std::printf("put 600 kB more: %s; %zu kB are back with the caller\n",
              absl::IsResourceExhausted(second.status()) ? "no room" : "OK", more.size() / kKilobyte);

  *first = ObjectRef();
  std::printf("the last ref to the first is gone\n");
  PrintStatistics(*objects);
  second = objects->Put(std::move(more));
  Print("put 600 kB again", second.status());
  PrintStatistics(*objects);
}

// Cache objects stay without refs, found by their ids, until room is needed. Views pin them.
void PinsAndEviction() {
  std::printf("--- Pins and eviction\n");
  const std::unique_ptr<store::ObjectStore> objects =
      store::MakeMemoryObjectStore({.limit_bytes = 1000 * kKilobyte, .default_lifetime = store::Lifetime::kCache});
  std::vector<ObjectId> ids;
  const auto put = [&](char letter) {
    ids.push_back(ObjectId::Random());
    Print("put 300 kB", objects->Put(std::string(300 * kKilobyte, letter), {.id = ids.back()}).status());
  };
  const auto found = [&] {
    std::printf("  found:");
    for (std::size_t i = 0; i < ids.size(); ++i) std::printf(" %zu %s", i, objects->Contains(ids[i]) ? "yes" : "no");
    std::printf("\n");
  };
  put('0');
  put('1');
  put('2');
  found();

  std::shared_ptr<const std::string> view;
  if (absl::StatusOr<ObjectRef> ref = objects->Find(ids[0]); ref.ok()) view = *ref->View<std::string>();
  std::printf("0 is viewed, then 1 is looked up: 2 is now the least recently used\n");
  (void)objects->Find(ids[1]);
  PrintStatistics(*objects);
  put('3');
  found();
  put('4');
  found();
  std::printf("0 is still there to read: '%c'\n", view->front());

  Print("put 800 kB beside the pinned 300", objects->Put(std::string(800 * kKilobyte, 'x')).status());
  view = nullptr;
  std::printf("the view is gone\n");
  Print("put 800 kB", objects->Put(std::string(800 * kKilobyte, 'x')).status());
  found();
  const store::StoreStatistics end = objects->Statistics();
  std::printf("%zu evictions, %zu hits, %zu misses, peak %zu kB\n", static_cast<std::size_t>(end.evictions),
              static_cast<std::size_t>(end.hits), static_cast<std::size_t>(end.misses), end.peak_bytes / kKilobyte);
}

void Types() {
  std::printf("--- Types\n");
  const std::unique_ptr<store::ObjectStore> objects = store::MakeMemoryObjectStore();
  const absl::StatusOr<ObjectRef> ref = objects->Put(std::vector<int>{1, 2, 3});
  Print("read a vector<int> as a vector<int>", ref->Get<std::vector<int>>().status());
  Print("read a vector<int> as a string", ref->Get<std::string>().status());
}

}  // namespace

int main() {
  Limit();
  PinsAndEviction();
  Types();
}
