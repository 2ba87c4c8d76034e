// The owner service of one process. A first and a last handle together cost a few nanoseconds and take no lock.
//
// Live records stand in slots of pages; each thread fills the free slots of its own pages. See slot_pages.h for how a
// report reads records that other threads drop.
// Contract, threads and lifetime: owner_service.h.
#ifndef RUSTYRAY_OWNERSHIP_LOCAL_OWNER_SERVICE_H_
#define RUSTYRAY_OWNERSHIP_LOCAL_OWNER_SERVICE_H_

#include <memory>

#include "ownership/owner_service.h"

namespace rustyray::ownership {

std::shared_ptr<OwnerService> MakeLocalOwnerService();

}  // namespace rustyray::ownership

#endif  // RUSTYRAY_OWNERSHIP_LOCAL_OWNER_SERVICE_H_
