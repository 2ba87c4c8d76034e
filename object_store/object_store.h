// ObjectStore: a bounded place for values that many threads, tasks and actors share by reference. Interface of all
// backends; each backend's header exports one factory.
//
// What is accounted (values put, results of calls, kept decodes) never exceeds the limit, and a put that fits is never
// rejected. Owned objects live as long as a ref; they are not evicted. Cache objects are found by id without any ref
// and are evicted, least recently used first, when room is needed and nothing pins them: no View, no copy under way.
// Threads: all methods, any thread; but nobody may use a store that is being destroyed.
// Lifetime: refs and Views may outlive the store. Views stay valid; reads of refs then say kShutdown.
// Errors: ResourceExhausted (kStoreFull) for no room, AlreadyExists for a taken id, InvalidArgument, and those of
// core/object_ref.h.
#ifndef RUSTYRAY_OBJECT_STORE_OBJECT_STORE_H_
#define RUSTYRAY_OBJECT_STORE_OBJECT_STORE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/account.h"
#include "core/clock.h"
#include "core/codec.h"
#include "core/id.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/stored.h"
#include "core/waiting.h"
#include "object_store/give_back.h"

namespace rustyray::object_store {

enum class Lifetime : std::uint8_t { kOwned, kCache };

// 30 % of the memory that this process may use: of the machine's, or of its control group's limit.
std::size_t DefaultStoreLimit();

struct StoreOptions {
  // Accounted bytes, never exceeded. Zero admits nothing that takes bytes.
  std::size_t limit_bytes = DefaultStoreLimit();
  // Of puts whose options do not say. A store used by itself often wants kCache.
  Lifetime default_lifetime = Lifetime::kOwned;
  // How long a put that finds no room waits for it, unless its options say. Zero: it is rejected at once.
  core::Duration wait_at_limit = core::Duration::zero();
  // Who blocks readers and puts, and whose clock deadlines go by. Null: the store makes one with the machine's clock.
  std::shared_ptr<core::Waiting> waiting = nullptr;
  // Hears of the handles of the store's records until the store is destroyed; null: nobody. It and `waiting` are kept
  // as long as records may point to them.
  std::shared_ptr<core::HandleObserver> observer = nullptr;
};

struct PutOptions {
  std::optional<Lifetime> lifetime = {};
  // The id under which it is found. Cache objects without one draw it; owned objects when they are asked for it.
  std::optional<core::ObjectId> id = {};
  // Whom the bytes are charged to. Nil: the account of the actor on whose behalf the thread runs (core/account.h), if
  // it has one; else none but the store's.
  core::AccountId account = {};
  // Until when to wait for room, first come first served. core::Time::min(): not at all.
  std::optional<core::Time> wait_until = {};
};

// All bytes are accounted bytes. Threads at work may be counted half done; at rest the numbers are exact.
struct StoreStatistics {
  std::size_t limit_bytes = 0;
  std::size_t objects = 0;  // values in the store, results of calls among them
  std::size_t bytes = 0;
  // The most there ever was: exact if one thread put at a time, else it may be the sum of each thread's highest. Never
  // more than the limit.
  std::size_t peak_bytes = 0;
  std::size_t cache_objects = 0;
  std::size_t cache_bytes = 0;
  // What cannot go at present whoever asks: viewed + borrowed + pinned cache objects, at most `bytes`.
  std::size_t pinned_bytes = 0;
  std::size_t viewed_bytes = 0;        // owned objects with Views out, with refs left or without
  std::size_t borrowed_bytes = 0;      // read in place by calls that run, each time counted
  std::size_t cache_pinned_bytes = 0;  // cache objects with Views out
  std::size_t opaque_objects = 0;      // whose types may own memory that accounting cannot see
  std::size_t opaque_bytes = 0;
  std::size_t accounts = 0;
  std::uint64_t hits = 0;  // of Find
  std::uint64_t misses = 0;
  std::uint64_t evictions = 0;
  std::uint64_t rejected = 0;  // puts and results that found no room
};

class ObjectStore : public core::AccountBook {
 public:
  virtual ~ObjectStore() = default;
  ObjectStore(const ObjectStore&) = delete;
  ObjectStore& operator=(const ObjectStore&) = delete;

  // Stores `value`, moved or copied, in one allocation. On an error a value given as an rvalue is back in the argument.
  template <class Policy = core::CoreCodecs, class T>
  absl::StatusOr<core::ObjectRef> Put(T&& value, const PutOptions& options = {}) {
    using Object = std::remove_cvref_t<T>;
    auto* const stored = new core::Stored<Object, Policy>(std::forward<T>(value));
    core::Record* const record = stored;
    if (absl::Status status = Publish({&record, 1}, options); !status.ok()) {
      if constexpr (!std::is_lvalue_reference_v<T> && !std::is_const_v<T>) GiveBack(value, stored->object());
      Discard(*stored);
      return status;
    }
    return core::ObjectRef::Adopt(record);
  }

  // Stores all values, or none: then all are back in `values`. `options.id` must not be set.
  template <class Policy = core::CoreCodecs, class T>
  absl::StatusOr<std::vector<core::ObjectRef>> PutBatch(std::vector<T>&& values, const PutOptions& options = {}) {
    std::vector<core::Record*> records;
    records.reserve(values.size());
    for (auto&& value : values) records.push_back(new core::Stored<T, Policy>(std::move(value)));
    if (absl::Status status = Publish(records, options); !status.ok()) {
      for (std::size_t i = 0; i < values.size(); ++i) {
        auto* const stored = static_cast<core::Stored<T, Policy>*>(records[i]);
        if constexpr (std::is_same_v<T, bool>) {
          values[i] = stored->object();
        } else {
          GiveBack(values[i], stored->object());
        }
        Discard(*stored);
      }
      return status;
    }
    std::vector<core::ObjectRef> refs;
    refs.reserve(records.size());
    for (core::Record* const record : records) refs.push_back(core::ObjectRef::Adopt(record));
    values.clear();
    return refs;
  }

  // Private copies of all, in order; or the first error. Waits for all, up to `deadline`.
  template <class T>
  absl::StatusOr<std::vector<T>> GetBatch(std::span<const core::ObjectRef> refs, core::Time deadline = core::kNever) {
    if (absl::Status status = WaitForAll(refs, deadline); !status.ok()) return status;
    std::vector<T> values;
    values.reserve(refs.size());
    for (const core::ObjectRef& ref : refs) {
      absl::StatusOr<T> value = ref.Get<T>(deadline);
      if (!value.ok()) return value.status();
      values.push_back(*std::move(value));
      NoteRead(ref);
    }
    return values;
  }

  // Shares in the stored objects themselves, in order; or the first error.
  template <class T>
  absl::StatusOr<std::vector<std::shared_ptr<const T>>> ViewBatch(std::span<const core::ObjectRef> refs,
                                                                  core::Time deadline = core::kNever) {
    if (absl::Status status = WaitForAll(refs, deadline); !status.ok()) return status;
    std::vector<std::shared_ptr<const T>> views;
    views.reserve(refs.size());
    for (const core::ObjectRef& ref : refs) {
      absl::StatusOr<std::shared_ptr<const T>> view = ref.View<T>(deadline);
      if (!view.ok()) return view.status();
      views.push_back(*std::move(view));
      NoteRead(ref);
    }
    return views;
  }

  // Waits until `enough` of `refs` are ready, with a value or an error, or the deadline; returns how many are.
  // InvalidArgument for null refs, and for more than there are.
  absl::StatusOr<std::size_t> WaitForSome(std::span<const core::ObjectRef> refs, std::size_t enough,
                                          core::Time deadline = core::kNever);

  // A ref to the object: of cache objects always, of owned ones while there is another ref. NotFound. Counts a hit or a
  // miss; a hit makes a cache object the most recently used.
  virtual absl::StatusOr<core::ObjectRef> Find(const core::ObjectId& id) = 0;
  // Whether Find would find it. Counts nothing.
  virtual bool Contains(const core::ObjectId& id) = 0;
  // Takes the id out of the index: Find finds it no more, and the id is free. A cache object goes at once, or with the
  // last ref and View to it; an owned object stays with its refs. NotFound.
  virtual absl::Status Delete(const core::ObjectId& id) = 0;
  virtual StoreStatistics Statistics() = 0;

  // From now on, what is charged to `account` may take `bytes` in all; more is ResourceExhausted. What is there stays.
  // No quota at first. InvalidArgument for the nil account.
  virtual absl::Status SetQuota(const core::AccountId& account, std::size_t bytes) = 0;
  virtual std::size_t AccountBytes(const core::AccountId& account) = 0;
  // For those who come and go, such as actors: an account that is closed with its last ref and its last value. A store
  // that keeps no accounts gives null.
  core::AccountPtr OpenAccount(const core::AccountId& account, std::size_t quota, std::string holder) override {
    (void)account;
    (void)quota;
    (void)holder;
    return core::AccountPtr();
  }
  // For Record::set_charge, by those who make calls; null for the nil account.
  virtual core::Account* AccountFor(const core::AccountId& account) = 0;

  // From now on puts are refused and reads of refs say kShutdown, as after the store's end; Views stay valid. Others
  // may use the store meanwhile. Idempotent.
  virtual void Close() = 0;

  // For those who make records (calls): their results are admitted here. It outlives the records.
  virtual core::RecordOwner& owner() = 0;
  virtual core::Waiting& waiting() = 0;

 protected:
  ObjectStore() = default;

  // Admits the native values of all `records`, or of none, and makes them ready and findable. Nobody else knows them.
  virtual absl::Status Publish(std::span<core::Record* const> records, const PutOptions& options) = 0;
  // A cache object was read by its ref.
  virtual void NoteRead(const core::ObjectRef& ref) = 0;

 private:
  absl::Status WaitForAll(std::span<const core::ObjectRef> refs, core::Time deadline);

  template <class T, class Policy>
  static void Discard(core::Stored<T, Policy>& stored) {
    std::destroy_at(&stored.object());
    core::ObjectRef::Adopt(&stored);  // unpublished: its last handle frees the storage and tells nobody
  }
};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_OBJECT_STORE_H_
