#include "core/fields.h"

#include <gtest/gtest.h>

#include <any>
#include <array>
#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

namespace rustyray::core {
namespace {

template <class T, class... Fields>
inline constexpr bool kHasFields = std::is_same_v<FieldTypes<T>, TypeList<Fields...>>;

struct Plain {
  std::string name;
  int count;
};
static_assert(kHasFields<Plain, std::string, int>);
static_assert(kHasFields<const Plain, std::string, int>);

struct Empty {};
static_assert(kHasFields<Empty>);

struct Nested {
  Plain a;
  Plain b;
  std::array<Plain, 2> c;
  std::pair<Plain, int> d;
};
static_assert(kHasFields<Nested, Plain, Plain, std::array<Plain, 2>, std::pair<Plain, int>>);

// Each element of an array takes an initialiser of its own.
struct Arrays {
  std::string names[2];
  int matrix[2][3];
  std::string last;
  char tail[1];
};
static_assert(kHasFields<Arrays, std::string[2], int[2][3], std::string, char[1]>);

struct Converting {
  std::optional<std::string> optional;
  std::variant<int, std::string> variant;
  std::variant<std::string> variant_of_one;
  std::function<void()> function;
  std::unique_ptr<int> unique;
  std::shared_ptr<void> shared;
  std::vector<std::any> anys;
  std::tuple<int> tuple;
  std::tuple<> empty;
};
static_assert(kHasFields<Converting, std::optional<std::string>, std::variant<int, std::string>,
                         std::variant<std::string>, std::function<void()>, std::unique_ptr<int>, std::shared_ptr<void>,
                         std::vector<std::any>, std::tuple<int>, std::tuple<>>);

struct Immovable {
  std::mutex mutex;
  std::atomic<int> atomic;
};
static_assert(kHasFields<Immovable, std::mutex, std::atomic<int>>);

struct WithoutDefault {
  explicit WithoutDefault(int) {}
};
struct HoldsWithoutDefault {
  std::string a;
  WithoutDefault b;
  int c;
};
static_assert(kHasFields<HoldsWithoutDefault, std::string, WithoutDefault, int>);
struct ArrayWithoutDefault {
  std::string a;
  WithoutDefault b[3];
  int c[2];
  WithoutDefault d;
};
static_assert(kHasFields<ArrayWithoutDefault, std::string, WithoutDefault[3], int[2], WithoutDefault>);

// A container's constructor from a list would not compile for elements that cannot be copied.
struct MoveOnlyElements {
  std::vector<std::unique_ptr<int>> a;
  int b;
  std::vector<std::vector<std::unique_ptr<int>>> c;
  std::array<std::vector<std::unique_ptr<int>>, 2> d;
  std::vector<std::unique_ptr<int>> e[2];
};
static_assert(
    kHasFields<MoveOnlyElements, std::vector<std::unique_ptr<int>>, int, std::vector<std::vector<std::unique_ptr<int>>>,
               std::array<std::vector<std::unique_ptr<int>>, 2>, std::vector<std::unique_ptr<int>>[2]>);

struct Recursive {
  std::vector<Recursive> children;
  std::map<std::string, Recursive> named;
  std::unique_ptr<Recursive> next;
};
static_assert(
    kHasFields<Recursive, std::vector<Recursive>, std::map<std::string, Recursive>, std::unique_ptr<Recursive>>);

struct Initialised {
  const int number = 7;
  std::string text = "x";
  unsigned bits : 3 = 5;
  unsigned more : 4 = 6;
};
static_assert(kHasFields<Initialised, int, std::string, unsigned, unsigned>);

struct Sixteen {
  std::string a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p;
};
static_assert(kFieldsVisible<Sixteen>);

// What follows must be left alone, not fail to compile.
struct Seventeen {
  std::string a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q;
};
static_assert(!kFieldsVisible<Seventeen>);

struct Large {
  std::string name;
  char buffer[4096];
};
static_assert(!kFieldsVisible<Large>);

struct Derived : Plain {
  int more;
};
struct OfEmptyBase : Empty {
  std::string name;
};
static_assert(!kFieldsVisible<Derived> && !kFieldsVisible<OfEmptyBase>);

struct AnonymousUnion {
  std::string name;
  union {
    int i;
    float f;
  };
};
struct NamedUnion {
  std::string name;
  union U {
    int i;
    float f;
  } value;
};
struct UnnamedStruct {
  std::string name;
  struct {
    int i, j;
  } value;
};
static_assert(!kFieldsVisible<AnonymousUnion> && !kFieldsVisible<NamedUnion> && !kFieldsVisible<UnnamedStruct>);

struct Reference {
  std::string name;
  int& number;
};
static_assert(!kFieldsVisible<Reference>);

struct Any {
  std::string name;
  std::any value;
  int number;
};
struct AnyLast {
  std::string name;
  std::any value;
};
static_assert(!kFieldsVisible<Any> && !kFieldsVisible<AnyLast>);

class Private {
 public:
  std::string a;

 private:
  [[maybe_unused]] int b_;
};
struct Constructed {
  Constructed() = default;
  explicit Constructed(int n) : number(n) {}
  int number = 0;
};
static_assert(!kFieldsVisible<Private> && !kFieldsVisible<Constructed>);
static_assert(!kFieldsVisible<int> && !kFieldsVisible<int*> && !kFieldsVisible<std::string> && !kFieldsVisible<int[3]>);
static_assert(!kFieldsVisible<decltype([x = 1] { return x; })>);

TEST(Fields, AreVisitedInOrder) {
  const Plain plain{"n", 3};
  VisitFields(plain, [&plain](const std::string& name, const int& count) {
    EXPECT_EQ(&name, &plain.name);
    EXPECT_EQ(&count, &plain.count);
  });
}

TEST(Fields, BitsAndConstantsAreVisited) {
  const int sum = VisitFields(Initialised(), [](int number, const std::string& text, unsigned bits, unsigned more) {
    return number + static_cast<int>(text.size() + bits + more);
  });
  EXPECT_EQ(sum, 7 + 1 + 5 + 6);
}

TEST(Fields, AllSixteenAreVisitedOnce) {
  const Sixteen value{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"};
  const std::string all = VisitFields(value, [](const auto&... field) { return (std::string() + ... + field); });
  EXPECT_EQ(all, "abcdefghijklmnop");
}

TEST(Fields, OfAnEmptyTypeAreNone) {
  EXPECT_EQ(VisitFields(Empty(), [](const auto&... field) { return sizeof...(field); }), 0u);
}

}  // namespace
}  // namespace rustyray::core
