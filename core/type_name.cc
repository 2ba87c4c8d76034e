#include "core/type_name.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace rustyray::core {
namespace {

bool StartsWithTemplate(std::string_view arg, std::string_view name) {
  return arg.size() > name.size() && arg.starts_with(name) && arg[name.size()] == '<';
}

// Whether the last argument of this std template is one that it has by default.
bool EndsWithDefault(std::string_view name, std::string_view last) {
  static constexpr std::array<std::string_view, 14> kContainers = {"std::vector",        "std::deque",
                                                                   "std::list",          "std::forward_list",
                                                                   "std::set",           "std::multiset",
                                                                   "std::map",           "std::multimap",
                                                                   "std::unordered_set", "std::unordered_map",
                                                                   "std::basic_string",  "std::unordered_multiset",
                                                                   "std::unique_ptr",    "std::unordered_multimap"};
  static constexpr std::array<std::string_view, 5> kDefaults = {"std::allocator", "std::less", "std::hash",
                                                                "std::equal_to", "std::default_delete"};
  return std::find(kContainers.begin(), kContainers.end(), name) != kContainers.end() &&
         std::any_of(kDefaults.begin(), kDefaults.end(),
                     [last](std::string_view d) { return StartsWithTemplate(last, d); });
}

std::string Instantiate(std::string_view name, std::vector<std::string> args) {
  if (!args.empty() && args[0] == "char") {
    const bool plain = args.size() == 1 || (args.size() <= 3 && args[1] == "std::char_traits<char>" &&
                                            (args.size() == 2 || args[2] == "std::allocator<char>"));
    if (plain && name == "std::basic_string") return "std::string";
    if (plain && name == "std::basic_string_view") return "std::string_view";
  }
  while (args.size() > 1 && EndsWithDefault(name, args.back())) args.pop_back();
  std::string result(name);
  result += '<';
  for (size_t i = 0; i < args.size(); ++i) result.append(i == 0 ? "" : ", ").append(args[i]);
  return result + '>';
}

// Replaces each `from` in `text`.
void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  // Null if the brackets do not match.
  std::optional<std::string> Parse() {
    std::string result = Type(/*nested=*/false);
    if (failed_ || at_ != text_.size()) return std::nullopt;
    return result;
  }

 private:
  static constexpr int kMaxDepth = 200;

  bool Done() const { return failed_ || at_ == text_.size(); }

  // Up to the end, or, within template arguments, to the ',' or '>' that ends this one.
  std::string Type(bool nested) {
    std::string out;
    if (++depth_ > kMaxDepth) failed_ = true;
    int parentheses = 0;
    while (!Done()) {
      const char c = text_[at_];
      if (c == '<' && !OpensName()) {
        ReadArguments(out);
        continue;
      }
      if (nested && parentheses == 0 && (c == ',' || c == '>')) break;
      if (c == '(') ++parentheses;
      if (c == ')') --parentheses;
      if (c == '<') {  // "<lambda(int)>" and "<unnamed struct>" are names.
        ReadBracketedName(out);
        continue;
      }
      if (c == '-' && text_.substr(at_).starts_with("->")) out += text_[at_++];
      out += text_[at_++];
    }
    --depth_;
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
  }

  bool OpensName() const {
    const std::string_view rest = text_.substr(at_);
    return rest.starts_with("<lambda") || rest.starts_with("<unnamed");
  }

  void ReadBracketedName(std::string& out) {
    int open = 0;
    while (!Done()) {
      const char c = text_[at_++];
      out += c;
      if (c == '<') ++open;
      if (c == '>' && out[out.size() - 2] != '-' && --open == 0) return;
    }
    failed_ = true;
  }

  void ReadArguments(std::string& out) {
    std::vector<std::string> args;
    do {
      ++at_;
      while (!Done() && text_[at_] == ' ') ++at_;
      args.push_back(Type(/*nested=*/true));
    } while (!Done() && text_[at_] == ',');
    if (Done() || text_[at_] != '>') {
      failed_ = true;
      return;
    }
    ++at_;
    const size_t start = out.find_last_of(" (,*&") + 1;  // npos + 1 is 0.
    const std::string name = out.substr(start);
    if (args.size() == 1 && args[0].empty()) args.clear();
    out.resize(start);
    out += Instantiate(name, std::move(args));
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_ = 0;
  bool failed_ = false;
};

}  // namespace

std::string ReadableTypeName(std::string_view raw) {
  std::string text(raw);
  ReplaceAll(text, "std::__cxx11::", "std::");
  ReplaceAll(text, "std::__1::", "std::");
  ReplaceAll(text, "{anonymous}", "(anonymous namespace)");
  return Parser(text).Parse().value_or(text);
}

}  // namespace rustyray::core
