#include "ownership/owner_service.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace rustyray::ownership {
namespace {

class NullOwnerService final : public OwnerService {
 public:
  void OnFirstHandle(core::Record&) override {}
  void OnLastHandle(core::Record&) override {}
  void OnSubmitted(core::Record&) override {}
  void OnArgumentReleased(core::Record&) override {}
  Counts Of(const core::ObjectRef& ref) override { return {.local = ref ? ref.record()->handles() : 0}; }
  void OnStoredInside(core::Record&) override {}
  void OnStoredInsideGone(core::Record&) override {}
  std::vector<LiveObject> LiveObjects() override { return {}; }
};

std::string Line(const LiveObject& object) {
  std::string line = absl::StrCat("  ", object.what, ": ");
  if (object.ready) absl::StrAppend(&line, object.bytes, object.bytes == 1 ? " byte, " : " bytes, ");
  absl::StrAppend(&line, object.handles, object.handles == 1 ? " ref" : " refs");
  if (object.submitted != 0) absl::StrAppend(&line, " (", object.submitted, " of calls in flight)");
  if (!object.id.IsNil()) absl::StrAppend(&line, ", id ", object.id.Hex());
  if (!object.account.IsNil()) absl::StrAppend(&line, ", account ", object.account.Hex());
  return line;
}

}  // namespace

std::shared_ptr<OwnerService> MakeNullOwnerService() { return std::make_shared<NullOwnerService>(); }

std::string OwnerService::LeakReport(std::size_t most_lines) {
  std::vector<LiveObject> live = LiveObjects();
  if (live.empty()) return "";
  std::sort(live.begin(), live.end(), [](const LiveObject& a, const LiveObject& b) {
    if (a.bytes != b.bytes) return a.bytes > b.bytes;
    if (a.what != b.what) return a.what < b.what;
    return a.id < b.id;
  });
  std::size_t bytes = 0;
  for (const LiveObject& object : live) bytes += object.bytes;
  std::string report = absl::StrCat(live.size(), live.size() == 1 ? " object is" : " objects are",
                                    " still referred to, ", bytes, " bytes:");
  for (std::size_t i = 0; i < live.size() && i < most_lines; ++i) absl::StrAppend(&report, "\n", Line(live[i]));
  if (live.size() > most_lines) absl::StrAppend(&report, "\n  and ", live.size() - most_lines, " more");
  return report;
}

}  // namespace rustyray::ownership
