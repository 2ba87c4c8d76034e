// Placement: the seam between what all stores do alike (limits, ids, eviction) and where a backend keeps values.
//
// A value is placed in steps around its admission: Prepare says how many bytes it will take, and takes nothing; once
// they are admitted, Place takes room in the backend, which may have none; then Commit, or Abandon at any step before.
// A value that cannot lie elsewhere, since its type has no codec, stays native in its record: Prepare says so, and the
// backend does nothing more for it. It is accounted as in a store without a placement.
// Others may have objects in the same place: another process, in shared memory. They are found by id.
// Threads: all methods, any thread, for different records. Errors: those of Prepare and Place reject the value.
#ifndef RUSTYRAY_OBJECT_STORE_PLACEMENT_H_
#define RUSTYRAY_OBJECT_STORE_PLACEMENT_H_

#include <cstddef>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/id.h"
#include "core/object_ref.h"
#include "core/record.h"

namespace rustyray::object_store {

class Placement {
 public:
  struct Prepared {
    std::size_t bytes = 0;  // to be accounted for the value
    void* place = nullptr;  // the backend's own; null: the value stays in its record
  };
  static Prepared InRecord(const core::Record& record) {
    return {.bytes = record.value().type->AccountedSizeOf(record.value().data)};
  }
  virtual ~Placement() = default;
  // `record` has its id. `cache`: whether it will be a cache object.
  virtual absl::StatusOr<Prepared> Prepare(core::Record& record, bool cache) = 0;
  virtual absl::Status Place(core::Record& record, Prepared prepared) = 0;
  virtual void Commit(core::Record& record, Prepared prepared) = 0;
  virtual void Abandon(Prepared prepared) = 0;
  // Of a committed value: what it was admitted with; 0 for one of others.
  virtual std::size_t BytesOf(const core::Record& record) { return record.value().size; }
  // Frees the value of `record`, which lies as Commit, or FindElsewhere, left it.
  virtual void Free(core::Record& record) = 0;
  // The store is gone, and no value of it is left or comes, and none is on its way: the backend may let go of what
  // values lay in.
  virtual void Retire() {}
  // Nobody may find `record` by its id any more, in other processes either. Idempotent; nothing to do for a value that
  // stayed in its record.
  virtual void Hide(core::Record&) {}

  // An object of others, as a record that nobody has yet, encoded and with its place set; null if there is none.
  virtual absl::StatusOr<core::Record*> FindElsewhere(const core::ObjectId&) { return nullptr; }
  // Whether FindElsewhere made it: the index is not for it.
  virtual bool IsElsewhere(const core::Record&) { return false; }
  virtual bool ContainsElsewhere(const core::ObjectId&) { return false; }
  // NotFound if others have no such object.
  virtual absl::Status DeleteElsewhere(const core::ObjectId&) { return absl::NotFoundError(""); }
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_PLACEMENT_H_
