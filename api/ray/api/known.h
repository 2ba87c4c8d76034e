// Known: what a thread looked up lately by a function or method, so that it need not ask the registry again.
//
// Registrations live for ever, so what was found once stays right; another runtime knows the same list. Threads: each
// has its own.
#ifndef RAY_API_KNOWN_H_
#define RAY_API_KNOWN_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "task/function_registry.h"

namespace ray::internal {

inline std::size_t KnownHash(rustyray::task::AnyFunction function) {
  return reinterpret_cast<std::uintptr_t>(function) >> 4;
}
inline std::size_t KnownHash(const rustyray::task::AnyMethod& method) { return (method.bytes[0] >> 4) ^ method.type; }

template <class Key>
class Known {
 public:
  // Null when this thread did not find it lately.
  static const rustyray::task::Registration* Find(const Key& key) {
    const Entry& entry = For(key);
    return entry.registration != nullptr && entry.key == key ? entry.registration : nullptr;
  }
  static void Keep(const Key& key, const rustyray::task::Registration& found) { For(key) = {key, &found}; }

 private:
  struct Entry {
    Key key{};
    const rustyray::task::Registration* registration = nullptr;
  };
  static Entry& For(const Key& key) { return entries_[KnownHash(key) % entries_.size()]; }
  static inline thread_local constinit std::array<Entry, 16> entries_{};
};

}  // namespace ray::internal

#endif  // RAY_API_KNOWN_H_
