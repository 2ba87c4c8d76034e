// Backend: one way to make stores, for tests that run against several.
#ifndef RUSTYRAY_OBJECT_STORE_TESTING_BACKEND_H_
#define RUSTYRAY_OBJECT_STORE_TESTING_BACKEND_H_

#include <memory>
#include <ostream>
#include <string>

#include "gtest/gtest.h"
#include "object_store/object_store.h"

namespace rustyray::object_store {

struct Backend {
  std::string name;
  std::unique_ptr<ObjectStore> (*make)(const StoreOptions& options);
  friend std::ostream& operator<<(std::ostream& out, const Backend& backend) { return out << backend.name; }
};

inline std::string NameOfBackend(const testing::TestParamInfo<Backend>& info) { return info.param.name; }

}  // namespace rustyray::object_store

#endif  // RUSTYRAY_OBJECT_STORE_TESTING_BACKEND_H_
