// The placement of values in a shared segment: what makes a store one over shared memory. Internal to //object_store;
// shm_object_store.h has what it does. Threads: any, as placement.h says.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_SHM_PLACEMENT_H_
#define RUSTYRAY_OBJECT_STORE_SHM_SHM_PLACEMENT_H_

#include <cstddef>
#include <memory>

#include "absl/status/statusor.h"
#include "object_store/placement.h"
#include "object_store/shm/shm_object_store.h"

namespace rustyray::object_store {

// In the segment of that name, made with that limit if there is none. Errors: those of ShmStore::OpenOrCreate.
absl::StatusOr<std::shared_ptr<Placement>> MakeShmPlacement(const ShmPlace& place, std::size_t limit_bytes);

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_SHM_SHM_PLACEMENT_H_
