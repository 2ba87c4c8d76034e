// ObjectRef: a reference to a record that counts as a handle. The universal reference: results, arguments and put
// objects are all reached by it. Untyped; reads name the type.
//
// Threads: as std::shared_ptr: different refs to one record may be used by different threads, one ref object may not be
// written while another thread uses it. Moving touches no count; copying adds before anything is dropped.
// Reads block until the record is ready, up to a deadline by the clock of its owner (kNever: for good; such a wait runs
// the call it waits for if nobody has begun it).
// Errors of reads: the record's own; DeadlineExceeded (kTimeout); kWaitCycle; kShutdown for a ref that outlived its
// store; InvalidArgument (kTypeMismatch) naming both types; kEvicted.
#ifndef RUSTYRAY_CORE_OBJECT_REF_H_
#define RUSTYRAY_CORE_OBJECT_REF_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/codec.h"
#include "core/error.h"
#include "core/id.h"
#include "core/private_copy.h"
#include "core/record.h"
#include "core/type_info.h"

namespace rustyray::core {

// The error of reading, or waiting for, a null ref.
absl::Status EmptyRef();

class ObjectRef {
 public:
  ObjectRef() = default;
  // Takes over a handle that the caller has on `record`.
  static ObjectRef Adopt(Record* record) { return ObjectRef(record); }
  // Adds a handle; `record` has at least one.
  static ObjectRef Share(Record& record) {
    record.AddHandle();
    return ObjectRef(&record);
  }
  ObjectRef(const ObjectRef& other) : record_(other.record_) {
    if (record_ != nullptr) record_->AddHandle();
  }
  ObjectRef(ObjectRef&& other) noexcept : record_(std::exchange(other.record_, nullptr)) {}
  ObjectRef& operator=(ObjectRef other) noexcept {
    std::swap(record_, other.record_);
    return *this;
  }
  ~ObjectRef() {
    if (record_ != nullptr) record_->DropHandle();
  }

  explicit operator bool() const { return record_ != nullptr; }
  Record* record() const { return record_; }
  bool ready() const { return record_ != nullptr && record_->ready(); }
  friend bool operator==(const ObjectRef& a, const ObjectRef& b) { return a.record_ == b.record_; }

  // The object's id, under which its store finds it from now on. Nil for a null ref.
  ObjectId Id() const;

  // OK once there is a value; the record's error once there is one.
  absl::Status Wait(Time deadline = kNever) const;

  // Whether there is a value of the type with this raw name, to be read now: what AwaitType finds out in the common
  // case.
  bool HoldsNow(std::string_view raw_name) const {
    return record_ != nullptr && record_->has_value() && record_->value().type->name.data() == raw_name.data() &&
           record_->owner() != nullptr && !record_->owner()->closed();
  }

  // OK once there is a value of the type with this raw name (type_name.h); else why not.
  absl::Status AwaitType(std::string_view raw_name, Time deadline = kNever) const;

  // A share in the stored object itself; costs the same for any size.
  template <class T>
  absl::StatusOr<std::shared_ptr<const T>> View(Time deadline = kNever) const {
    if (absl::Status status = AwaitA<T>(deadline); !status.ok()) return status;
    absl::StatusOr<std::shared_ptr<const void>> view = record_->View();
    if (!view.ok()) return view.status();
    return std::static_pointer_cast<const T>(*std::move(view));
  }

  // A private copy.
  template <class T>
  absl::StatusOr<T> Get(Time deadline = kNever) const {
    static_assert(kPrivateCopyable<T>, "T cannot be copied: use View, or Take (of the only ref)");
    if (absl::Status status = AwaitA<T>(deadline); !status.ok()) return status;
    return CopyOut<T>();
  }

  // The object itself, moved out, when this ref is its only handle and no View or pin is out; else a private copy.
  // The ref is null afterwards, unless an error is returned. FailedPrecondition for a T that cannot be copied and has
  // other handles.
  template <class T>
  absl::StatusOr<T> Take(Time deadline = kNever) && {
    if (absl::Status status = AwaitA<T>(deadline); !status.ok()) return status;
    if (record_->value().native && record_->TakeIfOnlyHandle()) {
      absl::StatusOr<T> taken(std::move(*static_cast<T*>(const_cast<void*>(record_->value().data))));
      *this = ObjectRef();
      return taken;
    }
    if constexpr (kPrivateCopyable<T>) {
      absl::StatusOr<T> copy = CopyOut<T>();
      if (copy.ok()) *this = ObjectRef();
      return copy;
    } else {
      if (!record_->value().native) return CopyOut<T>();
      return SharedMoveOnly(RawTypeName<T>());
    }
  }

 private:
  explicit ObjectRef(Record* record) : record_(record) {}
  template <class T>
  absl::Status AwaitA(Time deadline) const {
    if constexpr (kHasCodec<T>) (void)&internal::kRegisteredType<T>;  // what another process encoded can be read as T
    return AwaitType(RawTypeName<T>(), deadline);
  }
  static absl::Status FromBefore();
  static absl::Status NobodysPending();
  static absl::Status CheckType(const Value& value, std::string_view raw_name);
  static absl::Status Evicted();
  static absl::Status SharedMoveOnly(std::string_view raw_name);

  template <class T>
  absl::StatusOr<T> CopyOut() const {
    Record& record = *record_;
    if (!record.PinIfPresentCache()) return Evicted();
    struct Unpin {
      Record& record;
      ~Unpin() { record.UnpinCache(); }
    } unpin{record};
    if (record.value().native) {
      if constexpr (kPrivateCopyable<T>) {
        return PrivateCopy(*static_cast<const T*>(record.value().data));
      } else {
        return SharedMoveOnly(RawTypeName<T>());
      }
    }
    return DecodeOut<T>();
  }

  template <class T>
  absl::StatusOr<T> DecodeOut() const {
    const Value& value = record_->value();
    union Room {
      Room() {}
      ~Room() {}
      T object;
    } room;
    absl::Status decoded = value.type->codec->decode(std::string_view(static_cast<const char*>(value.data), value.size),
                                                     record_->inner_refs(), &room.object);
    if (!decoded.ok()) return decoded;
    absl::StatusOr<T> result(std::move(room.object));
    room.object.~T();
    return result;
  }

  Record* record_ = nullptr;
};

}  // namespace rustyray::core

template <>
struct std::hash<rustyray::core::ObjectRef> {
  std::size_t operator()(const rustyray::core::ObjectRef& ref) const noexcept {
    return std::hash<const void*>{}(ref.record());
  }
};

#endif  // RUSTYRAY_CORE_OBJECT_REF_H_
