// RecordExtras: what few records have, in one side block made on demand. Part of core/record.cc; nobody else includes
// it.
#ifndef RUSTYRAY_CORE_RECORD_EXTRAS_H_
#define RUSTYRAY_CORE_RECORD_EXTRAS_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/error.h"
#include "core/id.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/type_info.h"

namespace rustyray::core {

struct RecordExtras {
  ObjectId id;                         // under the record's spin bit until indexed
  std::shared_ptr<const void> anchor;  // the record's share of what all Views share; written under the spin bit
  std::atomic<int> live_anchors{0};    // anchors whose deleter has not run
  std::vector<ObjectRef> inner;
  std::atomic<std::uint64_t> recency{0};
  ErrorPtr error;             // of who won the sealing; published with kError
  Account* charge = nullptr;  // whom the bytes are charged to, if not to the owner's own account
  std::atomic<std::uint64_t> place{0};
};

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_RECORD_EXTRAS_H_
