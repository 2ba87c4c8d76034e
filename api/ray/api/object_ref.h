// ray::ObjectRef<T>: a typed reference to an object, present or to come; and how to read it.
//
//   Get(ref)             a private copy
//   Get(std::move(ref))  the object itself when this is the only ref, else a private copy; empties the ref
//   View(ref)            a share in the stored object itself, at a cost that does not depend on its size
//   Wait(refs, k, ms)    until k of them are ready
// Times are milliseconds, -1 is for ever; a timeout throws RayTimeoutException. Reads throw what the task threw, as a
// RayTaskException. Each has a Try... twin that returns an absl::StatusOr instead of throwing.
// Threads: as std::shared_ptr. An untimed Get may run the task that it waits for on the calling thread.
#ifndef RAY_API_OBJECT_REF_H_
#define RAY_API_OBJECT_REF_H_

#include <cstddef>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/block_cache.h"
#include "core/object_ref.h"
#include "core/private_copy.h"
#include "core/type_name.h"
#include "ray/api/exception.h"
#include "ray/api/runtime_use.h"
#include "task/result.h"

namespace ray {

template <class T>
class ObjectRef;

namespace internal {

// What a record holds behind an ObjectRef<T>, and the other way round.
template <class T>
using StoredFor = std::conditional_t<std::is_void_v<T>, rustyray::task::Nothing, T>;
template <class Stored>
using RefTo = ObjectRef<std::conditional_t<std::is_same_v<Stored, rustyray::task::Nothing>, void, Stored>>;

// Out of the templates: waits until `ref` holds an object of the type, or says why it does not.
absl::Status AwaitObject(const rustyray::core::ObjectRef& ref, std::string_view raw_type, int timeout_ms);
// Until all of `count` are ready, whatever they hold.
absl::Status AwaitAll(std::size_t count, absl::FunctionRef<const rustyray::core::ObjectRef&(std::size_t)> at,
                      int timeout_ms);
// Which of `count` are ready, once `enough` are or the time is up.
absl::StatusOr<std::vector<bool>> AwaitSome(std::size_t count,
                                            absl::FunctionRef<const rustyray::core::ObjectRef&(std::size_t)> at,
                                            int enough, int timeout_ms);
absl::StatusOr<rustyray::core::ObjectRef> FindById(const std::string& id);
std::string IdOf(const rustyray::core::ObjectRef& ref);

struct RefAccess {
  template <class T>
  static const rustyray::core::ObjectRef& Core(const ObjectRef<T>& ref) {
    return ref.ref_;
  }
  template <class T>
  static rustyray::core::ObjectRef Take(ObjectRef<T>&& ref) {
    return std::move(ref.ref_);
  }
  template <class T>
  static ObjectRef<T> Make(rustyray::core::ObjectRef ref) {
    return ObjectRef<T>(std::move(ref));
  }
  // The same, of the type Ref = ObjectRef<T>.
  template <class Ref>
  static Ref MakeAs(rustyray::core::ObjectRef ref) {
    return Ref(std::move(ref));
  }
};

// A shared object in a block of its own, which the thread that drops it keeps for its next one.
template <class T, class U>
std::shared_ptr<T> MakeObject(U&& value) {
  return std::allocate_shared<T>(rustyray::core::BlockAllocator<T>(), std::forward<U>(value));
}

// Whether the object can be read at once: then nothing below this line of a read is looked at.
template <class T>
bool IsHere(const rustyray::core::ObjectRef& ref) {
  return current_runtime.load(std::memory_order_acquire) != nullptr && ref.HoldsNow(rustyray::core::RawTypeName<T>());
}

// What the Views of an object that can be read at once share; null before the first one.
template <class T>
const std::shared_ptr<const void>* AnchorHere(const ObjectRef<T>& ref) {
  const rustyray::core::ObjectRef& core = RefAccess::Core(ref);
  return IsHere<T>(core) ? core.record()->AnchorIfViewed() : nullptr;
}

// A private copy of an object that is there.
template <class T>
absl::StatusOr<std::shared_ptr<T>> CopyObject(const rustyray::core::ObjectRef& ref) {
  rustyray::core::Record& record = *ref.record();
  if (record.value().native && !record.is_cache()) [[likely]] {
    return MakeObject<T>(rustyray::core::PrivateCopy(*static_cast<const T*>(record.value().data)));
  }
  absl::StatusOr<T> copy = ref.Get<T>();
  if (!copy.ok()) return copy.status();
  return MakeObject<T>(*std::move(copy));
}

}  // namespace internal

template <class T>
class ObjectRef {
 public:
  ObjectRef() = default;
  // The object with this id; RayException when none is known under it.
  explicit ObjectRef(const std::string& id) : ref_(internal::OrThrow(internal::FindById(id))) {}

  // The object's id, as text; the object can be found by it while there is a ref. Empty for an empty ref.
  std::string ID() const { return internal::IdOf(ref_); }
  // The same as ray::Get.
  auto Get() const;
  auto Get(const int& timeout_ms) const;

  explicit operator bool() const { return static_cast<bool>(ref_); }
  friend bool operator==(const ObjectRef& a, const ObjectRef& b) { return a.ref_ == b.ref_; }

 private:
  friend struct internal::RefAccess;
  explicit ObjectRef(rustyray::core::ObjectRef ref) : ref_(std::move(ref)) {}

  rustyray::core::ObjectRef ref_;
};

// --- One object.

// `timeout_ms`: -1 waits for ever. T = void: only waits.
template <class T>
absl::StatusOr<std::shared_ptr<internal::StoredFor<T>>> TryGet(const ObjectRef<T>& ref, int timeout_ms = -1) {
  using Stored = internal::StoredFor<T>;
  static_assert(rustyray::core::kPrivateCopyable<Stored>,
                "ray::Get makes a private copy, and this type cannot be copied: use View, or Get(std::move(ref))");
  const rustyray::core::ObjectRef& core = internal::RefAccess::Core(ref);
  if (internal::IsHere<Stored>(core)) [[likely]]
    return internal::CopyObject<Stored>(core);
  if (absl::Status status = internal::AwaitObject(core, rustyray::core::RawTypeName<Stored>(), timeout_ms);
      !status.ok()) {
    return status;
  }
  return internal::CopyObject<Stored>(core);
}

// The object itself, if nobody else can see it. `ref` is empty afterwards, unless there was an error.
template <class T>
absl::StatusOr<std::shared_ptr<internal::StoredFor<T>>> TryGet(ObjectRef<T>&& ref, int timeout_ms = -1) {
  using Stored = internal::StoredFor<T>;
  const rustyray::core::ObjectRef& core = internal::RefAccess::Core(ref);
  if (absl::Status status = internal::AwaitObject(core, rustyray::core::RawTypeName<Stored>(), timeout_ms);
      !status.ok()) {
    return status;
  }
  rustyray::core::ObjectRef taken = internal::RefAccess::Take(std::move(ref));
  rustyray::core::Record& record = *taken.record();
  if (record.value().native && record.TakeIfOnlyHandle()) [[likely]] {
    return internal::MakeObject<Stored>(std::move(*static_cast<Stored*>(const_cast<void*>(record.value().data))));
  }
  absl::StatusOr<Stored> object = std::move(taken).template Take<Stored>();
  if (!object.ok()) {
    ref = internal::RefAccess::Make<T>(std::move(taken));
    return object.status();
  }
  return internal::MakeObject<Stored>(*std::move(object));
}

template <class T>
auto Get(const ObjectRef<T>& ref, const int& timeout_ms = -1) {
  if constexpr (std::is_void_v<T>) {
    internal::ThrowUnlessOk(TryGet(ref, timeout_ms).status());
  } else {
    return internal::OrThrow(TryGet(ref, timeout_ms));
  }
}

template <class T>
auto Get(ObjectRef<T>&& ref, const int& timeout_ms = -1) {
  if constexpr (std::is_void_v<T>) {
    internal::ThrowUnlessOk(TryGet(std::move(ref), timeout_ms).status());
  } else {
    return internal::OrThrow(TryGet(std::move(ref), timeout_ms));
  }
}

template <class T>
absl::StatusOr<std::shared_ptr<const T>> TryView(const ObjectRef<T>& ref, int timeout_ms = -1) {
  const rustyray::core::ObjectRef& core = internal::RefAccess::Core(ref);
  if (absl::Status status = internal::AwaitObject(core, rustyray::core::RawTypeName<T>(), timeout_ms); !status.ok()) {
    return status;
  }
  absl::StatusOr<std::shared_ptr<const void>> view = core.record()->View();
  if (!view.ok()) return view.status();
  return std::static_pointer_cast<const T>(*std::move(view));
}

template <class T>
std::shared_ptr<const T> View(const ObjectRef<T>& ref, int timeout_ms = -1) {
  // The common case, without a StatusOr around it.
  if (const std::shared_ptr<const void>* const anchor = internal::AnchorHere(ref)) [[likely]] {
    return std::static_pointer_cast<const T>(*anchor);
  }
  return internal::OrThrow(TryView(ref, timeout_ms));
}

// --- Several objects, in order; or the first error.

template <class T>
absl::StatusOr<std::vector<std::shared_ptr<T>>> TryGet(const std::vector<ObjectRef<T>>& refs, int timeout_ms = -1) {
  const auto at = [&](std::size_t i) -> const rustyray::core::ObjectRef& { return internal::RefAccess::Core(refs[i]); };
  if (absl::Status status = internal::AwaitAll(refs.size(), at, timeout_ms); !status.ok()) return status;
  std::vector<std::shared_ptr<T>> objects;
  objects.reserve(refs.size());
  for (const ObjectRef<T>& ref : refs) {
    absl::StatusOr<std::shared_ptr<T>> object = TryGet(ref, 0);
    if (!object.ok()) return object.status();
    objects.push_back(*std::move(object));
  }
  return objects;
}

template <class T>
std::vector<std::shared_ptr<T>> Get(const std::vector<ObjectRef<T>>& refs, const int& timeout_ms = -1) {
  return internal::OrThrow(TryGet(refs, timeout_ms));
}

// Objects by their ids (ObjectRef::ID).
template <class T>
std::vector<std::shared_ptr<T>> Get(const std::vector<std::string>& ids, const int& timeout_ms = -1) {
  std::vector<ObjectRef<T>> refs;
  refs.reserve(ids.size());
  for (const std::string& id : ids) refs.emplace_back(id);
  return Get(refs, timeout_ms);
}

template <class T>
absl::StatusOr<std::vector<std::shared_ptr<const T>>> TryView(const std::vector<ObjectRef<T>>& refs,
                                                              int timeout_ms = -1) {
  const auto at = [&](std::size_t i) -> const rustyray::core::ObjectRef& { return internal::RefAccess::Core(refs[i]); };
  if (absl::Status status = internal::AwaitAll(refs.size(), at, timeout_ms); !status.ok()) return status;
  std::vector<std::shared_ptr<const T>> views;
  views.reserve(refs.size());
  for (const ObjectRef<T>& ref : refs) {
    absl::StatusOr<std::shared_ptr<const T>> view = TryView(ref, 0);
    if (!view.ok()) return view.status();
    views.push_back(*std::move(view));
  }
  return views;
}

template <class T>
std::vector<std::shared_ptr<const T>> View(const std::vector<ObjectRef<T>>& refs, int timeout_ms = -1) {
  return internal::OrThrow(TryView(refs, timeout_ms));
}

// --- Waiting for some.

template <class T>
class WaitResult {
 public:
  // In the order of what was waited for.
  std::list<ObjectRef<T>> ready;
  std::list<ObjectRef<T>> unready;
};

// Until `num_objects` of `refs` are ready, or the time is up; more may be ready than were asked for. A count outside
// [1, n], or the same ref twice, is an error.
template <class T>
absl::StatusOr<WaitResult<T>> TryWait(const std::vector<ObjectRef<T>>& refs, int num_objects, int timeout_ms) {
  const auto at = [&](std::size_t i) -> const rustyray::core::ObjectRef& { return internal::RefAccess::Core(refs[i]); };
  absl::StatusOr<std::vector<bool>> ready = internal::AwaitSome(refs.size(), at, num_objects, timeout_ms);
  if (!ready.ok()) return ready.status();
  WaitResult<T> result;
  for (std::size_t i = 0; i < refs.size(); ++i) ((*ready)[i] ? result.ready : result.unready).push_back(refs[i]);
  return result;
}

template <class T>
WaitResult<T> Wait(const std::vector<ObjectRef<T>>& refs, int num_objects, int timeout_ms) {
  return internal::OrThrow(TryWait(refs, num_objects, timeout_ms));
}

template <class T>
auto ObjectRef<T>::Get() const {
  return ray::Get(*this);
}

template <class T>
auto ObjectRef<T>::Get(const int& timeout_ms) const {
  return ray::Get(*this, timeout_ms);
}

}  // namespace ray

#endif  // RAY_API_OBJECT_REF_H_
