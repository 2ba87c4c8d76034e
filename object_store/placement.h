// Placement: the seam between what all stores do alike (limits, ids, eviction) and where a backend keeps values.
//
// A value is placed in two steps around the admission: Prepare says how many bytes it will take and changes nothing
// that the record shows; then either Commit or Abandon. Free ends a value that was committed as bytes.
// Threads: all methods, any thread, for different records. Errors: Prepare's reject the value.
#ifndef RUSTYRAY_OBJECT_STORE_PLACEMENT_H_
#define RUSTYRAY_OBJECT_STORE_PLACEMENT_H_

#include <cstddef>

#include "absl/status/statusor.h"
#include "core/record.h"

namespace rustyray::object_store {

class Placement {
 public:
  struct Prepared {
    std::size_t bytes = 0;  // to be accounted for the value
    void* place = nullptr;  // the backend's own
  };
  virtual ~Placement() = default;
  virtual absl::StatusOr<Prepared> Prepare(core::Record& record) = 0;
  virtual void Commit(core::Record& record, Prepared prepared) = 0;
  virtual void Abandon(Prepared prepared) = 0;
  // Frees `value`, which lies as Commit left it.
  virtual void Free(const core::Value& value) = 0;
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_PLACEMENT_H_
