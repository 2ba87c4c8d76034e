// A store for tests that keeps every value that has a codec as bytes, as stores between processes do: what passes on it
// and on the memory store does not depend on where values lie.
// Contract, threads and lifetime: object_store.h.
#ifndef RUSTYRAY_OBJECT_STORE_TESTING_ENCODING_OBJECT_STORE_H_
#define RUSTYRAY_OBJECT_STORE_TESTING_ENCODING_OBJECT_STORE_H_

#include <memory>

#include "object_store/object_store.h"

namespace rustyray::object_store {

std::unique_ptr<ObjectStore> MakeEncodingObjectStore(const StoreOptions& options = {});

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_TESTING_ENCODING_OBJECT_STORE_H_
