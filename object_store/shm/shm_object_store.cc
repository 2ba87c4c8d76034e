#include "object_store/shm/shm_object_store.h"

#include <utility>

#include "object_store/placement.h"
#include "object_store/shm/shm_placement.h"
#include "object_store/store_core.h"

namespace rustyray::object_store {

absl::StatusOr<std::unique_ptr<ObjectStore>> MakeShmObjectStore(const ShmPlace& place, const StoreOptions& options) {
  absl::StatusOr<std::shared_ptr<Placement>> placement = MakeShmPlacement(place, options.limit_bytes);
  if (!placement.ok()) return placement.status();
  return MakeStoreOver(options, *std::move(placement));
}

}  // namespace rustyray::object_store
