#include "core/object_ref.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "core/type_name.h"
#include "core/waiting.h"

namespace rustyray::core {

absl::Status EmptyRef() {
  return MakeStatus(absl::StatusCode::kInvalidArgument, ErrorKind::kInvalid,
                    "an empty object ref has no value: it was default-constructed or moved from");
}

ObjectId ObjectRef::Id() const {
  if (record_ == nullptr) return ObjectId::Nil();
  if (record_->is_indexed() || record_->owner() == nullptr) return record_->IdOrNil();
  return record_->owner()->Index(*record_);
}

absl::Status ObjectRef::Wait(Time deadline) const {
  if (record_ == nullptr) return EmptyRef();
  RecordOwner* const owner = record_->owner();
  if (owner != nullptr && owner->closed()) return FromBefore();
  if (!record_->ready()) {
    if (owner == nullptr) return NobodysPending();
    if (absl::Status status = owner->waiting().WaitForRecord(*record_, deadline); !status.ok()) return status;
  }
  if (record_->has_error()) return record_->error()->ToStatus();
  return absl::OkStatus();
}

namespace {

// Whether two names that are unique are of one type. The compiler spells a type now with its default arguments and now
// without, as it met it first in the file that it compiles.
bool IsSpelled(std::string_view name, std::string_view too) {
  return name == too || (!IsLocalTypeName(too) && ReadableTypeName(name) == ReadableTypeName(too));
}

}  // namespace

absl::Status ObjectRef::AwaitType(std::string_view raw_name, Time deadline) const {
  if (absl::Status status = Wait(deadline); !status.ok()) return status;
  const Value& value = record_->value();
  if (value.type->name.data() == raw_name.data() && value.native) [[likely]]
    return absl::OkStatus();
  return CheckType(value, raw_name);
}

absl::Status ObjectRef::FromBefore() {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, ErrorKind::kShutdown,
                    "the object ref is from before a Shutdown: its runtime is gone");
}

absl::Status ObjectRef::NobodysPending() {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, ErrorKind::kInvalid,
                    "the record is pending and belongs to no store");
}

absl::Status ObjectRef::CheckType(const Value& value, std::string_view raw_name) {
  const std::string_view stored = value.type->name;
  if (stored.data() == raw_name.data() || (!IsLocalTypeName(stored) && IsSpelled(stored, raw_name))) {
    if (value.native || value.type->codec != nullptr) return absl::OkStatus();
    return MakeStatus(
        absl::StatusCode::kInvalidArgument, ErrorKind::kTypeMismatch,
        absl::StrCat("the object is a ", ReadableTypeName(stored), " that another process encoded, with a ",
                     "codec or a layout that this program has not"));
  }
  return MakeStatus(absl::StatusCode::kInvalidArgument, ErrorKind::kTypeMismatch,
                    absl::StrCat("the object is a ", ReadableTypeName(stored), ", but it was read as a ",
                                 ReadableTypeName(raw_name)));
}

absl::Status ObjectRef::Evicted() {
  return MakeStatus(absl::StatusCode::kNotFound, ErrorKind::kEvicted, "the object was evicted from its store");
}

absl::Status ObjectRef::SharedMoveOnly(std::string_view raw_name) {
  return MakeStatus(absl::StatusCode::kFailedPrecondition, ErrorKind::kInvalid,
                    absl::StrCat("a ", ReadableTypeName(raw_name),
                                 " cannot be copied, and this ref is not the only one (another ref, a View, or a call "
                                 "in flight has it): use View, or drop the others first"));
}

}  // namespace rustyray::core
