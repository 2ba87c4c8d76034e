#include "object_store/shm/shmstore_output.h"

#include <algorithm>
#include <array>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace rustyray::object_store::shmstore {
namespace {

std::string Printable(const std::string& text) {
  std::string printable;
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppend(&printable, absl::StrFormat("\\x%02x", static_cast<unsigned char>(c)));
    } else {
      printable.push_back(c);
    }
  }
  return printable;
}

// Whether a UTF-8 sequence begins at `text`, and how long it is; 0 if it is none.
std::size_t SequenceAt(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const std::size_t size = byte(0) < 0x80                      ? 1
                           : byte(0) >= 0xc2 && byte(0) < 0xe0 ? 2
                           : byte(0) >= 0xe0 && byte(0) < 0xf0 ? 3
                           : byte(0) >= 0xf0 && byte(0) < 0xf5 ? 4
                                                               : 0;
  if (size == 0 || size > text.size()) return 0;
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Longer than needed, surrogates, beyond the last code point.
  if (byte(0) == 0xe0 && byte(1) < 0xa0) return 0;
  if (byte(0) == 0xed && byte(1) >= 0xa0) return 0;
  if (byte(0) == 0xf0 && byte(1) < 0x90) return 0;
  if (byte(0) == 0xf4 && byte(1) >= 0x90) return 0;
  return size;
}

// What is not UTF-8 becomes the replacement character: JSON has no other bytes.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  while (!text.empty()) {
    const std::size_t size = SequenceAt(text);
    const char c = text.front();
    if (size == 0) {
      quoted += "\\ufffd";
    } else if (c == '"' || c == '\\') {
      quoted += {'\\', c};
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppend(&quoted, absl::StrFormat("\\u%04x", static_cast<unsigned char>(c)));
    } else {
      quoted += text.substr(0, size);
    }
    text.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return quoted + "\"";
}

}  // namespace

std::string ReadableSize(std::uint64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"B", "KiB", "MiB", "GiB", "TiB"};
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  double size = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (size >= 1023.95 && unit + 1 < kUnits.size()) {
    size /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.1f %s", size, kUnits[unit]);
}

std::string Table(std::vector<std::vector<std::string>> rows) {
  std::vector<bool> to_the_right;
  for (std::string& head : rows.front()) {
    to_the_right.push_back(head.starts_with('>'));
    if (to_the_right.back()) head.erase(0, 1);
  }
  std::vector<std::size_t> widths(rows.front().size(), 0);
  for (std::vector<std::string>& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      row[i] = Printable(row[i]);
      widths[i] = std::max(widths[i], row[i].size());
    }
  }
  std::string table;
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - row[i].size(), ' ');
      absl::StrAppend(&line, i == 0 ? "" : "  ", to_the_right[i] ? padding + row[i] : row[i] + padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    absl::StrAppend(&table, line, "\n");
  }
  return table;
}

Json& Json::Raw(std::string_view name, const std::string& value) {
  absl::StrAppend(&fields_, fields_.empty() ? "" : ", ", Quoted(name), ": ", value);
  return *this;
}

Json& Json::Text(std::string_view name, std::string_view value) { return Raw(name, Quoted(value)); }
Json& Json::Number(std::string_view name, std::uint64_t value) { return Raw(name, absl::StrCat(value)); }
Json& Json::Boolean(std::string_view name, bool value) { return Raw(name, value ? "true" : "false"); }

std::string JsonArray(const std::vector<std::string>& values) {
  std::string array = "[";
  for (const std::string& value : values) absl::StrAppend(&array, array.size() == 1 ? "\n" : ",\n", value);
  return array + (values.empty() ? "]\n" : "\n]\n");
}

}  // namespace rustyray::object_store::shmstore
