#include "core/accounting.h"

#include <gtest/gtest.h>

#include <any>
#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/type_name.h"

namespace mine {

struct Tensor {
  size_t elements = 0;
};
inline size_t RustyRayAccountedSize(const Tensor& tensor) { return sizeof(Tensor) + tensor.elements * 4; }

struct Lies {
  long long value = 0;
};
inline size_t RustyRayAccountedSize(const Lies&) { return 1; }

}  // namespace mine

namespace rustyray::core {
namespace {

// Sums what a container asks of its allocator: the truth to compare with.
size_t allocated = 0;

template <class T>
struct CountingAllocator {
  using value_type = T;
  CountingAllocator() = default;
  template <class U>
  CountingAllocator(const CountingAllocator<U>&) {}  // NOLINT: allocators convert.
  T* allocate(size_t n) {
    allocated += n * sizeof(T);
    return std::allocator<T>().allocate(n);
  }
  void deallocate(T* p, size_t n) {
    allocated -= n * sizeof(T);
    std::allocator<T>().deallocate(p, n);
  }
  friend bool operator==(const CountingAllocator&, const CountingAllocator&) { return true; }
};

using String = std::basic_string<char, std::char_traits<char>, CountingAllocator<char>>;
template <class T>
using Vector = std::vector<T, CountingAllocator<T>>;

template <class T>
void ExpectTruth(const T& value) {
  EXPECT_EQ(AccountedSize(value), sizeof(T) + allocated) << RawTypeName<T>();
}

std::string Long(size_t size = 100) { return std::string(size, 'x'); }

TEST(Accounting, FixedTypesTakeTheirSize) {
  struct Trivial {
    int a;
    const char* b;
  };
  EXPECT_EQ(AccountedSize(7), sizeof(int));
  EXPECT_EQ(AccountedSize(Trivial{}), sizeof(Trivial));
  EXPECT_EQ(AccountedSize(std::string_view("borrowed text")), sizeof(std::string_view));
  static_assert(kFixedSize<int> && kFixedSize<Trivial> && kFixedSize<std::array<std::pair<int, double>, 4>>);
  static_assert(kFixedSize<std::tuple<int, std::optional<std::chrono::seconds>>> && kFixedSize<std::weak_ptr<int>>);
  static_assert(!kFixedSize<std::string> && !kFixedSize<std::vector<int>> && !kFixedSize<std::optional<std::string>>);
  static_assert(!kFixedSize<std::unique_ptr<int>> && kFixedSize<const int> && !kFixedSize<const std::string>);
}

TEST(Accounting, StringsCountWhatTheyKeepOnTheHeap) {
  EXPECT_EQ(AccountedSize(std::string("short")), sizeof(std::string));
  for (const size_t size : {0, 15, 16, 100, 100'000}) {
    String s(size, 'x');
    ExpectTruth(s);
    s.resize(size / 2);
    ExpectTruth(s);  // The capacity stays.
  }
  EXPECT_EQ(AccountedSize(std::u32string(100, U'x')), sizeof(std::u32string) + 101 * 4);
}

TEST(Accounting, VectorsCountTheirCapacity) {
  Vector<int> v;
  ExpectTruth(v);
  for (int i = 0; i < 100; ++i) {
    v.push_back(i);
    ExpectTruth(v);
  }
  v.clear();
  ExpectTruth(v);
  EXPECT_EQ(AccountedSize(std::vector<bool>(1000)), sizeof(std::vector<bool>) + 128);
}

TEST(Accounting, NestedContainersCountTheirContents) {
  {
    Vector<String> v(10, String(50, 'x'));
    v.emplace_back("short");
    ExpectTruth(v);
  }
  {
    std::list<String, CountingAllocator<String>> l(10, String(50, 'x'));
    ExpectTruth(l);
  }
  {
    std::forward_list<String, CountingAllocator<String>> l(10, String(50, 'x'));
    ExpectTruth(l);
  }
  {
    std::map<int, Vector<String>, std::less<>, CountingAllocator<std::pair<const int, Vector<String>>>> m;
    for (int i = 0; i < 20; ++i) m[i].assign(3, String(40, 'x'));
    ExpectTruth(m);
  }
  {
    std::set<String, std::less<>, CountingAllocator<String>> s;
    for (int i = 0; i < 20; ++i) s.insert(String(30 + i, 'x'));
    ExpectTruth(s);
  }
  EXPECT_EQ(allocated, 0u);
}

// Estimates: how a node is laid out and when tables grow is the library's business.
TEST(Accounting, HashedContainersAndDequesAreNotMuchOverTheTruth) {
  const auto expect_close = [](const auto& value) {
    const size_t truth = sizeof(value) + allocated;
    EXPECT_GE(AccountedSize(value), truth) << RawTypeName<decltype(value)>();
    EXPECT_LE(AccountedSize(value), truth + truth / 3) << RawTypeName<decltype(value)>();
  };
  for (const int size : {0, 1, 10, 1000}) {
    {
      std::unordered_map<int, String, std::hash<int>, std::equal_to<>, CountingAllocator<std::pair<const int, String>>>
          m;
      for (int i = 0; i < size; ++i) m[i] = String(40, 'x');
      expect_close(m);
    }
    {
      std::unordered_set<long, std::hash<long>, std::equal_to<>, CountingAllocator<long>> s;
      for (int i = 0; i < size; ++i) s.insert(i);
      expect_close(s);
    }
    {
      std::deque<String, CountingAllocator<String>> d(static_cast<size_t>(size), String(40, 'x'));
      expect_close(d);
    }
    {
      std::deque<std::array<char, 1000>, CountingAllocator<std::array<char, 1000>>> d(static_cast<size_t>(size));
      expect_close(d);
    }
  }
}

TEST(Accounting, SumTypesCountWhatIsThere) {
  const size_t heap = AccountedSize(Long()) - sizeof(std::string);
  ASSERT_GT(heap, 100u);
  using Optional = std::optional<std::string>;
  EXPECT_EQ(AccountedSize(Optional()), sizeof(Optional));
  EXPECT_EQ(AccountedSize(Optional(Long())), sizeof(Optional) + heap);
  using Variant = std::variant<int, std::string>;
  EXPECT_EQ(AccountedSize(Variant(1)), sizeof(Variant));
  EXPECT_EQ(AccountedSize(Variant(Long())), sizeof(Variant) + heap);
  using Tuple = std::tuple<int, std::string, std::pair<std::string, int>>;
  EXPECT_EQ(AccountedSize(Tuple(1, Long(), {Long(), 2})), sizeof(Tuple) + 2 * heap);
  using Array = std::array<std::string, 3>;
  EXPECT_EQ(AccountedSize(Array{Long(), "short", Long()}), sizeof(Array) + 2 * heap);
  int number = 0;
  EXPECT_EQ(AccountedSize(std::tuple<int&>(number)), sizeof(std::tuple<int&>));
}

TEST(Accounting, PointersCountWhatTheyOwn) {
  const size_t string_size = AccountedSize(Long());
  EXPECT_EQ(AccountedSize(std::unique_ptr<std::string>()), sizeof(void*));
  EXPECT_EQ(AccountedSize(std::make_unique<std::string>(Long())), sizeof(void*) + string_size);
  EXPECT_EQ(AccountedSize(std::make_shared<const std::string>(Long())), 2 * sizeof(void*) + 16 + string_size);
  EXPECT_EQ(AccountedSize(std::shared_ptr<int>()), 2 * sizeof(void*));
  static_assert(!kOpaqueSize<std::unique_ptr<std::string>> && !kOpaqueSize<std::shared_ptr<const std::string>>);
}

struct Record {
  std::string name;
  std::vector<std::string> tags;
  int number;
  char text[4];
};

TEST(Accounting, AggregatesCountTheirFields) {
  const size_t heap = AccountedSize(Long()) - sizeof(std::string);
  const Record record{Long(), {Long(), "short"}, 1, "abc"};
  EXPECT_EQ(AccountedSize(record), sizeof(Record) + heap + 2 * sizeof(std::string) + heap);
  EXPECT_EQ(AccountedSize(std::vector<Record>(3, record)), sizeof(std::vector<Record>) + 3 * AccountedSize(record));
  static_assert(!kOpaqueSize<Record> && !kFixedSize<Record>);
  struct Fixed {
    std::pair<int, int> not_trivially_copyable;
    int more;
  };
  static_assert(kFixedSize<Fixed> && !kOpaqueSize<Fixed>);
  struct Strings {
    std::string both[2];
  };
  EXPECT_EQ(AccountedSize(Strings{{Long(), Long()}}), sizeof(Strings) + 2 * heap);
}

TEST(Accounting, TheCustomizationPointComesFirst) {
  EXPECT_EQ(AccountedSize(mine::Tensor{1000}), sizeof(mine::Tensor) + 4000);
  static_assert(std::is_trivially_copyable_v<mine::Tensor> && !kFixedSize<mine::Tensor> && !kOpaqueSize<mine::Tensor>);
  EXPECT_EQ(AccountedSize(std::vector<mine::Tensor>(2, mine::Tensor{1000})),
            sizeof(std::vector<mine::Tensor>) + 2 * (sizeof(mine::Tensor) + 4000));
  EXPECT_EQ(AccountedSize(mine::Lies()), sizeof(mine::Lies)) << "less than sizeof is impossible";
}

class Opaque {
 public:
  Opaque() = default;

 private:
  std::string hidden_;
};
struct Base {
  virtual ~Base() = default;
};
struct Final final : Base {
  int number = 0;
};
struct Incomplete;

TEST(Accounting, WhatItCannotSeeIsOpaque) {
  EXPECT_EQ(AccountedSize(Opaque()), sizeof(Opaque));
  static_assert(kOpaqueSize<Opaque> && kFixedSize<Opaque>);
  static_assert(kOpaqueSize<std::any> && kOpaqueSize<std::function<void()>> && kOpaqueSize<std::vector<Opaque>>);
  static_assert(kOpaqueSize<std::map<int, std::optional<Opaque>>> && kOpaqueSize<std::shared_ptr<void>>);
  static_assert(kOpaqueSize<std::unique_ptr<int[]>> && kOpaqueSize<std::unique_ptr<Incomplete>>);
  static_assert(kOpaqueSize<std::unique_ptr<Base>> && kOpaqueSize<std::shared_ptr<Base>>);
  static_assert(!kOpaqueSize<int*> && !kOpaqueSize<std::string_view> && !kOpaqueSize<std::vector<bool>>);
  EXPECT_EQ(AccountedSize(std::shared_ptr<Base>(std::make_shared<Final>())), 2 * sizeof(void*) + 16 + sizeof(Base));
}

// Hands out memory that must not be touched.
template <class T>
struct UntouchedMemory {
  using value_type = T;
  T* allocate(size_t) { return reinterpret_cast<T*>(alignof(T)); }
  void deallocate(T*, size_t) {}
  bool operator==(const UntouchedMemory&) const = default;
};

TEST(Accounting, ConstantTimeForVectorsOfFixedElements) {
  std::vector<int, UntouchedMemory<int>> v;
  v.reserve(size_t{1} << 40);
  EXPECT_EQ(AccountedSize(v), sizeof(v) + (size_t{1} << 42));
}

struct Tree {
  std::string name;
  std::vector<Tree> children;
  std::map<std::string, Tree> named;
};
struct Chain {
  int value;
  std::unique_ptr<Chain> next;
};
struct Graph {
  std::string name;
  std::vector<std::shared_ptr<Graph>> edges;
};

TEST(Accounting, TypesThatContainThemselvesAreFollowed) {
  const size_t heap = AccountedSize(Long()) - sizeof(std::string);
  Tree tree{Long(), {}, {}};
  tree.children.push_back({Long(), {}, {}});
  EXPECT_EQ(AccountedSize(tree), 2 * (sizeof(Tree) + heap));
  static_assert(!kOpaqueSize<Tree> && !kFixedSize<Tree>);
  Chain chain{1, std::make_unique<Chain>(Chain{2, nullptr})};
  EXPECT_EQ(AccountedSize(chain), 2 * sizeof(Chain));
  static_assert(!kOpaqueSize<Chain>);
}

// Followed without end, a cycle of shared_ptrs would overflow the stack.
TEST(Accounting, CyclesOfSharedPointersEnd) {
  const auto a = std::make_shared<Graph>();
  const auto b = std::make_shared<Graph>();
  a->edges.push_back(b);
  b->edges.push_back(a);
  const size_t node = 16 + sizeof(Graph);
  const size_t edge = sizeof(std::shared_ptr<Graph>);
  EXPECT_EQ(AccountedSize(*a), sizeof(Graph) + edge + (node + edge) + node);
  static_assert(kOpaqueSize<Graph>);
  a->edges.clear();
}

}  // namespace
}  // namespace rustyray::core
