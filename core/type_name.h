#ifndef RUSTYRAY_CORE_TYPE_NAME_H_
#define RUSTYRAY_CORE_TYPE_NAME_H_

// Names of types, without RTTI's mangling: the compiler's own spelling as a constant, a readable form of it for
// messages, and a hash. The raw name is the same in every process built by one compiler. It is not always unique: types
// of anonymous namespaces and types within functions may share it (see IsLocalTypeName).

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>

namespace rustyray::core {

namespace internal {

template <class T>
constexpr const char* SignatureNaming() {
  return __PRETTY_FUNCTION__;
}

}  // namespace internal

// The compiler's name of T, such as "std::vector<int>" or "{anonymous}::Point". Lives as long as the program.
template <class T>
constexpr std::string_view RawTypeName() {
  constexpr std::string_view kProbe = internal::SignatureNaming<void>();
  constexpr size_t kPrefix = kProbe.rfind("void");
  constexpr size_t kSuffix = kProbe.size() - kPrefix - 4;
  constexpr std::string_view kName = internal::SignatureNaming<T>();
  return kName.substr(kPrefix, kName.size() - kPrefix - kSuffix);
}

// Whether another type may have the same raw name: types of an anonymous namespace, of a function's body, lambdas and
// unnamed types.
constexpr bool IsLocalTypeName(std::string_view raw) {
  for (std::string_view mark : {"{anonymous}", "(anonymous", "<lambda", "(lambda", "<unnamed", "(unnamed", ")::"}) {
    if (raw.find(mark) != std::string_view::npos) return true;
  }
  return false;
}

// A form of a raw or demangled name for people: "std::string" for std::__cxx11::basic_string<char, ...>, ">>" for ">
// >", without the allocators, comparators and hashes that std containers have by default. A name that it cannot parse
// is returned as it is.
std::string ReadableTypeName(std::string_view raw);

template <class T>
std::string ReadableTypeName() {
  return ReadableTypeName(RawTypeName<T>());
}

// 64-bit FNV-1a of the parts, each followed by a zero byte, so that ("ab", "c") and ("a", "bc") differ.
// http://www.isthe.com/chongo/tech/comp/fnv/
template <class... Parts>
requires(std::is_convertible_v<const Parts&, std::string_view>&&...) constexpr uint64_t
    Fingerprint(const Parts&... parts) {
  uint64_t hash = 0xcbf29ce484222325u;
  [[maybe_unused]] const auto add = [&hash](std::string_view part) {
    for (char c : part) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    hash *= 0x100000001b3u;
  };
  (add(parts), ...);
  return hash;
}

}  // namespace rustyray::core

#endif  // RUSTYRAY_CORE_TYPE_NAME_H_
