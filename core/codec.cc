#include "core/codec.h"

namespace rustyray::core {

absl::Status DecodeError(std::string_view raw_type_name, std::string_view expected, size_t got_bytes) {
  std::string message = "cannot decode " + ReadableTypeName(raw_type_name) + ": expected ";
  message.append(expected).append(", got ").append(std::to_string(got_bytes)).append(" bytes");
  return absl::DataLossError(message);
}

namespace internal {
namespace {

// A vector of strings is the number of strings, the size of each, and their characters; numbers have 8 bytes.
constexpr size_t kNumber = sizeof(uint64_t);

void AppendNumber(uint64_t number, std::string& bytes) {
  bytes.append(reinterpret_cast<const char*>(&number), kNumber);
}

uint64_t NumberAt(std::string_view bytes, size_t offset) {
  uint64_t number;
  std::memcpy(&number, bytes.data() + offset, kNumber);
  return number;
}

}  // namespace

std::string_view BytesOfString(const void* value) { return *static_cast<const std::string*>(value); }

absl::Status EncodeString(const void* value, EncodeSink& sink) {
  sink.bytes.append(*static_cast<const std::string*>(value));
  return absl::OkStatus();
}

absl::Status DecodeString(std::string_view bytes, std::span<const ObjectRef>, void* raw) {
  new (raw) std::string(bytes);
  return absl::OkStatus();
}

absl::Status EncodeStringVector(const void* value, EncodeSink& sink) {
  const auto& strings = *static_cast<const std::vector<std::string>*>(value);
  size_t size = kNumber;
  for (const std::string& s : strings) size += kNumber + s.size();
  sink.bytes.reserve(sink.bytes.size() + size);
  AppendNumber(strings.size(), sink.bytes);
  for (const std::string& s : strings) AppendNumber(s.size(), sink.bytes);
  for (const std::string& s : strings) sink.bytes.append(s);
  return absl::OkStatus();
}

absl::Status DecodeStringVector(std::string_view bytes, std::span<const ObjectRef>, void* raw) {
  const auto error = [bytes](const std::string& expected) {
    return DecodeError(RawTypeName<std::vector<std::string>>(), expected, bytes.size());
  };
  if (bytes.size() < kNumber) return error("at least " + std::to_string(kNumber) + " bytes");
  const uint64_t count = NumberAt(bytes, 0);
  // Checked before anything is allocated, and without a product that could overflow.
  if (count > bytes.size() / kNumber - 1) {
    return error("the sizes of " + std::to_string(count) + " strings");
  }
  const size_t sizes_end = kNumber * (1 + static_cast<size_t>(count));
  size_t left = bytes.size() - sizes_end;
  for (size_t i = 0; i < count; ++i) {
    const uint64_t size = NumberAt(bytes, kNumber * (1 + i));
    if (size > left) {
      return error("string " + std::to_string(i) + " to have " + std::to_string(size) + " bytes, not " +
                   std::to_string(left));
    }
    left -= size;
  }
  if (left != 0) return error(std::to_string(bytes.size() - left) + " bytes");

  std::vector<std::string> strings;
  strings.reserve(count);
  size_t at = sizes_end;
  for (size_t i = 0; i < count; ++i) {
    const size_t size = NumberAt(bytes, kNumber * (1 + i));
    strings.emplace_back(bytes.substr(at, size));
    at += size;
  }
  new (raw) std::vector<std::string>(std::move(strings));
  return absl::OkStatus();
}

}  // namespace internal
}  // namespace rustyray::core
