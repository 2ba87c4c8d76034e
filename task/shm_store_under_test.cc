#include <cstddef>

#include "object_store/shm/shm_object_store.h"
#include "task/store_under_test.h"

namespace rustyray::task {

// It always encodes what it can. Small: a test makes many, and none holds much.
std::unique_ptr<object_store::ObjectStore> MakeStoreUnderTest(const object_store::StoreOptions& options, bool) {
  object_store::StoreOptions small = options;
  small.limit_bytes = std::size_t{64} << 20;
  return object_store::MakeShmObjectStore({}, small).value();
}

}  // namespace rustyray::task
