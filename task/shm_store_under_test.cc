#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "core/id.h"
#include "object_store/shm/shm_object_store.h"
#include "object_store/shm/shm_store.h"
#include "task/store_under_test.h"

namespace rustyray::task {

// It always encodes what it can. Small: a test makes many, and none holds much.
MadeStore MakeStoreUnderTest(const object_store::StoreOptions& options, bool) {
  object_store::StoreOptions small = options;
  small.limit_bytes = std::size_t{64} << 20;
  const std::string name = "test-" + core::ObjectId::Random().Hex();
  std::unique_ptr<object_store::ObjectStore> store = object_store::MakeShmObjectStore({.name = name}, small).value();
  auto segment = std::make_shared<object_store::ShmStore>(object_store::ShmStore::Open(name).value());
  return {std::move(store), [segment = std::move(segment)] {
            const object_store::ShmStatistics now = segment->Statistics().value();
            return now.bytes + now.deleted_but_pinned_bytes;
          }};
}

}  // namespace rustyray::task
