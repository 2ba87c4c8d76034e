#include "task/function_registry.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/error.h"

namespace rustyray::task {
namespace {

absl::string_view View(std::string_view text) { return {text.data(), text.size()}; }

std::string Place(const Registration& registration) {
  return absl::StrCat(View(registration.file), ":", registration.line);
}

bool SameRegistration(const Registration& a, const Registration& b) {
  return a.info.name == b.info.name && a.file == b.file && a.line == b.line;
}

// The names among `known` that a person may have meant by `name`.
std::vector<std::string> Close(std::string_view name, std::vector<std::string> known) {
  std::erase_if(known, [&](const std::string& one) {
    return one.find(name) == std::string::npos && name.find(one) == std::string_view::npos &&
           !std::equal(one.begin(), one.begin() + std::min<std::size_t>(one.size(), 3), name.begin(),
                       name.begin() + std::min<std::size_t>(name.size(), 3));
  });
  std::sort(known.begin(), known.end());
  if (known.size() > 5) known.resize(5);
  return known;
}

}  // namespace

FunctionRegistry::~FunctionRegistry() = default;

absl::Status FunctionRegistry::AddAll(const Registration* head) {
  core::MutexLock lock(mutex_);
  if (head == seen_head_) return absl::OkStatus();
  auto table = std::make_unique<Table>();
  if (const Table* const old = table_.load(std::memory_order_relaxed)) *table = *old;
  absl::Status status;
  const auto conflict = [&](std::string_view what, const Registration& first, const Registration& second) {
    if (!status.ok()) return;
    status = core::MakeStatus(absl::StatusCode::kAlreadyExists, core::ErrorKind::kInvalid,
                              absl::StrCat(View(what), ": as '", View(first.info.name), "' at ", Place(first),
                                           " and as '", View(second.info.name), "' at ", Place(second)));
  };
  // The list grows at its head; oldest first, so that an error speaks of the second registration as such.
  std::vector<const Registration*> fresh;
  for (const Registration* at = head; at != nullptr && at != seen_head_; at = at->next) fresh.push_back(at);
  std::reverse(fresh.begin(), fresh.end());
  for (const Registration* const registration : fresh) {
    const auto by_name = table->by_name.find(registration->info.name);
    const auto by_function = table->by_function.find(registration->function);
    const bool is_method = registration->method.type != 0;
    if (by_name != table->by_name.end()) {
      if (SameRegistration(*by_name->second, *registration)) {
        // A static function of a header has an address in each file.
        if (!is_method) table->by_function.emplace(registration->function, by_name->second);
      } else {
        conflict("RAY_REMOTE: a name is registered twice", *by_name->second, *registration);
      }
      continue;
    }
    const auto by_method = table->by_method.find(registration->method);
    if (is_method ? by_method != table->by_method.end() : by_function != table->by_function.end()) {
      conflict("RAY_REMOTE: a function is registered twice", is_method ? *by_method->second : *by_function->second,
               *registration);
      continue;
    }
    table->by_name.emplace(registration->info.name, registration);
    if (is_method) {
      table->by_method.emplace(registration->method, registration);
    } else {
      table->by_function.emplace(registration->function, registration);
    }
  }
  seen_head_ = head;
  table_.store(table.get(), std::memory_order_release);
  tables_.push_back(std::move(table));
  return status;
}

const FunctionRegistry::Table* FunctionRegistry::Refilled() {
  // A conflict in a library that was loaded later shows as a function that is not there.
  if (refill_ != nullptr) (void)AddAll(refill_());
  return table_.load(std::memory_order_acquire);
}

namespace {

template <class Map, class Key>
const Registration* Lookup(const Map& map, const Key& key) {
  const auto at = map.find(key);
  return at == map.end() ? nullptr : at->second;
}

}  // namespace

const Registration* FunctionRegistry::Find(AnyFunction function) {
  const Table* table = table_.load(std::memory_order_acquire);
  const Registration* const found = table != nullptr ? Lookup(table->by_function, function) : nullptr;
  if (found != nullptr) return found;
  table = Refilled();
  return table != nullptr ? Lookup(table->by_function, function) : nullptr;
}

const Registration* FunctionRegistry::FindMethod(const AnyMethod& method) {
  const Table* table = table_.load(std::memory_order_acquire);
  const Registration* const found = table != nullptr ? Lookup(table->by_method, method) : nullptr;
  if (found != nullptr) return found;
  table = Refilled();
  return table != nullptr ? Lookup(table->by_method, method) : nullptr;
}

absl::StatusOr<const Registration*> FunctionRegistry::FindByName(std::string_view name) {
  const auto look = [&](const Table* table) -> const Registration* {
    if (table == nullptr) return nullptr;
    const auto at = table->by_name.find(name);
    return at == table->by_name.end() ? nullptr : at->second;
  };
  if (const Registration* const found = look(table_.load(std::memory_order_acquire))) return found;
  const Table* const table = Refilled();
  if (const Registration* const found = look(table)) return found;
  std::vector<std::string> known;
  if (table != nullptr) {
    for (const auto& [one, function] : table->by_name) known.emplace_back(one);
  }
  known = Close(name, std::move(known));
  return core::MakeStatus(
      absl::StatusCode::kNotFound, core::ErrorKind::kFunctionNotFound,
      absl::StrCat("no function is registered as '", View(name), "'",
                   known.empty() ? "" : absl::StrCat("; there is '", absl::StrJoin(known, "', '"), "'"),
                   " (register it: RAY_REMOTE(", View(name), "))"));
}

}  // namespace rustyray::task
