#include "core/private_copy.h"

#include <gtest/gtest.h>

#include <functional>
#include <mutex>
#include <string>

namespace rustyray::core {
namespace {

using IntPtr = std::shared_ptr<int>;

// Expects that both point at equal ints, but not at the same.
void ExpectPrivate(const IntPtr& copy, const IntPtr& original) {
  ASSERT_NE(copy, nullptr);
  EXPECT_NE(copy, original);
  EXPECT_EQ(*copy, *original);
}

TEST(PrivateCopy, IsTheCopyConstructorForMostTypes) {
  static_assert(std::is_same_v<decltype(PrivateCopy(std::string())), std::string>);
  EXPECT_EQ(PrivateCopy(7), 7);
  EXPECT_EQ(PrivateCopy(std::vector<std::string>{"a", "b"}), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(PrivateCopy(std::vector<bool>{true, false}), (std::vector<bool>{true, false}));
}

TEST(PrivateCopy, SharedPointersGetAFreshPointee) {
  const IntPtr p = std::make_shared<int>(7);
  ExpectPrivate(PrivateCopy(p), p);
  EXPECT_EQ(p.use_count(), 1);
  EXPECT_EQ(PrivateCopy(IntPtr()), nullptr);

  const auto constant = std::make_shared<const std::string>("text");
  const std::shared_ptr<const std::string> copy = PrivateCopy(constant);
  EXPECT_NE(copy, constant);
  EXPECT_EQ(*copy, "text");

  const auto nested = std::make_shared<std::vector<IntPtr>>(2, p);
  const auto nested_copy = PrivateCopy(nested);
  EXPECT_NE(nested_copy, nested);
  ExpectPrivate((*nested_copy)[0], p);
  ExpectPrivate((*nested_copy)[1], p);
}

template <class Sequence>
void ExpectSequenceIsPrivate() {
  const Sequence original = {std::make_shared<int>(1), nullptr, std::make_shared<int>(3)};
  const Sequence copy = PrivateCopy(original);
  auto a = copy.begin();
  auto b = original.begin();
  ExpectPrivate(*a++, *b++);
  EXPECT_EQ(*a++, nullptr);
  ExpectPrivate(*a++, *++b);
  EXPECT_EQ(a, copy.end());
}

TEST(PrivateCopy, SequencesKeepTheirOrder) {
  ExpectSequenceIsPrivate<std::vector<IntPtr>>();
  ExpectSequenceIsPrivate<std::deque<IntPtr>>();
  ExpectSequenceIsPrivate<std::list<IntPtr>>();
  ExpectSequenceIsPrivate<std::forward_list<IntPtr>>();
  ExpectSequenceIsPrivate<std::array<IntPtr, 3>>();
}

TEST(PrivateCopy, MapsKeepTheirKeys) {
  const std::map<std::string, std::vector<IntPtr>> map = {{"a", {std::make_shared<int>(1)}}, {"b", {}}};
  const auto copy = PrivateCopy(map);
  EXPECT_EQ(copy.size(), 2u);
  ExpectPrivate(copy.at("a")[0], map.at("a")[0]);

  const std::multimap<int, IntPtr, std::greater<>> multi = {
      {1, std::make_shared<int>(10)}, {1, std::make_shared<int>(11)}, {2, std::make_shared<int>(20)}};
  const auto multi_copy = PrivateCopy(multi);
  auto b = multi.begin();
  for (const auto& [key, value] : multi_copy) {
    EXPECT_EQ(key, b->first);
    ExpectPrivate(value, b++->second);
  }
  EXPECT_EQ(b, multi.end());

  std::unordered_map<int, IntPtr> hashed;
  for (int i = 0; i < 100; ++i) hashed[i] = std::make_shared<int>(i);
  const auto hashed_copy = PrivateCopy(hashed);
  ASSERT_EQ(hashed_copy.size(), 100u);
  for (const auto& [key, value] : hashed_copy) ExpectPrivate(value, hashed.at(key));
}

TEST(PrivateCopy, SetsOfPointersAreOrderedAnew) {
  std::set<IntPtr> set;
  for (int i = 0; i < 20; ++i) set.insert(std::make_shared<int>(i));
  const std::set<IntPtr> copy = PrivateCopy(set);
  EXPECT_EQ(copy.size(), 20u);
  std::set<int> values;
  for (const IntPtr& p : copy) {
    EXPECT_EQ(set.count(p), 0u);
    EXPECT_EQ(copy.count(p), 1u);
    values.insert(*p);
  }
  EXPECT_EQ(values.size(), 20u);
  EXPECT_EQ(PrivateCopy(std::unordered_set<IntPtr>(set.begin(), set.end())).size(), 20u);
}

struct Modulo {
  int divisor = 1;
  bool operator()(int a, int b) const { return a % divisor < b % divisor; }
};

TEST(PrivateCopy, ComparatorsAreCopied) {
  std::map<int, IntPtr, Modulo> map(Modulo{10});
  map[1] = std::make_shared<int>(1);
  auto copy = PrivateCopy(map);
  EXPECT_TRUE(copy.contains(11));
}

TEST(PrivateCopy, PairsTuplesOptionalsAndVariantsAreLookedInto) {
  const IntPtr p = std::make_shared<int>(7);
  ExpectPrivate(PrivateCopy(std::pair(1, p)).second, p);
  ExpectPrivate(PrivateCopy(std::pair<const IntPtr, int>(p, 1)).first, p);
  ExpectPrivate(std::get<1>(PrivateCopy(std::tuple(1, p, std::string("a")))), p);
  ExpectPrivate(std::get<0>(std::get<0>(PrivateCopy(std::tuple<std::tuple<IntPtr>>(p)))), p);
  ExpectPrivate(*PrivateCopy(std::optional<IntPtr>(p)), p);
  EXPECT_FALSE(PrivateCopy(std::optional<IntPtr>()).has_value());
  using Variant = std::variant<int, IntPtr, IntPtr>;
  const Variant copy = PrivateCopy(Variant(std::in_place_index<2>, p));
  ASSERT_EQ(copy.index(), 2u);
  ExpectPrivate(std::get<2>(copy), p);
  EXPECT_EQ(std::get<0>(PrivateCopy(Variant(3))), 3);
  int number = 0;
  const std::tuple<int&, IntPtr> with_reference(number, p);
  const auto reference_copy = PrivateCopy(with_reference);
  EXPECT_EQ(&std::get<0>(reference_copy), &number);
  ExpectPrivate(std::get<1>(reference_copy), p);
}

struct Base {
  virtual ~Base() = default;
  int number = 0;
};
struct Final final : Base {};
struct HoldsPointer {
  IntPtr p;
};
struct Incomplete;

TEST(PrivateCopy, WhatWouldSliceOrCannotBeCopiedIsShared) {
  const auto base = std::make_shared<Base>();
  EXPECT_EQ(PrivateCopy(base), base);
  const auto final_class = std::make_shared<Final>();
  EXPECT_NE(PrivateCopy(final_class), final_class);
  const std::shared_ptr<void> anything = base;
  EXPECT_EQ(PrivateCopy(anything), anything);
  const auto mutex = std::make_shared<std::mutex>();
  EXPECT_EQ(PrivateCopy(mutex), mutex);
  const auto array = std::shared_ptr<int[]>(new int[3]);
  EXPECT_EQ(PrivateCopy(array), array);
  const auto unique = std::make_shared<std::vector<std::unique_ptr<int>>>();
  EXPECT_EQ(PrivateCopy(unique), unique);
  EXPECT_EQ(PrivateCopy(std::shared_ptr<Incomplete>()), nullptr);
  const HoldsPointer holds{std::make_shared<int>(1)};
  EXPECT_EQ(PrivateCopy(holds).p, holds.p);
}

TEST(PrivateCopy, TheOriginalDoesNotSeeChanges) {
  const std::vector<std::map<int, IntPtr>> original = {{{1, std::make_shared<int>(1)}}};
  auto copy = PrivateCopy(original);
  *copy[0][1] = 2;
  EXPECT_EQ(*original[0].at(1), 1);
}

struct HoldsUnique {
  std::vector<std::unique_ptr<int>> v;
};
struct Tree {
  std::vector<Tree> children;
  std::string name;
};
struct TreeOfUnique {
  std::vector<TreeOfUnique> children;
  std::vector<std::unique_ptr<int>> v;
};
struct MoveOnly {
  MoveOnly() = default;
  MoveOnly(MoveOnly&&) = default;
};

// A vector of unique_ptrs says of itself that it can be copied.
static_assert(std::is_copy_constructible_v<std::vector<std::unique_ptr<int>>>);
static_assert(!kPrivateCopyable<std::vector<std::unique_ptr<int>>>);
static_assert(!kPrivateCopyable<std::map<int, std::vector<std::unique_ptr<int>>>>);
static_assert(!kPrivateCopyable<std::map<std::unique_ptr<int>, int>>);
static_assert(!kPrivateCopyable<std::optional<std::list<MoveOnly>>> && !kPrivateCopyable<MoveOnly>);
static_assert(!kPrivateCopyable<std::pair<int, std::deque<MoveOnly>>>);
static_assert(!kPrivateCopyable<std::variant<int, std::tuple<std::vector<MoveOnly>>>>);
static_assert(!kPrivateCopyable<HoldsUnique> && !kPrivateCopyable<std::vector<HoldsUnique>>);
static_assert(!kPrivateCopyable<TreeOfUnique>);
static_assert(kPrivateCopyable<Tree> && kPrivateCopyable<std::vector<Tree>> && kPrivateCopyable<int>);
static_assert(kPrivateCopyable<std::shared_ptr<std::mutex>> && kPrivateCopyable<std::function<void()>>);
static_assert(kPrivateCopyable<std::map<std::string, std::vector<bool>>> && kPrivateCopyable<std::tuple<int&>>);
static_assert(kPrivateCopyable<const std::string> && kPrivateCopyable<std::shared_ptr<MoveOnly>>);

}  // namespace
}  // namespace rustyray::core
