#include "core/type_info.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "core/accounting.h"
#include "core/codec.h"

namespace named {
struct Point {
  int x, y;
};
struct Opaque {
  explicit Opaque(int n) : number(n) {}
  ~Opaque() {}
  int number;
};
}  // namespace named

namespace rustyray::core {
namespace {

absl::Status EncodeNothing(const void*, EncodeSink&) { return absl::OkStatus(); }
absl::Status DecodeNothing(std::string_view, std::span<const ObjectRef>, void*) { return absl::OkStatus(); }
constexpr Codec kOther{"other", false, &EncodeNothing, &DecodeNothing};

struct OtherCodecs {
  template <class T>
  static constexpr const Codec* CodecFor() {
    return &kOther;
  }
};

// Like core's codecs, from another policy.
struct SameCodecs {
  template <class T>
  static constexpr const Codec* CodecFor() {
    return CoreCodecs::CodecFor<T>();
  }
};

struct NoCodecs {
  template <class T>
  static constexpr const Codec* CodecFor() {
    return nullptr;
  }
};

TEST(TypeInfo, DescribesTheType) {
  constexpr const TypeInfo& info = TypeInfoOf<named::Point>();
  EXPECT_EQ(info.name, "named::Point");
  EXPECT_EQ(info.size, sizeof(named::Point));
  EXPECT_EQ(info.align, alignof(named::Point));
  EXPECT_EQ(info.destroy, nullptr);
  EXPECT_EQ(info.accounted, nullptr);
  EXPECT_FALSE(info.opaque);
  EXPECT_EQ(info.codec, CoreCodecs::CodecFor<named::Point>());
  EXPECT_EQ(TypeInfoOf<std::vector<std::string>>().Readable(), "std::vector<std::string>");
  EXPECT_EQ(&TypeInfoOf<named::Point>(), &info) << "one object per type and policy";
  EXPECT_TRUE(TypeInfoOf<named::Opaque>().opaque);
  EXPECT_NE(TypeInfoOf<named::Opaque>().destroy, nullptr);
  EXPECT_EQ(TypeInfoOf<std::unique_ptr<int>>().codec, nullptr);
}

TEST(TypeInfo, DestroysAndAccounts) {
  struct Sentinel {
    ~Sentinel() { ++*destroyed; }
    int* destroyed;
  };
  int destroyed = 0;
  alignas(Sentinel) std::byte raw[sizeof(Sentinel)];
  new (raw) Sentinel{&destroyed};
  TypeInfoOf<Sentinel>().destroy(raw);
  EXPECT_EQ(destroyed, 1);
  const std::vector<std::string> strings(3, std::string(100, 'x'));
  EXPECT_EQ(TypeInfoOf<std::vector<std::string>>().AccountedSizeOf(&strings), AccountedSize(strings));
  const int number = 7;
  EXPECT_EQ(TypeInfoOf<int>().AccountedSizeOf(&number), sizeof(int));
}

TEST(TypeInfo, EqualMeansTheSameTypeWithTheSameCodec) {
  EXPECT_EQ(TypeInfoOf<int>(), TypeInfoOf<int>());
  EXPECT_EQ(TypeInfoOf<int>(), (TypeInfoOf<int, SameCodecs>()));
  EXPECT_FALSE(TypeInfoOf<int>() == TypeInfoOf<unsigned>());
  EXPECT_FALSE(TypeInfoOf<int>() == (TypeInfoOf<int, OtherCodecs>()));
  EXPECT_FALSE(TypeInfoOf<int>() == (TypeInfoOf<int, NoCodecs>()));
}

// To take one for the other would be undefined behaviour.
TEST(TypeInfo, LocalTypesOfOneNameDiffer) {
  const TypeInfo* first;
  const TypeInfo* second;
  {
    struct Local {
      int value;
    };
    first = &TypeInfoOf<Local>();
  }
  {
    struct Local {
      float value;
    };
    second = &TypeInfoOf<Local>();
  }
  ASSERT_EQ(first->name, second->name);
  EXPECT_FALSE(*first == *second);
  EXPECT_TRUE(*first == *first);
}

}  // namespace
}  // namespace rustyray::core
