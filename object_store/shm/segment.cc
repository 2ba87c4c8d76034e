#include "object_store/shm/segment.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/error.h"
#include "object_store/shm/crash_point.h"
#include "object_store/shm/failure.h"

namespace rustyray::object_store::shm {
namespace {

// What has to be rebuilt more often than this within one operation cannot be repaired.
constexpr int kMostRecoveries = 4;
constexpr auto kDoubtWaking = std::chrono::seconds(2);

absl::Status NotThere(const core::ObjectId& id) {
  return Failure(absl::StatusCode::kNotFound, absl::StrCat("there is no object with the id ", id.Hex()));
}

absl::Status Damaged(const core::ObjectId& id) {
  return Failure(absl::StatusCode::kDataLoss, absl::StrCat("the entry of the object ", id.Hex(),
                                                           " in shared memory is damaged: the object is lost"));
}

// In the machine's own order: a segment never leaves it.
core::ObjectId IdOf(std::uint64_t high, std::uint64_t low) {
  return std::bit_cast<core::ObjectId>(std::array<std::uint64_t, 2>{high, low});
}

}  // namespace

// --- Operations.

absl::Status Segment::Run(absl::FunctionRef<Step()> operation) {
  core::Time patience = core::kNever;  // asks the time only when it is needed
  for (int recoveries = 0; recoveries <= kMostRecoveries;) {
    if (file_->forked()) {
      return core::MakeStatus(absl::StatusCode::kFailedPrecondition, core::ErrorKind::kShutdown,
                              "this process is the child of a fork: it must open the shared-memory store itself");
    }
    std::uint32_t epoch = header_.epoch.load(std::memory_order_acquire);
    Step step = gate_.Enter();
    if (step == Step::kDone) {
      epoch = header_.epoch.load(std::memory_order_acquire);
      step = operation();
      gate_.Leave();
    }
    if (step == Step::kDone) [[likely]]
      return absl::OkStatus();
    const core::Time now = std::chrono::steady_clock::now();
    if (patience == core::kNever) patience = now + file_->patience();
    if (step == Step::kStuck || now >= patience) return Stuck();
    if (step == Step::kAgain) continue;
    ++recoveries;
    if (absl::Status status = Recover(false, epoch); !status.ok()) return status;
  }
  return Failure(absl::StatusCode::kDataLoss,
                 absl::StrCat("the shared-memory store ", file_->path(), " is damaged: it was recovered ",
                              kMostRecoveries + 1, " times, and still cannot be used"));
}

absl::Status Segment::Stuck() const {
  const std::uint32_t slot = gate_.stuck_on();
  return Failure(absl::StatusCode::kUnavailable,
                 absl::StrCat("the shared-memory store ", file_->path(), " cannot be used: process ",
                              header_.slots[slot % kSlots].pid.load(std::memory_order_relaxed),
                              " is in the middle of an operation on it and has not gone on for ", file_->PatienceText(),
                              " (is it stopped?)"));
}

// --- Objects.

absl::StatusOr<Segment::Object> Segment::Create(const Wanted& wanted) {
  if (wanted.id.IsNil()) return Failure(absl::StatusCode::kInvalidArgument, "the nil id names no object");
  if (!std::has_single_bit(wanted.align) || wanted.align > kUnit) {
    return Failure(absl::StatusCode::kInvalidArgument,
                   absl::StrCat("an alignment of ", wanted.align, " bytes: expected a power of two up to ", kUnit));
  }
  if (wanted.type_name.size() > 4096) {
    return Failure(absl::StatusCode::kInvalidArgument,
                   absl::StrCat("a type's name of ", wanted.type_name.size(), " bytes: expected at most 4096"));
  }
  const std::uint64_t hash = HashOf(wanted.id);
  const std::size_t behind = wanted.type_name.size() > kInlineName ? wanted.type_name.size() : 0;
  if (wanted.size > geometry_.limit_bytes || wanted.size + behind > geometry_.limit_bytes / kUnit * kUnit) {
    return Failure(
        absl::StatusCode::kResourceExhausted,
        absl::StrCat("an object of ", wanted.size, " bytes can never fit: it is larger than the shared-memory store's ",
                     "limit of ", geometry_.limit_bytes, " bytes"));
  }
  const auto units = static_cast<std::uint32_t>(BlockBytes(wanted.size, wanted.type_name.size()) / kUnit);
  for (int round = 0;; ++round) {
    Object made;
    BlockHeap::Result result = BlockHeap::Result::kOk;
    bool taken = false;
    bool lacks_block = true;
    bool no_bucket = false;
    bool no_entries = false;
    const absl::Status status = Run([&] {
      Found there;
      if (const Step step = Find(wanted.id, hash, there); step != Step::kDone) return step;
      taken = there.entry != kNoEntry;
      if (taken) return Step::kDone;
      Block block;
      if (const Step step = TakeBlock(units, block, result); step != Step::kDone || result != BlockHeap::Result::kOk) {
        return step;
      }
      RUSTYRAY_CRASH_POINT("create.block");
      // From here to the end of the operation a failure leaves the block to the recovery that it asks for.
      Shard& its = shard(ShardOf(hash));
      if (const Step step = gate_.Lock(its.lock); step != Step::kDone) return step;
      RUSTYRAY_CRASH_POINT("create.locked");
      Step step = Walk(wanted.id, hash, there);
      taken = there.entry != kNoEntry;
      std::uint32_t number = kNoEntry;
      std::atomic<std::uint32_t>& bucket = BucketOf(hash);
      no_bucket = !HasPage(bucket);
      bool no_pages = no_bucket;
      if (step == Step::kDone && !taken && !no_bucket) step = TakeEntry(ShardOf(hash), number, no_pages);
      if (step == Step::kDone && number != kNoEntry) {
        const EntryWord was = *EntryWord::Unpack(entry(number).state.load(std::memory_order_relaxed));
        RUSTYRAY_CRASH_POINT("create.entry");
        WriteFields(number, wanted, block);
        const EntryWord now{EntryState::kCreating, was.generation};
        entry(number).state.store(now.Pack(), std::memory_order_release);
        RUSTYRAY_CRASH_POINT("create.state");
        its.version.fetch_add(1, std::memory_order_acq_rel);
        entry(number).next.store(bucket.load(std::memory_order_relaxed), std::memory_order_relaxed);
        RUSTYRAY_CRASH_POINT("create.next");
        bucket.store(number + 1, std::memory_order_release);
        its.version.fetch_add(1, std::memory_order_acq_rel);
        its.creating.fetch_add(1, std::memory_order_relaxed);
        its.used_units.fetch_add(units, std::memory_order_relaxed);
        made = {.id = wanted.id,
                .entry = number,
                .generation = now.generation,
                .fields = *ReadFields(number),
                .state = EntryState::kCreating};
      }
      gate_.Unlock(its.lock);
      RUSTYRAY_CRASH_POINT("create.unlocked");
      if (step != Step::kDone) return step;
      if (made.entry == kNoEntry) {
        GiveBlock(block, false);
        lacks_block = false;
        no_entries = !taken && !no_pages;
        if (no_pages) result = BlockHeap::Result::kNoPages;
      }
      return Step::kDone;
    });
    if (!status.ok()) return status;
    if (taken) {
      return Failure(absl::StatusCode::kAlreadyExists,
                     absl::StrCat("there is an object with the id ", wanted.id.Hex()));
    }
    if (made.entry != kNoEntry) {
      Expose(made.fields.block());
      if (wanted.lifetime == Lifetime::kOwned) has_owned_.store(true, std::memory_order_relaxed);
      return made;
    }
    // Nothing in the store has that page to give.
    if (no_bucket) return NoRoom(wanted, BlockHeap::Result::kNoPages);
    absl::StatusOr<bool> room = MakeRoom(units, lacks_block, result == BlockHeap::Result::kNoPages, round);
    if (!room.ok()) return room.status();
    if (!*room) {
      if (no_entries) {
        return Failure(absl::StatusCode::kResourceExhausted,
                       absl::StrCat("the shared-memory store is full: it has room for ", geometry_.max_entries,
                                    " objects, and those in use cannot be evicted"));
      }
      return NoRoom(wanted, result);
    }
  }
}

absl::Status Segment::Seal(Object& object, bool with_checksum) {
  std::uint64_t checksum = 0;
  if (with_checksum) checksum = Checksum({PayloadOf(object), object.fields.size}, key_);
  bool pinned = false;
  bool sealed = false;
  Entry& its = entry(object.entry);
  const absl::Status status = Run([&] {
    pinned = Pin(object.entry);
    if (!pinned) return Step::kDone;
    RUSTYRAY_CRASH_POINT("seal.pinned");
    its.payload_checksum.store(checksum, std::memory_order_relaxed);
    its.has_payload_checksum.store(with_checksum ? 1 : 0, std::memory_order_relaxed);
    std::uint64_t expected = EntryWord{EntryState::kCreating, object.generation}.Pack();
    const std::uint64_t wanted = EntryWord{EntryState::kSealed, object.generation}.Pack();
    sealed = its.state.compare_exchange_strong(expected, wanted, std::memory_order_seq_cst);
    RUSTYRAY_CRASH_POINT("seal.state");
    if (!sealed) {
      DropPin(object.entry);
      return Step::kDone;
    }
    Shard& in = shard(object.entry % geometry_.shards);
    in.creating.fetch_sub(1, std::memory_order_relaxed);
    in.objects.fetch_add(1, std::memory_order_relaxed);
    in.object_bytes.fetch_add(std::uint64_t{object.fields.units} * kUnit, std::memory_order_relaxed);
    return Step::kDone;
  });
  if (!status.ok()) return status;
  if (!pinned) {
    return Failure(
        absl::StatusCode::kResourceExhausted,
        absl::StrCat("the file system of ", file_->path(), " is full: no page for the pins of this process"));
  }
  if (!sealed) return Damaged(object.id);
  object.state = EntryState::kSealed;
  TellEvent(header_.sealed[HashOf(object.id) % kWaitWords]);
  TellEvent(header_.changes);
  RUSTYRAY_CRASH_POINT("seal.told");
  return absl::OkStatus();
}

absl::Status Segment::Abort(const Object& object) {
  Conceal(object.fields.block());
  const std::uint64_t hash = HashOf(object.id);
  Shard& its = shard(ShardOf(hash));
  return Run([&] {
    if (const Step step = gate_.Lock(its.lock); step != Step::kDone) return step;
    const EntryWord now{EntryState::kCreating, object.generation};
    Step step = Step::kDone;
    const bool mine = entry(object.entry).state.load(std::memory_order_relaxed) == now.Pack();
    if (mine) {
      RUSTYRAY_CRASH_POINT("abort.locked");
      step = Unlink(object.entry, hash);
      if (step == Step::kDone) {
        FreeEntry(object.entry, now);
        its.creating.fetch_sub(1, std::memory_order_relaxed);
        its.used_units.fetch_sub(object.fields.units, std::memory_order_relaxed);
      }
    }
    gate_.Unlock(its.lock);
    RUSTYRAY_CRASH_POINT("abort.unlocked");
    if (step == Step::kDone && mine) GiveBlock({object.fields.unit, object.fields.units}, false);
    return step;
  });
}

absl::StatusOr<Segment::Object> Segment::Get(const core::ObjectId& id) {
  const std::uint64_t hash = HashOf(id);
  for (;;) {
    Found found;
    bool pinned = false;
    bool as_found = false;
    std::optional<EntryFields> fields;
    const absl::Status status = Run([&] {
      if (const Step step = Find(id, hash, found); step != Step::kDone) return step;
      if (found.entry == kNoEntry || found.word.state != EntryState::kSealed) {
        found.entry = kNoEntry;
        return Step::kDone;
      }
      pinned = Pin(found.entry);
      if (!pinned) return Step::kDone;
      RUSTYRAY_CRASH_POINT("get.pinned");
      as_found = entry(found.entry).state.load(std::memory_order_seq_cst) == found.word.Pack();
      if (as_found) fields = ReadFields(found.entry);
      return Step::kDone;
    });
    if (!status.ok()) return status;
    if (found.entry == kNoEntry) return NotThere(id);
    if (!pinned) {
      return Failure(absl::StatusCode::kResourceExhausted,
                     absl::StrCat("cannot pin the object ", id.Hex(), ": this process has it pinned ", CountWord::kMost,
                                  " times, or the file system of ", file_->path(), " is full"));
    }
    Object object{.id = id,
                  .entry = found.entry,
                  .generation = found.word.generation,
                  .fields = {},
                  .state = EntryState::kSealed};
    if (as_found && fields.has_value() && IdOf(fields->id_high, fields->id_low) == id) {
      object.fields = *fields;
      Expose(object.fields.block());
      Touch(object);
      return object;
    }
    Drop(found.entry);
    if (as_found && !fields.has_value()) return Damaged(id);
  }
}

absl::StatusOr<Segment::Object> Segment::Await(const core::ObjectId& id, core::Time deadline) {
  EventWord& event = header_.sealed[HashOf(id) % kWaitWords];
  for (;;) {
    absl::StatusOr<Object> object = Get(id);
    if (!absl::IsNotFound(object.status())) return object;
    const std::uint32_t seen = PrepareEventWait(event);
    object = Get(id);
    if (!absl::IsNotFound(object.status())) return object;
    if (deadline != core::kNever && std::chrono::steady_clock::now() >= deadline) {
      return core::MakeStatus(absl::StatusCode::kDeadlineExceeded, core::ErrorKind::kTimeout,
                              absl::StrCat("no object with the id ", id.Hex(), " was sealed before the deadline"));
    }
    // Woken by the seal. That the word on which it sleeps was damaged is noticed after a while.
    FutexWait(event.word, seen, std::min(deadline, std::chrono::steady_clock::now() + kDoubtWaking));
  }
}

bool Segment::Contains(const core::ObjectId& id) {
  Found found;
  const absl::Status status = Run([&] { return Find(id, HashOf(id), found); });
  return status.ok() && found.entry != kNoEntry && found.word.state == EntryState::kSealed;
}

absl::Status Segment::Delete(const core::ObjectId& id) {
  const std::uint64_t hash = HashOf(id);
  bool gone = false;
  bool creating = false;
  const absl::Status status = Run([&] {
    Found found;
    if (const Step step = Find(id, hash, found); step != Step::kDone || found.entry == kNoEntry) return step;
    creating = found.word.state == EntryState::kCreating;
    return creating ? Step::kDone : Condemn(found.entry, found.word.generation, nullptr, gone);
  });
  if (!status.ok()) return status;
  if (creating) {
    return Failure(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat("the object ", id.Hex(), " is being written: its writer must seal or abort it first"));
  }
  if (!gone) return NotThere(id);
  TellEvent(header_.changes);
  return absl::OkStatus();
}

absl::Status Segment::DeleteEntry(std::uint32_t number) {
  const std::optional<EntryWord> word = EntryWord::Unpack(entry(number).state.load(std::memory_order_acquire));
  if (word.has_value() && word->state != EntryState::kSealed) return absl::OkStatus();
  bool gone = false;
  absl::Status status =
      Run([&] { return word.has_value() ? Condemn(number, word->generation, nullptr, gone) : Step::kRecover; });
  if (gone) TellEvent(header_.changes);
  return status;
}

Step Segment::Condemn(std::uint32_t number, std::uint32_t generation, const std::uint64_t* unless_used_since,
                      bool& gone) {
  gone = false;
  Shard& its = shard(number % geometry_.shards);
  if (const Step step = gate_.Lock(its.lock); step != Step::kDone) return step;
  RUSTYRAY_CRASH_POINT("delete.locked");
  Entry& condemned = entry(number);
  const EntryWord was{EntryState::kSealed, generation};
  std::uint64_t expected = was.Pack();
  const std::optional<EntryFields> fields = ReadFields(number);
  const bool there = expected == condemned.state.load(std::memory_order_relaxed);
  const bool damaged = there && !fields.has_value();
  const bool wanted = there && !damaged &&
                      (unless_used_since == nullptr ||
                       (condemned.recency.load(std::memory_order_relaxed) == *unless_used_since && !IsPinned(number)));
  Step step = Step::kDone;
  bool freed = false;
  if (wanted && condemned.state.compare_exchange_strong(expected, EntryWord{EntryState::kCondemned, generation}.Pack(),
                                                        std::memory_order_seq_cst)) {
    RUSTYRAY_CRASH_POINT("delete.condemned");
    step = Unlink(number, HashOf(IdOf(fields->id_high, fields->id_low)));
    const std::uint64_t bytes = std::uint64_t{fields->units} * kUnit;
    its.objects.fetch_sub(1, std::memory_order_relaxed);
    its.object_bytes.fetch_sub(bytes, std::memory_order_relaxed);
    gone = true;
    freed = step == Step::kDone && !IsPinned(number);
    if (freed) {
      FreeEntry(number, was);
      its.used_units.fetch_sub(fields->units, std::memory_order_relaxed);
    } else {
      its.condemned.fetch_add(1, std::memory_order_relaxed);
      its.condemned_bytes.fetch_add(bytes, std::memory_order_relaxed);
    }
    RUSTYRAY_CRASH_POINT("delete.freed");
  }
  gate_.Unlock(its.lock);
  RUSTYRAY_CRASH_POINT("delete.unlocked");
  if (freed) GiveBlock({fields->unit, fields->units}, unless_used_since != nullptr);
  // The object is condemned whatever comes: a recovery completes it.
  if (gone && step != Step::kDone) return Step::kRecover;
  return damaged ? Step::kRecover : step;
}

absl::Status Segment::VerifyPayload(const core::ObjectId& id, std::uint32_t number, std::string_view payload) const {
  const Entry& its = entry(number);
  if (its.has_payload_checksum.load(std::memory_order_relaxed) == 0) {
    return Failure(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat("the object ", id.Hex(), " was sealed without a checksum of its bytes"));
  }
  if (its.payload_checksum.load(std::memory_order_relaxed) == Checksum(payload, key_)) return absl::OkStatus();
  return Failure(absl::StatusCode::kDataLoss,
                 absl::StrCat("the bytes of the object ", id.Hex(), " are not those it was sealed with"));
}

}  // namespace rustyray::object_store::shm
