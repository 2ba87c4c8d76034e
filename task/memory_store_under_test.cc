#include "object_store/memory_object_store.h"
#include "object_store/testing/encoding_object_store.h"
#include "task/store_under_test.h"

namespace rustyray::task {

MadeStore MakeStoreUnderTest(const object_store::StoreOptions& options, bool encodes) {
  return {encodes ? object_store::MakeEncodingObjectStore(options) : object_store::MakeMemoryObjectStore(options)};
}

}  // namespace rustyray::task
