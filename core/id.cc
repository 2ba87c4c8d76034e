#include "core/id.h"

#include <pthread.h>
#include <sys/random.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "absl/status/status.h"

namespace rustyray::core::internal {
namespace {

// Counts the forks that lie between this process and the first one, starting from 1. A thread whose generator was
// seeded in another generation seeds it anew.
std::atomic<uint32_t> process_generation{1};

// xoshiro256++ 1.0 of Blackman and Vigna, https://prng.di.unimi.it/xoshiro256plusplus.c
struct Generator {
  uint64_t state[4];
  uint32_t generation;  // 0: not seeded yet.

  uint64_t Next() {
    const uint64_t result = std::rotl(state[0] + state[3], 23) + state[0];
    const uint64_t t = state[1] << 17;
    state[2] ^= state[0];
    state[3] ^= state[1];
    state[1] ^= state[2];
    state[0] ^= state[3];
    state[2] ^= t;
    state[3] = std::rotl(state[3], 45);
    return result;
  }
};

// Constant-initialised: access needs no guard.
constinit thread_local Generator generator{};

void Seed(uint32_t generation) {
  // Registered here rather than at static initialisation: whoever draws no id pays nothing.
  [[maybe_unused]] static const int registered = pthread_atfork(
      nullptr, nullptr, +[] { process_generation.fetch_add(1, std::memory_order_relaxed); });
  auto* bytes = reinterpret_cast<char*>(generator.state);
  size_t filled = 0;
  while (filled < sizeof(generator.state)) {
    const ssize_t got = getrandom(bytes + filled, sizeof(generator.state) - filled, 0);
    if (got > 0) {
      filled += static_cast<size_t>(got);
    } else if (errno != EINTR) {
      std::perror("rustyray: getrandom");
      std::abort();  // Without it ids would collide, which corrupts silently.
    }
  }
  generator.generation = generation;
}

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

absl::Status BadHex(std::string_view hex) {
  constexpr size_t kShown = 64;
  std::string message = "an id is 32 hexadecimal digits, or 36 characters with dashes, not \"";
  message.append(hex.substr(0, kShown)).append(hex.size() > kShown ? "...\"" : "\"");
  return absl::InvalidArgumentError(message);
}

}  // namespace

IdBits RandomIdBits() {
  const uint32_t generation = process_generation.load(std::memory_order_relaxed);
  if (generator.generation != generation) [[unlikely]] {
    Seed(generation);
  }
  // RFC 4122, 4.4: version 4 in the four top bits of the seventh byte, variant 10 in the two top bits of the ninth.
  const uint64_t high = (generator.Next() & ~uint64_t{0xf000}) | 0x4000;
  const uint64_t low = (generator.Next() & ~(uint64_t{3} << 62)) | (uint64_t{2} << 62);
  return {high, low};
}

absl::StatusOr<IdBits> IdBitsFromHex(std::string_view hex) {
  const bool dashed = hex.size() == 36;
  if (!dashed && hex.size() != 32) return BadHex(hex);
  uint64_t halves[2] = {0, 0};
  size_t digits = 0;
  for (size_t i = 0; i < hex.size(); ++i) {
    if (dashed && (i == 8 || i == 13 || i == 18 || i == 23)) {
      if (hex[i] != '-') return BadHex(hex);
      continue;
    }
    const int digit = HexDigit(hex[i]);
    if (digit < 0) return BadHex(hex);
    uint64_t& half = halves[digits++ / 16];
    half = half << 4 | static_cast<uint64_t>(digit);
  }
  return IdBits{halves[0], halves[1]};
}

absl::StatusOr<IdBits> IdBitsFromBinary(std::string_view binary) {
  if (binary.size() != 16) {
    return absl::InvalidArgumentError("an id is 16 bytes, not " + std::to_string(binary.size()));
  }
  uint64_t halves[2] = {0, 0};
  for (size_t i = 0; i < 16; ++i) halves[i / 8] = halves[i / 8] << 8 | static_cast<unsigned char>(binary[i]);
  return IdBits{halves[0], halves[1]};
}

std::string IdBitsToHex(IdBits bits) {
  std::string hex(32, '0');
  for (size_t i = 0; i < 32; ++i) {
    const uint64_t half = i < 16 ? bits.high : bits.low;
    hex[i] = "0123456789abcdef"[half >> (60 - 4 * (i % 16)) & 15];
  }
  return hex;
}

std::string IdBitsToBinary(IdBits bits) {
  std::string binary(16, '\0');
  for (size_t i = 0; i < 16; ++i) {
    const uint64_t half = i < 8 ? bits.high : bits.low;
    binary[i] = static_cast<char>(half >> (56 - 8 * (i % 8)));
  }
  return binary;
}

}  // namespace rustyray::core::internal
