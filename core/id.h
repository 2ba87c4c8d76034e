#ifndef RUSTYRAY_CORE_ID_H_
#define RUSTYRAY_CORE_ID_H_

// Ids of objects, tasks, actors, nodes and accounts: 128 bits, trivially copyable, and a type of its own for each of
// them. Random ids are version 4 UUIDs from a generator of the calling thread, seeded from the kernel: no lock and no
// system call per id. A child made by fork() draws other ids than its parent. They are unique, not secret.
// Every function may be called from any thread.

#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/status/statusor.h"

namespace rustyray::core {

namespace internal {

// The 16 bytes of an id as two big-endian halves, so that ids order as their hexadecimal forms do.
struct IdBits {
  uint64_t high = 0;
  uint64_t low = 0;
  friend constexpr auto operator<=>(const IdBits&, const IdBits&) = default;
};

IdBits RandomIdBits();
absl::StatusOr<IdBits> IdBitsFromHex(std::string_view hex);
absl::StatusOr<IdBits> IdBitsFromBinary(std::string_view binary);
std::string IdBitsToHex(IdBits bits);
std::string IdBitsToBinary(IdBits bits);

}  // namespace internal

template <class Tag>
class Id {
 public:
  static constexpr size_t kSize = 16;  // Bytes.

  // The nil id, all zeros.
  constexpr Id() = default;
  static constexpr Id Nil() { return Id(); }

  // A fresh id, never nil.
  static Id Random() { return Id(internal::RandomIdBits()); }

  // Reads 32 hexadecimal digits of either case, or the dashed form of a UUID (8-4-4-4-12). InvalidArgument otherwise.
  static absl::StatusOr<Id> FromHex(std::string_view hex) { return Wrap(internal::IdBitsFromHex(hex)); }

  // Reads 16 bytes as Binary() gives them. InvalidArgument if there are more or less.
  static absl::StatusOr<Id> FromBinary(std::string_view binary) { return Wrap(internal::IdBitsFromBinary(binary)); }

  constexpr bool IsNil() const { return bits_ == internal::IdBits(); }

  // 32 lower-case hexadecimal digits.
  std::string Hex() const { return internal::IdBitsToHex(bits_); }

  // 16 bytes, in the order of Hex().
  std::string Binary() const { return internal::IdBitsToBinary(bits_); }

  friend constexpr bool operator==(const Id&, const Id&) = default;
  friend constexpr auto operator<=>(const Id&, const Id&) = default;

  template <class H>
  friend H AbslHashValue(H state, const Id& id) {
    return H::combine(std::move(state), id.bits_.high, id.bits_.low);
  }

 private:
  friend struct std::hash<Id>;

  explicit constexpr Id(internal::IdBits bits) : bits_(bits) {}

  static absl::StatusOr<Id> Wrap(absl::StatusOr<internal::IdBits> bits) {
    if (!bits.ok()) return bits.status();
    return Id(*bits);
  }

  internal::IdBits bits_;
};

using ObjectId = Id<struct ObjectTag>;
using TaskId = Id<struct TaskTag>;
using ActorId = Id<struct ActorTag>;
using NodeId = Id<struct NodeTag>;
using AccountId = Id<struct AccountTag>;

}  // namespace rustyray::core

template <class Tag>
struct std::hash<rustyray::core::Id<Tag>> {
  size_t operator()(const rustyray::core::Id<Tag>& id) const noexcept {
    // Ids read from bytes need not be random: one multiplication spreads their bits.
    return static_cast<size_t>((std::rotl(id.bits_.high, 32) ^ id.bits_.low) * 0x9e3779b97f4a7c15u);
  }
};

#endif  // RUSTYRAY_CORE_ID_H_
