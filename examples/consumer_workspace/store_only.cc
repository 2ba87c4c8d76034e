// An object store used by itself: a bounded place for values that threads share without copying them.
#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "core/object_ref.h"
#include "object_store/memory_object_store.h"
#include "object_store/object_store.h"

int main() {
  const auto store = rustyray::object_store::MakeMemoryObjectStore({.limit_bytes = 1'000'000});

  absl::StatusOr<rustyray::core::ObjectRef> ref = store->Put(std::vector<int>{1, 2, 3});
  if (!ref.ok()) return 1;
  const std::shared_ptr<const std::vector<int>> view = *ref->View<std::vector<int>>();  // shared, not copied
  const std::vector<int> copy = *ref->Get<std::vector<int>>();                          // private
  std::printf("%zu numbers, the last is %d\n", view->size(), copy.back());

  std::string large(2'000'000, 'x');
  std::printf("2 MB: %s\n", store->Put(std::move(large)).ok() ? "stored" : "no room in 1 MB");
}
