#include "object_store/memory_object_store.h"

#include "object_store/store_core.h"

namespace rustyray::object_store {

std::unique_ptr<ObjectStore> MakeMemoryObjectStore(const StoreOptions& options) {
  return MakeStoreOver(options, nullptr);
}

}  // namespace rustyray::object_store
