#include "core/type_name.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

namespace named {
struct Point {
  int x;
};
template <class T>
struct Box {};
}  // namespace named

namespace rustyray::core {
namespace {

struct Hidden {};

static_assert(RawTypeName<int>() == "int");
static_assert(RawTypeName<named::Point>() == "named::Point");
static_assert(RawTypeName<const named::Point&>().find("const named::Point") == 0);
static_assert(RawTypeName<void>() == "void");
static_assert(RawTypeName<std::pair<void*, named::Point>>() != RawTypeName<std::pair<void*, int>>());

TEST(TypeName, ReadsAsItIsWritten) {
  EXPECT_EQ(ReadableTypeName<std::string>(), "std::string");
  EXPECT_EQ(ReadableTypeName<std::string_view>(), "std::string_view");
  EXPECT_EQ((ReadableTypeName<std::map<std::string, std::vector<int>>>()), "std::map<std::string, std::vector<int>>");
  EXPECT_EQ((ReadableTypeName<std::unordered_map<int, std::unique_ptr<named::Box<named::Point>>>>()),
            "std::unordered_map<int, std::unique_ptr<named::Box<named::Point>>>");
  EXPECT_EQ(ReadableTypeName<const std::string&>(), "const std::string&");
  EXPECT_EQ(ReadableTypeName<Hidden>(), "rustyray::core::(anonymous namespace)::Hidden");
  EXPECT_EQ(ReadableTypeName<std::tuple<>>(), "std::tuple<>");
}

TEST(TypeName, ReadsDemangledNames) {
  EXPECT_EQ(
      ReadableTypeName("std::map<std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> >, "
                       "std::vector<int, std::allocator<int> >, std::less<std::__cxx11::basic_string<char, "
                       "std::char_traits<char>, std::allocator<char> > >, std::allocator<std::pair<"
                       "std::__cxx11::basic_string<char, std::char_traits<char>, std::allocator<char> > const, "
                       "std::vector<int, std::allocator<int> > > > >"),
      "std::map<std::string, std::vector<int>>");
  EXPECT_EQ(ReadableTypeName("std::unordered_map<int, long, std::hash<int>, std::equal_to<int>, "
                             "std::allocator<std::pair<int const, long> > >"),
            "std::unordered_map<int, long>");
  EXPECT_EQ(ReadableTypeName("std::unique_ptr<int, std::default_delete<int> >"), "std::unique_ptr<int>");
}

TEST(TypeName, KeepsWhatIsNoDefault) {
  EXPECT_EQ(ReadableTypeName("std::vector<int, mine::Allocator<int> >"), "std::vector<int, mine::Allocator<int>>");
  EXPECT_EQ(ReadableTypeName("std::map<int, int, std::greater<int>, std::allocator<std::pair<int const, int> > >"),
            "std::map<int, int, std::greater<int>>");
  EXPECT_EQ(ReadableTypeName("mine::Box<int, std::allocator<int> >"), "mine::Box<int, std::allocator<int>>");
  EXPECT_EQ(ReadableTypeName("std::basic_string<char, mine::Traits>"), "std::basic_string<char, mine::Traits>");
}

TEST(TypeName, ReturnsWhatItCannotParse) {
  for (const std::string name : {"", "<", ">", "a<b", "a>b", "a<b>>", "operator<", "<lambda(", "a<b,", "->", ","}) {
    ReadableTypeName(name);
  }
  EXPECT_EQ(ReadableTypeName("a<b"), "a<b");
  EXPECT_EQ(ReadableTypeName("a<b>>"), "a<b>>");
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "a<";
  EXPECT_EQ(ReadableTypeName(deep), deep);
}

TEST(TypeName, FunctionsAndLambdas) {
  EXPECT_EQ(ReadableTypeName("void (*)(std::vector<int, std::allocator<int> >, std::__cxx11::basic_string<char>&)"),
            "void (*)(std::vector<int>, std::string&)");
  EXPECT_EQ(ReadableTypeName("main()::<lambda(std::vector<int>) -> int>"), "main()::<lambda(std::vector<int>) -> int>");
  EXPECT_EQ(ReadableTypeName("mine::Box<main()::<lambda(int)> >"), "mine::Box<main()::<lambda(int)>>");
}

// Two types of one name would be taken for one another.
TEST(TypeName, KnowsNamesThatMayNotBeUnique) {
  struct Local {};
  const auto lambda = [] {};
  EXPECT_TRUE(IsLocalTypeName(RawTypeName<Hidden>()));
  EXPECT_TRUE(IsLocalTypeName(RawTypeName<std::vector<Hidden>>()));
  EXPECT_TRUE(IsLocalTypeName(RawTypeName<Local>()));
  EXPECT_TRUE(IsLocalTypeName(RawTypeName<decltype(lambda)>()));
  EXPECT_FALSE(IsLocalTypeName(RawTypeName<named::Point>()));
  EXPECT_FALSE(IsLocalTypeName(RawTypeName<std::function<void(int)>>()));
}

static_assert(Fingerprint() == 0xcbf29ce484222325u);
static_assert(Fingerprint("ab", "c") != Fingerprint("a", "bc"));
static_assert(Fingerprint("ab") != Fingerprint("ab", ""));
static_assert(Fingerprint(std::string_view("ab")) == Fingerprint("ab"));
// Published value: FNV-1a of "foobar" is 85944171f73967e8; the part's end adds a zero byte.
static_assert(Fingerprint("foobar") == 0x85944171f73967e8u * 0x100000001b3u);

}  // namespace
}  // namespace rustyray::core
