#include "gtest/gtest.h"
#include "object_store/memory_object_store.h"
#include "object_store/object_store_stress.h"
#include "object_store/testing/backend.h"
#include "object_store/testing/encoding_object_store.h"

namespace rustyray::object_store {
namespace {

INSTANTIATE_TEST_SUITE_P(Backends, ObjectStoreStress,
                         testing::Values(Backend{"memory", &MakeMemoryObjectStore},
                                         Backend{"encoding", &MakeEncodingObjectStore}),
                         NameOfBackend);

}  // namespace
}  // namespace rustyray::object_store
