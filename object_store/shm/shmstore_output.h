// How shmstore prints: tables for people, JSON for programs. All functions are pure; any thread.
#ifndef RUSTYRAY_OBJECT_STORE_SHM_SHMSTORE_OUTPUT_H_
#define RUSTYRAY_OBJECT_STORE_SHM_SHMSTORE_OUTPUT_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rustyray::object_store::shmstore {

// "64 B", "1.5 KiB", "100.0 MiB".
std::string ReadableSize(std::uint64_t bytes);

// A line for each row, columns lined up: to the right those whose head begins with '>', which is not printed. Bytes
// that terminals act on are printed as \xHH.
std::string Table(std::vector<std::vector<std::string>> rows);

// A JSON object, written field by field.
class Json {
 public:
  Json& Text(std::string_view name, std::string_view value);
  Json& Number(std::string_view name, std::uint64_t value);
  Json& Boolean(std::string_view name, bool value);
  // `value` is JSON itself.
  Json& Raw(std::string_view name, const std::string& value);
  std::string Object() const { return "{" + fields_ + "}"; }

 private:
  std::string fields_;
};

// An array of values that are JSON themselves, a line each.
std::string JsonArray(const std::vector<std::string>& values);

}  // namespace rustyray::object_store::shmstore

#endif  // RUSTYRAY_OBJECT_STORE_SHM_SHMSTORE_OUTPUT_H_
