#include "object_store/testing/encoding_object_store.h"

#include <map>
#include <memory>
#include <string>

#include "core/object_ref.h"
#include "gtest/gtest.h"
#include "object_store/object_store.h"
#include "object_store/object_store_contract.h"
#include "object_store/testing/backend.h"

namespace rustyray::object_store {
namespace {

using core::ObjectRef;

INSTANTIATE_TEST_SUITE_P(Backends, ObjectStoreContract, testing::Values(Backend{"encoding", &MakeEncodingObjectStore}),
                         NameOfBackend);

TEST(EncodingObjectStore, KeepsValuesAsBytes) {
  const auto store = MakeEncodingObjectStore();
  const ObjectRef ref = store->Put(std::string(100, 'x')).value();
  EXPECT_FALSE(ref.record()->value().native);
  EXPECT_EQ(store->Statistics().bytes, 100);
}

TEST(EncodingObjectStore, KeepsAValueWithoutACodecAsItIs) {
  const auto store = MakeEncodingObjectStore();
  const ObjectRef ref = store->Put(std::map<std::string, int>{{"a", 1}}).value();
  EXPECT_TRUE(ref.record()->value().native);
}

TEST(EncodingObjectStore, CountsTheDecodeThatAViewKeeps) {
  const auto store = MakeEncodingObjectStore();
  ObjectRef ref = store->Put(std::string(1000, 'x')).value();
  auto view = ref.View<std::string>().value();
  EXPECT_GT(store->Statistics().bytes, 2000);
  EXPECT_EQ(ref.Get<std::string>().value().size(), 1000);
  EXPECT_EQ(store->Statistics().pinned_bytes, store->Statistics().bytes);
  ref = ObjectRef();
  EXPECT_EQ(view->size(), 1000);
  view.reset();
  EXPECT_EQ(store->Statistics().bytes, 0);
}

TEST(EncodingObjectStore, WithoutRoomForTheDecodeAViewIsOfADecodeOfItsOwn) {
  const auto store = MakeEncodingObjectStore({.limit_bytes = 1000});
  const ObjectRef ref = store->Put(std::string(1000, 'x')).value();
  const auto a = ref.View<std::string>().value();
  const auto b = ref.View<std::string>().value();
  EXPECT_NE(a, b);
  EXPECT_EQ(*a, *b);
  EXPECT_EQ(store->Statistics().bytes, 1000);
}

}  // namespace
}  // namespace rustyray::object_store
