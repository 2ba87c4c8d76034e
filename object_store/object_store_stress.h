// Races that every object store survives, as a test: put, get, View, find, evict, delete, take, drop, wait for room and
// the end of the store, over many seeds (core/testing/seeds.h). A backend's test instantiates it, as it does the
// contract (object_store_contract.h). It names no backend.
#ifndef RUSTYRAY_OBJECT_STORE_OBJECT_STORE_STRESS_H_
#define RUSTYRAY_OBJECT_STORE_OBJECT_STORE_STRESS_H_

#include "gtest/gtest.h"
#include "object_store/testing/backend.h"

namespace rustyray::object_store {

class ObjectStoreStress : public testing::TestWithParam<Backend> {};

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_OBJECT_STORE_STRESS_H_
