#include "object_store/testing/encoding_object_store.h"

#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/codec.h"
#include "core/object_ref.h"
#include "core/type_info.h"
#include "object_store/placement.h"
#include "object_store/store_core.h"

namespace rustyray::object_store {
namespace {

struct Encoded {
  void* bytes;
  std::size_t size;
  std::vector<core::ObjectRef> refs;
};

class EncodingPlacement final : public Placement {
 public:
  absl::StatusOr<Prepared> Prepare(core::Record& record, bool) override {
    const core::TypeInfo& type = *record.value().type;
    if (type.codec == nullptr) return InRecord(record);
    std::vector<core::ObjectRef> refs;
    core::EncodeSink sink{.bytes = {}, .refs = &refs};
    if (absl::Status status = type.codec->encode(record.value().data, sink); !status.ok()) return status;
    const std::size_t size = sink.bytes.size();
    void* const bytes = std::malloc(size + 1);  // so that no two values share an address
    std::memcpy(bytes, sink.bytes.data(), size);
    return Prepared{.bytes = size, .place = new Encoded{bytes, size, std::move(refs)}};
  }

  absl::Status Place(core::Record&, Prepared) override { return absl::OkStatus(); }

  void Commit(core::Record& record, Prepared prepared) override {
    auto* const encoded = static_cast<Encoded*>(prepared.place);
    record.MoveToBytes(encoded->bytes, encoded->size, std::move(encoded->refs));
    delete encoded;
  }

  void Abandon(Prepared prepared) override {
    auto* const encoded = static_cast<Encoded*>(prepared.place);
    std::free(encoded->bytes);
    delete encoded;
  }

  void Free(core::Record& record) override { std::free(const_cast<void*>(record.value().data)); }
};

}  // namespace

std::unique_ptr<ObjectStore> MakeEncodingObjectStore(const StoreOptions& options) {
  return MakeStoreOver(options, std::make_shared<EncodingPlacement>());
}

}  // namespace rustyray::object_store
