// The contract with writer and reader in different processes, all of it: another process, the peer, puts each value, in
// a store of its own over the same segment; this one finds it there and reads the bytes that the peer wrote. Whatever
// the contract does to an object here (drop it, delete it, evict it) happens to both.
//
// This process's store keeps the books that the contract looks at. Values without a codec never leave it: they are here
// as in any store over shared memory, beside what the peer has.
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/codec.h"
#include "core/error.h"
#include "core/id.h"
#include "core/mutex.h"
#include "core/object_ref.h"
#include "core/record.h"
#include "core/type_info.h"
#include "gtest/gtest.h"
#include "object_store/object_store.h"
#include "object_store/object_store_contract.h"
#include "object_store/placement.h"
#include "object_store/shm/shm_object_store.h"
#include "object_store/shm/shm_placement.h"
#include "object_store/shm/shm_store.h"
#include "object_store/store_core.h"
#include "object_store/testing/backend.h"

namespace rustyray::object_store {
namespace {

using core::ErrorKind;
using core::ObjectId;
using core::ObjectRef;

// --- What the two say to each other. One is a fork of the other: types are where they are in both.

enum class Kind : std::uint8_t { kOpen, kPut, kHide, kDrop, kDelete, kClose };
struct Command {
  Kind kind = Kind::kOpen;
  bool cache = false;
  std::uint64_t store = 0;               // a number for each that was opened
  std::uint64_t object = 0;              // a number for each that was put
  ObjectId id = {};                      // kPut, kDelete
  const core::TypeInfo* type = nullptr;  // kPut
  std::size_t limit = 0;                 // kOpen
  std::size_t size = 0;                  // of what follows: the name of the store, or the value's bytes
};
struct Reply {
  absl::StatusCode code = absl::StatusCode::kOk;
  ErrorKind kind = ErrorKind::kInvalid;
  std::size_t size = 0;  // of the message that follows
};

bool Send(int to, const void* data, std::size_t size) {
  for (auto* at = static_cast<const char*>(data); size > 0;) {
    const ssize_t sent = send(to, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    at += sent;
    size -= static_cast<std::size_t>(sent);
  }
  return true;
}

bool Receive(int from, void* data, std::size_t size) {
  for (auto* at = static_cast<char*>(data); size > 0;) {
    const ssize_t got = recv(from, at, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    at += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

// --- The peer's side.

// A value of a type that is known when it comes.
class ReceivedObject final : public core::Record {
 public:
  static absl::StatusOr<ReceivedObject*> Make(const core::TypeInfo& type, std::string_view bytes) {
    void* const room = ::operator new (type.size, std::align_val_t{type.align});
    if (absl::Status decoded = type.codec->decode(bytes, {}, room); !decoded.ok()) {
      ::operator delete (room, std::align_val_t{type.align});
      return decoded;
    }
    return new ReceivedObject(type, room);
  }
  ~ReceivedObject() override { ::operator delete (room_, std::align_val_t{type_.align}); }
  // Of one that was rejected.
  void DestroyObject() {
    if (type_.destroy != nullptr) type_.destroy(room_);
  }

 private:
  ReceivedObject(const core::TypeInfo& type, void* room) : Record(0, false), type_(type), room_(room) {
    SetValue({.type = &type, .data = room});
  }
  const core::TypeInfo& type_;
  void* const room_;
};

class PeerStore {
 public:
  static absl::StatusOr<PeerStore> Open(const std::string& name, std::size_t limit) {
    absl::StatusOr<std::shared_ptr<Placement>> placement = MakeShmPlacement({.name = name}, limit);
    if (!placement.ok()) return placement.status();
    PeerStore opened;
    opened.core_.reset(StoreCore::Make({.limit_bytes = limit}, *std::move(placement)));
    return opened;
  }
  absl::Status Put(const Command& command, std::string_view bytes) {
    absl::StatusOr<ReceivedObject*> made = ReceivedObject::Make(*command.type, bytes);
    if (!made.ok()) return made.status();
    core::Record* const record = *made;
    const Lifetime lifetime = command.cache ? Lifetime::kCache : Lifetime::kOwned;
    absl::Status status = core_->Publish({&record, 1}, {.lifetime = lifetime, .id = command.id});
    if (!status.ok()) (*made)->DestroyObject();
    ObjectRef ref = ObjectRef::Adopt(record);
    if (status.ok()) objects_.emplace(command.object, std::move(ref));
    return status;
  }
  // Its id leads to it no more, if it did.
  void Hide(std::uint64_t object) {
    const auto at = objects_.find(object);
    if (at == objects_.end() || !at->second.record()->is_indexed()) return;
    (void)core_->Delete(at->second.record()->IdOrNil());
  }
  void Drop(std::uint64_t object) {
    Hide(object);
    objects_.erase(object);
  }
  absl::Status Delete(const ObjectId& id) { return core_->Delete(id); }

 private:
  struct Retire {
    void operator()(StoreCore* core) const { core->Retire(); }
  };
  PeerStore() = default;
  std::unique_ptr<StoreCore, Retire> core_;
  std::unordered_map<std::uint64_t, ObjectRef> objects_;
};

// Does what it is told until nobody is there to tell it.
void Serve(int socket) {
  std::map<std::uint64_t, PeerStore> stores;
  Command command;
  while (Receive(socket, &command, sizeof(command))) {
    std::string data(command.size, '\0');
    if (!Receive(socket, data.data(), data.size())) return;
    absl::Status status;
    if (command.kind == Kind::kOpen) {
      absl::StatusOr<PeerStore> opened = PeerStore::Open(data, command.limit);
      status = opened.status();
      if (opened.ok()) stores.emplace(command.store, *std::move(opened));
    } else if (command.kind == Kind::kClose) {
      stores.erase(command.store);
    } else {
      PeerStore& store = stores.at(command.store);
      if (command.kind == Kind::kPut) status = store.Put(command, data);
      if (command.kind == Kind::kHide) store.Hide(command.object);
      if (command.kind == Kind::kDrop) store.Drop(command.object);
      if (command.kind == Kind::kDelete) status = store.Delete(command.id);
    }
    const Reply reply{status.code(), core::KindOf(status), status.message().size()};
    if (!Send(socket, &reply, sizeof(reply)) || !Send(socket, status.message().data(), reply.size)) return;
  }
}

// --- This side.

// Begun before the first test, when there are no threads yet, and ended after the last.
class Peer final : public testing::Environment {
 public:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    pid_ = fork();
    if (pid_ == 0) {
      close(ends[0]);
      Serve(ends[1]);
      _exit(0);
    }
    close(ends[1]);
    core::MutexLock lock(mutex_);
    socket_ = ends[0];
  }
  void TearDown() override {
    {
      core::MutexLock lock(mutex_);
      close(std::exchange(socket_, -1));
    }
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    EXPECT_EQ(status, 0);
  }
  std::uint64_t NextNumber() {
    core::MutexLock lock(mutex_);
    return ++last_number_;
  }
  // What the peer says, once it has done it. Any thread.
  absl::Status Tell(Command command, std::string_view data = {}) {
    core::MutexLock lock(mutex_);
    command.size = data.size();
    Reply reply;
    if (!Send(socket_, &command, sizeof(command)) || !Send(socket_, data.data(), data.size()) ||
        !Receive(socket_, &reply, sizeof(reply))) {
      return absl::InternalError("the peer is gone");
    }
    std::string message(reply.size, '\0');
    if (!Receive(socket_, message.data(), message.size())) return absl::InternalError("the peer is gone");
    return reply.code == absl::StatusCode::kOk ? absl::OkStatus() : core::MakeStatus(reply.code, reply.kind, message);
  }

 private:
  pid_t pid_ = 0;
  core::Mutex mutex_;
  int socket_ ABSL_GUARDED_BY(mutex_) = -1;
  std::uint64_t last_number_ ABSL_GUARDED_BY(mutex_) = 0;
};

Peer& ThePeer() {
  static auto* const peer = static_cast<Peer*>(testing::AddGlobalTestEnvironment(new Peer));
  return *peer;
}
[[maybe_unused]] Peer& begun_before_main = ThePeer();

// Has the peer put values, and finds them as a reader does.
class PlacementByPeer final : public Placement {
 public:
  PlacementByPeer(std::uint64_t store, std::shared_ptr<Placement> reader) : store_(store), reader_(std::move(reader)) {}

  absl::StatusOr<Prepared> Prepare(core::Record& record, bool cache) override {
    absl::StatusOr<Prepared> as_reader = reader_->Prepare(record, cache);
    if (!as_reader.ok() || as_reader->place == nullptr) return as_reader;
    reader_->Abandon(*as_reader);
    auto placing = std::make_unique<Object>();
    placing->cache = cache;
    placing->bytes = as_reader->bytes;
    core::EncodeSink sink;
    if (absl::Status status = record.value().type->codec->encode(record.value().data, sink); !status.ok())
      return status;
    placing->encoded = std::move(sink.bytes);
    return Prepared{.bytes = placing->bytes, .place = placing.release()};
  }

  absl::Status Place(core::Record& record, Prepared prepared) override {
    auto& object = *static_cast<Object*>(prepared.place);
    object.number = ThePeer().NextNumber();
    absl::Status status = Tell({.kind = Kind::kPut,
                                .cache = object.cache,
                                .object = object.number,
                                .id = record.IdOrNil(),
                                .type = record.value().type},
                               object.encoded);
    if (!status.ok()) return status;
    object.put = true;
    absl::StatusOr<core::Record*> found = reader_->FindElsewhere(record.IdOrNil());
    if (!found.ok()) return found.status();
    if (*found == nullptr) return absl::InternalError("what the peer put is not there");
    object.found = *found;
    return absl::OkStatus();
  }

  void Commit(core::Record& record, Prepared prepared) override {
    std::unique_ptr<Object> object(static_cast<Object*>(prepared.place));
    const core::Value& found = object->found->value();
    EXPECT_EQ(std::string_view(static_cast<const char*>(found.data), found.size), object->encoded);
    record.set_place(object->number << 1 | 1);
    record.MoveToBytes(found.data, found.size, {});
    core::MutexLock lock(mutex_);
    objects_.emplace(object->number, std::move(*object));
  }

  void Abandon(Prepared prepared) override {
    const std::unique_ptr<Object> object(static_cast<Object*>(prepared.place));
    if (object->found != nullptr) Forget(*object->found);
    if (object->put) (void)Tell({.kind = Kind::kDrop, .object = object->number});
  }

  std::size_t BytesOf(const core::Record& record) override {
    if (IsElsewhere(record)) return reader_->BytesOf(record);
    core::MutexLock lock(mutex_);
    return objects_.at(record.place() >> 1).bytes;
  }

  void Free(core::Record& record) override {
    if (IsElsewhere(record)) return reader_->Free(record);
    const std::uint64_t number = record.place() >> 1;
    core::Record* found = nullptr;
    {
      core::MutexLock lock(mutex_);
      const auto at = objects_.find(number);
      found = at->second.found;
      objects_.erase(at);
    }
    Forget(*found);
    (void)Tell({.kind = Kind::kDrop, .object = number});
  }

  void Hide(core::Record& record) override {
    if (!IsElsewhere(record)) (void)Tell({.kind = Kind::kHide, .object = record.place() >> 1});
  }

  void Retire() override {
    reader_->Retire();
    (void)Tell({.kind = Kind::kClose});
  }

  absl::StatusOr<core::Record*> FindElsewhere(const ObjectId& id) override { return reader_->FindElsewhere(id); }
  bool IsElsewhere(const core::Record& record) override { return (record.place() & 1) == 0; }
  bool ContainsElsewhere(const ObjectId& id) override { return reader_->ContainsElsewhere(id); }
  absl::Status DeleteElsewhere(const ObjectId& id) override { return Tell({.kind = Kind::kDelete, .id = id}); }

 private:
  struct Object {
    bool cache = false;
    bool put = false;
    std::uint64_t number = 0;
    std::size_t bytes = 0;
    std::string encoded;
    core::Record* found = nullptr;  // the reader's, with its pin
  };

  absl::Status Tell(Command command, std::string_view data = {}) {
    command.store = store_;
    return ThePeer().Tell(command, data);
  }
  void Forget(core::Record& found) {
    reader_->Free(found);
    ObjectRef::Adopt(&found);
  }

  const std::uint64_t store_;
  const std::shared_ptr<Placement> reader_;
  core::Mutex mutex_;
  std::unordered_map<std::uint64_t, Object> objects_ ABSL_GUARDED_BY(mutex_);
};

std::unique_ptr<ObjectStore> MakeNamed(const std::string& name, const StoreOptions& options) {
  const std::uint64_t number = ThePeer().NextNumber();
  const absl::Status opened =
      ThePeer().Tell({.kind = Kind::kOpen, .store = number, .limit = options.limit_bytes}, name);
  EXPECT_TRUE(opened.ok()) << opened;
  return MakeStoreOver(options, std::make_shared<PlacementByPeer>(
                                    number, MakeShmPlacement({.name = name}, options.limit_bytes).value()));
}

std::unique_ptr<ObjectStore> Make(const StoreOptions& options) {
  return MakeNamed("test-" + ObjectId::Random().Hex(), options);
}

INSTANTIATE_TEST_SUITE_P(TwoProcesses, ObjectStoreContract, testing::Values(Backend{"shm", &Make}), NameOfBackend);

TEST(ShmTwoProcesses, WhatIsPutLiesWhereThePeerPutItAndBothHaveIt) {
  const std::string name = "test-" + ObjectId::Random().Hex();
  const auto store = MakeNamed(name, {.limit_bytes = 1 << 20});
  ShmStore segment = ShmStore::Open(name).value();
  ObjectRef ref = store->Put(std::string(100, 'x')).value();
  const std::vector<ShmObjectInfo> there = segment.List().value();
  ASSERT_EQ(there.size(), 1u);
  EXPECT_EQ(there[0].id, ref.Id());
  EXPECT_EQ(there[0].pinned_by, 2);
  EXPECT_EQ(*ref.Get<std::string>(), std::string(100, 'x'));
  ref = ObjectRef();
  EXPECT_EQ(segment.Statistics()->objects, 0u);
  EXPECT_EQ(segment.Statistics()->deleted_but_pinned, 0u);
}

}  // namespace
}  // namespace rustyray::object_store
