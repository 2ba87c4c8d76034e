// What the object store holds, for people and tests.
#ifndef RAY_API_STATISTICS_H_
#define RAY_API_STATISTICS_H_

#include "object_store/object_store.h"

namespace ray {

// Accounted bytes and objects; see the fields.
using StoreStatistics = rustyray::object_store::StoreStatistics;

// RayException before Init and after Shutdown.
StoreStatistics GetStoreStatistics();

}  // namespace ray

#endif  // RAY_API_STATISTICS_H_
