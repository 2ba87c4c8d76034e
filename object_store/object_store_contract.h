// The contract that every object store keeps, as tests. A backend's test instantiates them:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, ObjectStoreContract, testing::Values(Backend{"memory", MakeMemoryObjectStore}),
//                            NameOfBackend);
//
// They name no backend and do not depend on where values lie: the sizes of values are asked of the backend.
#ifndef RUSTYRAY_OBJECT_STORE_OBJECT_STORE_CONTRACT_H_
#define RUSTYRAY_OBJECT_STORE_OBJECT_STORE_CONTRACT_H_

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "core/clock.h"
#include "core/error.h"
#include "core/object_ref.h"
#include "core/waiting.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "object_store/object_store.h"
#include "object_store/testing/backend.h"
#include "object_store/testing/watched_clock.h"

namespace rustyray::object_store {

class ObjectStoreContract : public testing::TestWithParam<Backend> {
 protected:
  static constexpr PutOptions kCached{.lifetime = Lifetime::kCache};

  // A store with the clock of this test.
  std::unique_ptr<ObjectStore> Make(StoreOptions options = {}) {
    options.waiting = waiting_;
    return GetParam().make(options);
  }
  std::unique_ptr<ObjectStore> MakeWithLimit(std::size_t limit_bytes) { return Make({.limit_bytes = limit_bytes}); }

  // What `value` takes in a store of this backend.
  template <class T>
  std::size_t SizeOf(const T& value) {
    const std::unique_ptr<ObjectStore> store = Make();
    const core::ObjectRef ref = store->Put(value).value();
    return store->Statistics().bytes;
  }
  // A value that takes the same as all that this returns.
  static std::string Block(char filling = 'x') { return std::string(1000, filling); }
  std::size_t block_size() { return SizeOf(Block()); }

  WatchedClock& clock() { return *clock_; }
  core::Time In(std::chrono::seconds seconds) { return clock().Now() + seconds; }

  // The status of a failed put or read.
  template <class T>
  static absl::Status StatusOf(const absl::StatusOr<T>& result) {
    return result.status();
  }

 private:
  // Stores keep the waiting, and with it the clock.
  struct WaitingByClock {
    WatchedClock clock;
    core::Waiting waiting{clock};
  };
  const std::shared_ptr<WaitingByClock> both_ = std::make_shared<WaitingByClock>();
  const std::shared_ptr<core::Waiting> waiting_{both_, &both_->waiting};
  WatchedClock* const clock_ = &both_->clock;
};

// Matches a failed absl::StatusOr with the code and kind, whose message has `text`.
MATCHER_P3(FailsWith, code, kind, text, "") {
  const absl::Status& status = arg.status();
  *result_listener << "which is " << status.ToString();
  return status.code() == code && core::KindOf(status) == kind &&
         status.message().find(std::string(text)) != absl::string_view::npos;
}
// The same for a store that is full.
MATCHER(IsFull, "") {
  *result_listener << "which is " << arg.status().ToString();
  return absl::IsResourceExhausted(arg.status()) && core::KindOf(arg.status()) == core::ErrorKind::kStoreFull;
}
MATCHER(IsOk, "") {
  *result_listener << "which is " << arg.status().ToString();
  return arg.ok();
}

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_OBJECT_STORE_CONTRACT_H_
