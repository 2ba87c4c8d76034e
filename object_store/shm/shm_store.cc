#include "object_store/shm/shm_store.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/error.h"
#include "core/type_name.h"
#include "object_store/shm/segment.h"
#include "object_store/shm/segment_file.h"

namespace rustyray::object_store {

using shm::Segment;
using shm::SegmentFile;

std::size_t DefaultShmStoreLimit() { return std::min<std::size_t>(DefaultStoreLimit(), shm::kMostLimit); }

// --- Objects.

ShmObject::ShmObject() = default;

ShmObject::ShmObject(ShmObject&& other) noexcept
    : segment_(std::move(other.segment_)),
      id_(other.id_),
      entry_(other.entry_),
      generation_(other.generation_),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      fingerprint_(other.fingerprint_) {}

ShmObject& ShmObject::operator=(ShmObject&& other) noexcept {
  ShmObject moved(std::move(other));
  std::swap(segment_, moved.segment_);
  std::swap(id_, moved.id_);
  std::swap(entry_, moved.entry_);
  std::swap(generation_, moved.generation_);
  std::swap(data_, moved.data_);
  std::swap(size_, moved.size_);
  std::swap(fingerprint_, moved.fingerprint_);
  return *this;
}

ShmObject::~ShmObject() {
  if (segment_ != nullptr) segment_->Unpin(entry_);
}

std::string ShmObject::type_name() const {
  if (segment_ == nullptr) return {};
  return core::ReadableTypeName(segment_->TypeNameOf(entry_));
}

absl::Status ShmObject::CheckType(const ShmType& expected, std::size_t element) const {
  if (segment_ == nullptr) {
    return core::MakeStatus(absl::StatusCode::kInvalidArgument, core::ErrorKind::kInvalid,
                            "there is no object to read");
  }
  if (fingerprint_ != expected.fingerprint || segment_->TypeNameOf(entry_) != expected.name) {
    return core::MakeStatus(absl::StatusCode::kInvalidArgument, core::ErrorKind::kTypeMismatch,
                            absl::StrCat("the object ", id_.Hex(), " is a ", type_name(), ", not a ",
                                         core::ReadableTypeName(expected.name)));
  }
  if (reinterpret_cast<std::uintptr_t>(data_) % expected.align != 0 || size_ % element != 0) {
    return core::MakeStatus(
        absl::StatusCode::kInvalidArgument, core::ErrorKind::kTypeMismatch,
        absl::StrCat("the object ", id_.Hex(), " has ", size_, " bytes, which are no whole number of ", "elements of ",
                     element, " bytes aligned to ", expected.align));
  }
  return absl::OkStatus();
}

absl::Status ShmObject::Verify() const {
  return segment_->VerifyPayload(id_, entry_, {reinterpret_cast<const char*>(data_), size_});
}

std::shared_ptr<const std::byte> ShmObject::Share(ShmObject object) {
  const auto shared = std::make_shared<const ShmObject>(std::move(object));
  return {shared, shared->data_};
}

// --- Writers.

struct ShmWriter::State {
  std::shared_ptr<Segment> segment;
  Segment::Object object;
  bool checksum;
};

ShmWriter::ShmWriter(ShmWriter&&) noexcept = default;

ShmWriter::~ShmWriter() {
  if (state_ != nullptr) (void)state_->segment->Abort(state_->object);
}

absl::StatusOr<ShmObject> ShmWriter::Seal() && {
  const std::unique_ptr<State> state = std::move(state_);
  if (state == nullptr) {
    return core::MakeStatus(absl::StatusCode::kFailedPrecondition, core::ErrorKind::kInvalid,
                            "the object was sealed or aborted already");
  }
  if (absl::Status status = state->segment->Seal(state->object, state->checksum); !status.ok()) {
    (void)state->segment->Abort(state->object);
    return status;
  }
  ShmObject object;
  object.segment_ = state->segment;
  object.id_ = state->object.id;
  object.entry_ = state->object.entry;
  object.generation_ = state->object.generation;
  object.data_ = data_;
  object.size_ = size_;
  object.fingerprint_ = state->object.fields.fingerprint;
  return object;
}

absl::Status ShmWriter::Abort() && {
  const std::unique_ptr<State> state = std::move(state_);
  return state == nullptr ? absl::OkStatus() : state->segment->Abort(state->object);
}

// --- The store.

ShmStore::ShmStore(std::string name, std::shared_ptr<Segment> segment)
    : name_(std::move(name)), segment_(std::move(segment)) {}

absl::StatusOr<ShmStore> ShmStore::Attach(const ShmStoreOptions& options, int mode) {
  const std::string name = options.name.empty() ? core::ObjectId::Random().Hex() : options.name;
  absl::StatusOr<std::string> path = shm::SegmentPath(options.directory, name);
  if (!path.ok()) return path.status();
  SegmentFile::Request request{
      .path = *std::move(path), .mode = static_cast<SegmentFile::Mode>(mode), .keep = options.keep};
  if (request.mode != SegmentFile::Mode::kOpen) {
    absl::StatusOr<shm::Geometry> geometry = shm::Geometry::For(options.limit_bytes, options.max_objects, 0);
    if (!geometry.ok()) return geometry.status();
    request.geometry = *geometry;
  }
  absl::StatusOr<SegmentFile::Found> found = SegmentFile::Attach(request);
  if (!found.ok()) return found.status();
  absl::StatusOr<std::shared_ptr<Segment>> segment = Segment::Make(std::move(found->file));
  if (!segment.ok()) return segment.status();
  return ShmStore(name, *std::move(segment));
}

absl::StatusOr<ShmStore> ShmStore::Create(const ShmStoreOptions& options) {
  return Attach(options, static_cast<int>(SegmentFile::Mode::kCreate));
}

absl::StatusOr<ShmStore> ShmStore::Open(std::string_view name, std::string_view directory) {
  if (name.empty()) return shm::SegmentPath(directory, name).status();
  return Attach({.name = std::string(name), .directory = std::string(directory)},
                static_cast<int>(SegmentFile::Mode::kOpen));
}

absl::StatusOr<ShmStore> ShmStore::OpenOrCreate(const ShmStoreOptions& options) {
  return Attach(options, static_cast<int>(SegmentFile::Mode::kOpenOrCreate));
}

absl::Status ShmStore::Remove(std::string_view name, std::string_view directory) {
  absl::StatusOr<std::string> path = shm::SegmentPath(directory, name);
  return path.ok() ? SegmentFile::Remove(*path) : path.status();
}

std::vector<std::string> ShmStore::Names(std::string_view directory) {
  return SegmentFile::Names(std::string(directory));
}

std::size_t ShmStore::limit_bytes() const { return segment_->file().geometry().limit_bytes; }

absl::StatusOr<ShmWriter> ShmStore::Create(const core::ObjectId& id, std::size_t size, const ShmType& type,
                                           const ShmPutOptions& options) {
  absl::StatusOr<Segment::Object> object = segment_->Create(
      {.id = id,
       .size = size,
       .type_name = type.name,
       .fingerprint = type.fingerprint,
       .align = type.align,
       .lifetime = options.lifetime == Lifetime::kOwned ? Segment::Lifetime::kOwned : Segment::Lifetime::kCache});
  if (!object.ok()) return object.status();
  ShmWriter writer;
  writer.data_ = reinterpret_cast<std::byte*>(segment_->PayloadOf(*object));
  writer.size_ = size;
  writer.state_ = std::make_unique<ShmWriter::State>(ShmWriter::State{segment_, *object, options.checksum});
  return writer;
}

absl::StatusOr<ShmObject> ShmStore::Put(const core::ObjectId& id, std::span<const std::byte> bytes, const ShmType& type,
                                        const ShmPutOptions& options) {
  absl::StatusOr<ShmWriter> writer = Create(id, bytes.size(), type, options);
  if (!writer.ok()) return writer.status();
  if (!bytes.empty()) std::memcpy(writer->bytes().data(), bytes.data(), bytes.size());
  return std::move(*writer).Seal();
}

ShmObject ShmStore::Wrap(const shm::SegmentObject& object) const {
  ShmObject wrapped;
  wrapped.segment_ = segment_;
  wrapped.id_ = object.id;
  wrapped.entry_ = object.entry;
  wrapped.generation_ = object.generation;
  wrapped.data_ = reinterpret_cast<const std::byte*>(segment_->PayloadOf(object));
  wrapped.size_ = object.fields.size;
  wrapped.fingerprint_ = object.fields.fingerprint;
  return wrapped;
}

absl::StatusOr<ShmObject> ShmStore::Get(const core::ObjectId& id) {
  absl::StatusOr<Segment::Object> object = segment_->Get(id);
  if (!object.ok()) return object.status();
  return Wrap(*object);
}

absl::StatusOr<ShmObject> ShmStore::Wait(const core::ObjectId& id, core::Time deadline) {
  absl::StatusOr<Segment::Object> object = segment_->Await(id, deadline);
  if (!object.ok()) return object.status();
  return Wrap(*object);
}

bool ShmStore::Contains(const core::ObjectId& id) { return segment_->Contains(id); }

absl::Status ShmStore::Delete(const core::ObjectId& id) { return segment_->Delete(id); }

absl::StatusOr<std::vector<ShmObjectInfo>> ShmStore::List() {
  if (absl::StatusOr<bool> reclaimed = segment_->ReclaimDead(); !reclaimed.ok()) return reclaimed.status();
  absl::StatusOr<std::vector<Segment::Object>> objects = segment_->List();
  if (!objects.ok()) return objects.status();
  std::vector<ShmObjectInfo> infos;
  infos.reserve(objects->size());
  for (const Segment::Object& object : *objects) {
    infos.push_back({.id = object.id,
                     .size = object.fields.size,
                     .type_name = core::ReadableTypeName(segment_->TypeNameOf(object.entry)),
                     .sealed = object.state == shm::EntryState::kSealed,
                     .lifetime = object.fields.lifetime == static_cast<std::uint8_t>(Segment::Lifetime::kOwned)
                                     ? Lifetime::kOwned
                                     : Lifetime::kCache,
                     .pinned_by = segment_->PinnedBy(object.entry)});
  }
  return infos;
}

absl::StatusOr<ShmStatistics> ShmStore::Statistics() {
  if (absl::StatusOr<bool> reclaimed = segment_->ReclaimDead(); !reclaimed.ok()) return reclaimed.status();
  absl::StatusOr<Segment::Totals> totals = segment_->Measure();
  if (!totals.ok()) return totals.status();
  return ShmStatistics{.limit_bytes = limit_bytes(),
                       .objects = totals->objects,
                       .bytes = totals->bytes,
                       .being_written = totals->creating,
                       .deleted_but_pinned = totals->condemned,
                       .deleted_but_pinned_bytes = totals->condemned_bytes,
                       .free_bytes = totals->free_bytes,
                       .largest_hole = totals->largest_hole,
                       .evictions = totals->evictions,
                       .recoveries = totals->recoveries,
                       .lost = totals->lost,
                       .pids = std::move(totals->pids)};
}

absl::Status ShmStore::ReclaimDead() { return segment_->ReclaimDead().status(); }

std::uint32_t ShmStore::WatchToken() { return segment_->WatchToken(); }

void ShmStore::AwaitChange(std::uint32_t token, core::Time deadline) { segment_->AwaitChange(token, deadline); }

}  // namespace rustyray::object_store
