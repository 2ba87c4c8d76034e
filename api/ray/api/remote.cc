#include "ray/api/remote.h"

#include <atomic>
#include <string>
#include <vector>

namespace ray::internal {
namespace {

using rustyray::task::Registration;

constinit std::atomic<const Registration*> head{nullptr};

// Splits at commas outside of brackets: "f, RAY_FUNC(g, int), h<int, long>".
std::vector<std::string_view> SplitNames(std::string_view names) {
  std::vector<std::string_view> split;
  int depth = 0;
  std::size_t begin = 0;
  const auto add = [&](std::size_t end) {
    while (begin < end && names[begin] == ' ') ++begin;
    std::size_t last = end;
    while (last > begin && names[last - 1] == ' ') --last;
    if (last > begin) split.push_back(names.substr(begin, last - begin));
    begin = end + 1;
  };
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i] == '(' || names[i] == '<') ++depth;
    if (names[i] == ')' || names[i] == '>') --depth;
    if (names[i] == ',' && depth == 0) add(i);
  }
  add(names.size());
  return split;
}

}  // namespace

void AppendRegistrations(std::string_view names, std::initializer_list<Registration> registrations) {
  const std::vector<std::string_view> split = SplitNames(names);
  std::size_t at = 0;
  for (const Registration& registration : registrations) {
    auto* const kept = new Registration(registration);
    kept->info.name = at < split.size() ? split[at] : names;
    if (kept->info.name.starts_with('&')) kept->info.name.remove_prefix(1);
    ++at;
    const Registration* next = head.load(std::memory_order_relaxed);
    do {
      kept->next = next;
    } while (!head.compare_exchange_weak(next, kept, std::memory_order_release, std::memory_order_relaxed));
  }
}

const Registration* RegistrationList() { return head.load(std::memory_order_acquire); }

}  // namespace ray::internal
