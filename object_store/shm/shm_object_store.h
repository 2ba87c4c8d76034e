// The shared-memory backend of the object store: values are encoded into a segment that other processes have, too.
//
// Values read by a ref are decoded; arrays can be read in place, by their id, through an ShmStore of the same name. An
// id, given or asked for, is known in all processes: Find gets refs to what others put, too, for as long as the ref is
// held. Owned objects go with the process that put them; cache objects stay, for all, until they are evicted. Refs
// cannot leave the process: a value that holds refs is decoded by others without them, if its codec can.
// A value whose type has no codec cannot leave the process: it stays in this process's memory, under the same limit;
// others do not find it, and may give its id to an object of theirs.
// Values take whole blocks of 64 bytes. The limit is each process's own, and the segment's, of the one who made it, is
// that of all together. Where others have filled the segment, a put is rejected at once; it waits for room in this
// process's limit only.
// Contract, threads and lifetime: object_store.h; sharing, crashes and errors: shm_store.h.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_SHM_OBJECT_STORE_H_
#define RUSTYRAY_OBJECT_STORE_SHM_SHM_OBJECT_STORE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "object_store/object_store.h"

namespace rustyray::object_store {

struct ShmPlace {
  // Empty: a random name, for this process alone.
  std::string name = {};
  std::string directory = "/dev/shm";
  // As in ShmStoreOptions.
  std::size_t max_objects = 0;
};

// A store over the segment of that name, made if there is none. Errors: those of ShmStore::OpenOrCreate.
absl::StatusOr<std::unique_ptr<ObjectStore>> MakeShmObjectStore(const ShmPlace& place = {},
                                                                const StoreOptions& options = {});

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_SHM_SHM_OBJECT_STORE_H_
