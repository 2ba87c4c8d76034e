#include "core/codec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <tuple>

#include "absl/status/status.h"

namespace rustyray::core {

class ObjectRef {};  // Codecs must do with a type that they do not know.

namespace {

using ::testing::HasSubstr;

template <class T>
std::string Encode(const T& value) {
  EncodeSink sink;
  sink.bytes = "before";  // Bytes that are there already stay.
  const Codec* codec = CoreCodecs::CodecFor<T>();
  EXPECT_TRUE(codec->encode(&value, sink).ok());
  EXPECT_EQ(sink.bytes.substr(0, 6), "before");
  return sink.bytes.substr(6);
}

// Decodes from storage of the exact size, at an odd address, so that the sanitizers see a read beyond or unaligned.
template <class T>
absl::Status Decode(std::string_view bytes, std::optional<T>* result = nullptr) {
  const std::unique_ptr<char[]> moved(new char[bytes.size() + 1]);
  std::memcpy(moved.get() + 1, bytes.data(), bytes.size());
  alignas(T) std::byte raw[sizeof(T)];
  const Codec* codec = CoreCodecs::CodecFor<T>();
  absl::Status status = codec->decode(std::string_view(moved.get() + 1, bytes.size()), {}, raw);
  if (status.ok()) {
    T* value = std::launder(reinterpret_cast<T*>(raw));
    if (result != nullptr) result->emplace(std::move(*value));
    std::destroy_at(value);
  }
  return status;
}

template <class T>
void ExpectRoundTrip(const T& value) {
  std::optional<T> result;
  ASSERT_TRUE(Decode<T>(Encode(value), &result).ok());
  EXPECT_EQ(*result, value);
}

struct Point {
  double x, y;
  int tag;
  friend bool operator==(const Point&, const Point&) = default;
};

class WithoutDefault {
 public:
  explicit WithoutDefault(int value) : value_(value) {}
  friend bool operator==(const WithoutDefault&, const WithoutDefault&) = default;

 private:
  int value_;
};

enum class Colour : uint8_t { kRed, kGreen };

TEST(Codec, RoundTrips) {
  ExpectRoundTrip(7);
  ExpectRoundTrip(true);
  ExpectRoundTrip(-0.5L);
  ExpectRoundTrip(Colour::kGreen);
  ExpectRoundTrip(Point{1, 2, 3});
  ExpectRoundTrip(WithoutDefault(7));
  ExpectRoundTrip(std::array<int, 3>{1, 2, 3});
  ExpectRoundTrip(std::optional<int>(3));
  ExpectRoundTrip(std::string());
  ExpectRoundTrip(std::string("a\0b", 3));
  ExpectRoundTrip(std::string(100'000, 'x'));
  ExpectRoundTrip(std::vector<int>());
  ExpectRoundTrip(std::vector<int>{1, 2, 3});
  ExpectRoundTrip(std::vector<char>(1000, 'x'));
  ExpectRoundTrip(std::vector<Point>{{1, 2, 3}, {4, 5, 6}});
  ExpectRoundTrip(std::vector<WithoutDefault>{WithoutDefault(1), WithoutDefault(2)});
  ExpectRoundTrip(std::vector<std::string>());
  ExpectRoundTrip(std::vector<std::string>{"", "a", std::string(1000, 'x'), std::string("\0\0", 2), ""});
}

TEST(Codec, InPlaceMeansTheElementsAndNothingElse) {
  EXPECT_TRUE(CoreCodecs::CodecFor<std::vector<int>>()->in_place);
  const std::vector<int> v = {1, 2, 3};
  EXPECT_EQ(Encode(v), std::string(reinterpret_cast<const char*>(v.data()), 12));
  EXPECT_TRUE(CoreCodecs::CodecFor<std::string>()->in_place);
  EXPECT_EQ(Encode(std::string("abc")), "abc");
  EXPECT_FALSE(CoreCodecs::CodecFor<std::vector<std::string>>()->in_place);
}

template <class T>
void ExpectTruncationsFail(const T& value) {
  const std::string bytes = Encode(value);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_EQ(Decode<T>(bytes.substr(0, size)).code(), absl::StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(Decode<T>(bytes + 'x').code(), absl::StatusCode::kDataLoss);
}

TEST(Codec, EveryTruncationIsAnError) {
  ExpectTruncationsFail(7LL);
  ExpectTruncationsFail(Point{1, 2, 3});
  ExpectTruncationsFail(std::vector<std::string>{"", "abc", std::string(40, 'x'), ""});
  const std::string bytes = Encode(std::vector<int>{1, 2, 3});
  for (size_t size = 0; size <= bytes.size(); ++size) {
    EXPECT_EQ(Decode<std::vector<int>>(bytes.substr(0, size)).ok(), size % 4 == 0) << size;
  }
}

TEST(Codec, ErrorsNameTheTypeAndTheSizes) {
  EXPECT_EQ(std::string(Decode<int>("abc").message()), "cannot decode int: expected 4 bytes, got 3 bytes");
  EXPECT_EQ(std::string(Decode<std::vector<int>>("abcde").message()),
            "cannot decode std::vector<int>: expected a multiple of 4 bytes, got 5 bytes");
  const std::string strings = Encode(std::vector<std::string>{"abc"});
  EXPECT_EQ(std::string(Decode<std::vector<std::string>>(strings.substr(0, strings.size() - 1)).message()),
            "cannot decode std::vector<std::string>: expected string 0 to have 3 bytes, not 2, got 18 bytes");
  EXPECT_THAT(std::string(Decode<std::vector<std::string>>(strings + "x").message()),
              HasSubstr("expected 19 bytes, got 20"));
}

// Sizes that lie must neither be allocated nor wrap around.
TEST(Codec, HostileSizesAreErrors) {
  constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
  const uint64_t hostile[][4] = {
      {kMax, 0, 0, 0},      {kMax / 8 + 1, 0, 0, 0}, {kMax / 8, 0, 0, 0}, {4, 0, 0, 0}, {2, kMax, 1, 0},
      {2, kMax - 7, 16, 0}, {3, 1, kMax, 0},         {1, 17, 0, 0},       {0, 0, 0, 0}, {1, 0, 0, 0},
      {1, 15, 0, 0}};
  for (const auto& numbers : hostile) {
    std::string bytes(sizeof(numbers), '\0');
    std::memcpy(bytes.data(), numbers, sizeof(numbers));
    EXPECT_EQ(Decode<std::vector<std::string>>(bytes).code(), absl::StatusCode::kDataLoss) << numbers[0];
  }
}

TEST(Codec, EveryChangedByteIsAnErrorOrAValue) {
  const std::string bytes = Encode(std::vector<std::string>{"", "abc", std::string(20, 'x')});
  for (size_t at = 0; at < bytes.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string changed = bytes;
      changed[at] = static_cast<char>(changed[at] ^ 1 << bit);
      const absl::Status status = Decode<std::vector<std::string>>(changed);
      EXPECT_TRUE(status.ok() || absl::IsDataLoss(status));
    }
  }
}

TEST(Codec, ABoolIsZeroOrOne) {
  EXPECT_TRUE(Decode<bool>(std::string("\1")).ok());
  EXPECT_EQ(Decode<bool>("\2").code(), absl::StatusCode::kDataLoss);
}

struct Named {
  const char* name;
  int number;
};
struct Deep {
  std::array<Named, 2> names;
};
struct Viewing {
  std::string_view text;
};
struct Callback {
  void (*call)(int);
};
class Hidden {
 public:
  const int* Get() const { return p_; }

 private:
  const int* p_ = nullptr;
};
struct Immovable {
  Immovable(const Immovable&) = delete;
  int value;
};

// Addresses mean nothing in another process.
static_assert(!kHasCodec<int*> && !kHasCodec<void (*)()> && !kHasCodec<int Point::*> && !kHasCodec<std::nullptr_t>);
static_assert(!kHasCodec<std::string_view> && !kHasCodec<std::span<int>> && !kHasCodec<std::reference_wrapper<int>>);
static_assert(!kHasCodec<std::array<int*, 2>> && !kHasCodec<std::optional<std::string_view>>);
static_assert(!kHasCodec<std::variant<int, char*>> && !kHasCodec<std::vector<std::string_view>>);
static_assert(!kHasCodec<Named> && !kHasCodec<Deep> && !kHasCodec<Viewing> && !kHasCodec<Callback>);
static_assert(!kHasCodec<std::vector<Named>>);
static_assert(kHasCodec<Hidden>);
static_assert(!kHasCodec<decltype([p = static_cast<int*>(nullptr)] { return p; })>);

static_assert(!kHasCodec<void> && !kHasCodec<int&> && !kHasCodec<int[3]> && !kHasCodec<Immovable>);
static_assert(!kHasCodec<std::vector<bool>> && !kHasCodec<std::vector<std::vector<int>>>);
static_assert(!kHasCodec<std::map<int, int>> && !kHasCodec<std::unique_ptr<int>>);
static_assert(!kHasCodec<ObjectRef*> && !kHasCodec<std::shared_ptr<int>>);

}  // namespace
}  // namespace rustyray::core
