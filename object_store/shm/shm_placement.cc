#include "object_store/shm/shm_placement.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "core/codec.h"
#include "core/id.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/type_info.h"
#include "object_store/placement.h"
#include "object_store/shm/segment.h"
#include "object_store/shm/segment_file.h"

namespace rustyray::object_store {
namespace {

using shm::Segment;

// An object that another process put.
class ForeignRecord final : public core::Record {
 public:
  ForeignRecord(std::string type_name, std::uint64_t fingerprint, const void* bytes, std::size_t size)
      : Record(0, false), name_(std::move(type_name)) {
    const core::TypeInfo* known = core::FindTypeInfo(name_, fingerprint);
    if (known == nullptr) {
      // Nothing here can read it; it says so, by its name.
      unknown_ = {.name = name_, .fingerprint = fingerprint};
      known = &unknown_;
    }
    SetValue({.type = known, .data = bytes, .size = size, .native = false});
  }

 private:
  const std::string name_;
  core::TypeInfo unknown_;
};

// A value on its way into the segment.
struct Placing {
  std::string encoded;     // if the value has not its bytes itself
  std::string_view bytes;  // where they are now
  std::vector<core::ObjectRef> refs;
  bool cache = false;
  std::optional<Segment::Object> object;
};

// A record's place: its entry, and whether this process put it.
std::uint64_t PlaceOf(std::uint32_t entry, bool own) { return std::uint64_t{entry} << 1 | (own ? 1 : 0); }

class ShmPlacement final : public Placement {
 public:
  explicit ShmPlacement(std::shared_ptr<Segment> segment) : segment_(std::move(segment)) {}

  absl::StatusOr<Prepared> Prepare(core::Record& record, bool cache) override {
    const core::TypeInfo& type = *record.value().type;
    if (type.codec == nullptr) return InRecord(record);
    auto placing = std::make_unique<Placing>();
    placing->cache = cache;
    if (type.codec->bytes != nullptr) {
      placing->bytes = type.codec->bytes(record.value().data);
    } else {
      core::EncodeSink sink{.bytes = {}, .refs = &placing->refs};
      if (absl::Status status = type.codec->encode(record.value().data, sink); !status.ok()) return status;
      placing->encoded = std::move(sink.bytes);
      placing->bytes = placing->encoded;
    }
    const std::size_t bytes = Segment::BlockBytes(placing->bytes.size(), type.name.size());
    return Prepared{.bytes = bytes, .place = placing.release()};
  }

  absl::Status Place(core::Record& record, Prepared prepared) override {
    auto& placing = *static_cast<Placing*>(prepared.place);
    const core::TypeInfo& type = *record.value().type;
    absl::StatusOr<Segment::Object> object =
        segment_->Create({.id = record.IdOrNil(),
                          .size = placing.bytes.size(),
                          .type_name = type.name,
                          .fingerprint = type.fingerprint,
                          .align = std::min<std::size_t>(type.align, shm::kUnit),
                          .lifetime = placing.cache ? Segment::Lifetime::kCache : Segment::Lifetime::kOwned});
    if (!object.ok()) return object.status();
    if (!placing.bytes.empty()) std::memcpy(segment_->PayloadOf(*object), placing.bytes.data(), placing.bytes.size());
    // Sealed here, where it can still fail. Who finds it before it is committed finds what was put.
    if (absl::Status status = segment_->Seal(*object, false); !status.ok()) {
      (void)segment_->Abort(*object);
      return status;
    }
    placing.object = *object;
    return absl::OkStatus();
  }

  void Commit(core::Record& record, Prepared prepared) override {
    const std::unique_ptr<Placing> placing(static_cast<Placing*>(prepared.place));
    const Segment::Object& object = *placing->object;
    record.set_place(PlaceOf(object.entry, true));
    record.MoveToBytes(segment_->PayloadOf(object), object.fields.size, std::move(placing->refs));
  }

  void Abandon(Prepared prepared) override {
    const std::unique_ptr<Placing> placing(static_cast<Placing*>(prepared.place));
    if (!placing->object.has_value()) return;
    (void)segment_->DeleteEntry(placing->object->entry);
    segment_->Unpin(placing->object->entry);
  }

  std::size_t BytesOf(const core::Record& record) override {
    const core::Value& value = record.value();
    return (record.place() & 1) != 0 ? Segment::BlockBytes(value.size, value.type->name.size()) : 0;
  }

  void Free(core::Record& record) override {
    const auto entry = static_cast<std::uint32_t>(record.place() >> 1);
    if ((record.place() & 1) != 0 && !record.is_cache()) (void)segment_->DeleteEntry(entry);
    segment_->Unpin(entry);
  }

  void Hide(core::Record& record) override {
    if ((record.place() & 1) != 0) (void)segment_->DeleteEntry(static_cast<std::uint32_t>(record.place() >> 1));
  }

  absl::StatusOr<core::Record*> FindElsewhere(const core::ObjectId& id) override {
    absl::StatusOr<Segment::Object> object = segment_->Get(id);
    if (absl::IsNotFound(object.status())) return nullptr;
    if (!object.ok()) return object.status();
    auto* const record = new ForeignRecord(segment_->TypeNameOf(object->entry), object->fields.fingerprint,
                                           segment_->PayloadOf(*object), object->fields.size);
    record->set_place(PlaceOf(object->entry, false));
    return record;
  }

  void Retire() override { segment_.reset(); }

  bool IsElsewhere(const core::Record& record) override { return (record.place() & 1) == 0; }
  bool ContainsElsewhere(const core::ObjectId& id) override { return segment_->Contains(id); }
  absl::Status DeleteElsewhere(const core::ObjectId& id) override { return segment_->Delete(id); }

 private:
  std::shared_ptr<Segment> segment_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<Placement>> MakeShmPlacement(const ShmPlace& place, std::size_t limit_bytes) {
  const std::string name = place.name.empty() ? core::ObjectId::Random().Hex() : place.name;
  absl::StatusOr<std::string> path = shm::SegmentPath(place.directory, name);
  if (!path.ok()) return path.status();
  // A limit of 0 admits nothing that takes bytes: the ledger sees to that.
  const std::size_t limit = std::clamp<std::size_t>(limit_bytes, shm::kUnit, shm::kMostLimit);
  // What fits the limit is not to be rejected for holes: they get addresses enough.
  absl::StatusOr<shm::Geometry> geometry = shm::Geometry::For(limit, place.max_objects, limit + (1 << 16));
  if (!geometry.ok()) return geometry.status();
  absl::StatusOr<shm::SegmentFile::Found> found =
      shm::SegmentFile::Attach({.path = *path, .geometry = *geometry, .keep = false});
  if (!found.ok()) return found.status();
  absl::StatusOr<std::shared_ptr<Segment>> segment = Segment::Make(std::move(found->file));
  if (!segment.ok()) return segment.status();
  return std::make_shared<ShmPlacement>(*std::move(segment));
}

}  // namespace rustyray::object_store
