// OwnerService: what the handle count of a record alone cannot say. Who refers to an object, and what is still alive.
//
// It never frees anything: records do that by themselves. It hears of first and last handles (core::HandleObserver, by
// way of the stores it is given to), of refs held by calls in flight and of refs stored inside other objects.
// Threads: all methods, any thread. LiveObjects and LeakReport may run while others make and drop refs, but not while a
// store that it observes is being destroyed; objects of destroyed stores are not reported.
// Lifetime: stores share in it and keep it as long as their records need it.
#ifndef RUSTYRAY_OWNERSHIP_OWNER_SERVICE_H_
#define RUSTYRAY_OWNERSHIP_OWNER_SERVICE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/id.h"
#include "core/object_ref.h"
#include "core/record.h"

namespace rustyray::ownership {

// Who refers to an object.
struct Counts {
  std::uint32_t local = 0;      // refs in this process, those counted below aside
  std::uint32_t submitted = 0;  // refs held by calls in flight, as arguments
  std::uint32_t borrowed = 0;   // other processes that hold it
  std::uint32_t nested = 0;     // refs stored inside other objects
  friend bool operator==(const Counts&, const Counts&) = default;
};

// One object that something still refers to.
struct LiveObject {
  std::string what;   // the readable type of its value; "task f", whose result is not there; "error of task f"
  core::ObjectId id;  // nil if nobody asked for it
  std::uint32_t handles = 0;
  std::uint32_t submitted = 0;
  core::AccountId account;  // nil: the one without a quota
  std::size_t bytes = 0;    // accounted
  bool ready = false;
};

class OwnerService : public core::HandleObserver {
 public:
  // The counts of the object of `ref`, `ref` among them. A null ref has none.
  virtual Counts Of(const core::ObjectRef& ref) = 0;

  // A ref to `inner` was stored inside another object; it went with that object. Each stands for one handle.
  virtual void OnStoredInside(core::Record& inner) = 0;
  virtual void OnStoredInsideGone(core::Record& inner) = 0;

  // What is alive now, in no order. Objects made or dropped meanwhile may be in it or not.
  virtual std::vector<LiveObject> LiveObjects() = 0;

  // LiveObjects for people: how many there are and their bytes, then a line for each, the largest first, at most
  // `most_lines` lines and "and N more". Empty when nothing is alive.
  std::string LeakReport(std::size_t most_lines = 20);
};

// Says nothing and does nothing: all hooks are empty, counts are those of the record, nothing is reported.
std::shared_ptr<OwnerService> MakeNullOwnerService();

}  // namespace rustyray::ownership

#endif  // RUSTYRAY_OWNERSHIP_OWNER_SERVICE_H_
