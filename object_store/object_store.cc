#include "object_store/object_store.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "core/error.h"

namespace rustyray::object_store {
namespace {

// The number in `file`, or `otherwise` if there is none ("max", or no such file).
std::size_t NumberIn(const char* file, std::size_t otherwise) {
  std::ifstream in(file);
  std::string text;
  std::uint64_t number = 0;
  return in >> text && absl::SimpleAtoi(text, &number) ? number : otherwise;
}

}  // namespace

std::size_t DefaultStoreLimit() {
  static const std::size_t limit = [] {
    const auto machine =
        static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    const std::size_t group = std::min(NumberIn("/sys/fs/cgroup/memory.max", machine),
                                       NumberIn("/sys/fs/cgroup/memory/memory.limit_in_bytes", machine));
    return std::min(machine, group) / 10 * 3;
  }();
  return limit;
}

absl::Status ObjectStore::WaitForAll(std::span<const core::ObjectRef> refs, core::Time deadline) {
  if (std::all_of(refs.begin(), refs.end(), [](const core::ObjectRef& ref) { return ref.ready(); })) {
    return absl::OkStatus();
  }
  return waiting().WaitForAll(
      refs.size(), [&](std::size_t i) -> const core::ObjectRef& { return refs[i]; }, deadline);
}

absl::StatusOr<std::size_t> ObjectStore::WaitForSome(std::span<const core::ObjectRef> refs, std::size_t enough,
                                                     core::Time deadline) {
  return waiting().WaitForSome(
      refs.size(), [&](std::size_t i) -> const core::ObjectRef& { return refs[i]; }, enough, deadline);
}

}  // namespace rustyray::object_store
