// The store and the owner service, together as the runtime has them, under the races that every store survives.

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "core/id.h"
#include "core/object_ref.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "object_store/memory_object_store.h"
#include "object_store/object_store.h"
#include "object_store/object_store_stress.h"
#include "object_store/testing/backend.h"
#include "ownership/local_owner_service.h"
#include "ownership/owner_service.h"

namespace rustyray {
namespace {

using object_store::Backend;
using object_store::ObjectStoreStress;

std::unique_ptr<object_store::ObjectStore> MakeObserved(const object_store::StoreOptions& options) {
  object_store::StoreOptions observed = options;
  observed.observer = ownership::MakeLocalOwnerService();
  return object_store::MakeMemoryObjectStore(observed);
}

}  // namespace

namespace object_store {

INSTANTIATE_TEST_SUITE_P(Observed, ObjectStoreStress, testing::Values(Backend{"memory", &MakeObserved}), NameOfBackend);

}  // namespace object_store

namespace {

TEST(ObservedStore, ReportsWhatIsAliveWhileThreadsPutFindAndDrop) {
  const auto service = ownership::MakeLocalOwnerService();
  const auto store = object_store::MakeMemoryObjectStore({.limit_bytes = 2000, .observer = service});
  const core::ObjectId id = store->Put(1, {.lifetime = object_store::Lifetime::kCache}).value().Id();
  std::atomic<int> working{3};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        const auto put = store->Put(i);
        const auto found = store->Find(id);
        if (i % 3 == 0 && put.ok()) static_cast<void>(put->Id());
      }
      working.fetch_sub(1);
    });
  }
  while (working.load() != 0) EXPECT_LE(service->LiveObjects().size(), 6);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(service->LeakReport(), "");
  const core::ObjectRef kept = store->Put(2.5).value();
  EXPECT_THAT(service->LeakReport(), testing::HasSubstr("double: 8 bytes, 1 ref"));
}

}  // namespace
}  // namespace rustyray
