// The memory backend: values stay native in their records, in this process.
//
// Values of any type that can be moved: no codec is needed. A value takes what accounting says (core/accounting.h).
// Contract, threads and lifetime: object_store.h.
#ifndef RUSTYRAY_OBJECT_STORE_MEMORY_OBJECT_STORE_H_
#define RUSTYRAY_OBJECT_STORE_MEMORY_OBJECT_STORE_H_

#include <memory>

#include "object_store/object_store.h"

namespace rustyray::object_store {

std::unique_ptr<ObjectStore> MakeMemoryObjectStore(const StoreOptions& options = {});

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_MEMORY_OBJECT_STORE_H_
