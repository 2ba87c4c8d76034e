#include "object_store/shm/words.h"

#include <array>
#include <cstring>

namespace rustyray::object_store::shm {

std::uint64_t Checksum(std::string_view bytes, std::uint64_t seed) {
  // Four lanes keep four multiplications in flight: about as fast as memory can be read.
  constexpr std::uint64_t kPrime = 0x9fb21c651e98df25;
  std::array<std::uint64_t, 4> lanes = {seed, ~seed, Mix(seed), Mix(~seed)};
  const char* at = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 32; left -= 32, at += 32) {
    for (std::size_t lane = 0; lane < 4; ++lane) {
      std::uint64_t word;
      std::memcpy(&word, at + 8 * lane, 8);
      const std::uint64_t mixed = (lanes[lane] ^ word) * kPrime;
      lanes[lane] = mixed ^ (mixed >> 29);
    }
  }
  std::uint64_t hash = Combine(seed, bytes.size());
  for (const std::uint64_t lane : lanes) hash = Combine(hash, lane);
  for (; left > 0;) {
    std::uint64_t word = 0;
    const std::size_t now = left < 8 ? left : 8;
    std::memcpy(&word, at, now);
    hash = Combine(hash, word);
    at += now;
    left -= now;
  }
  return hash;
}

}  // namespace rustyray::object_store::shm
