// The two element types of the kernels. Memory holds float or bfloat16; arithmetic is always float, so that a kernel
// rounds once, when it stores.
#pragma once

#include <cstdint>
#include <cstring>

namespace {

struct bf16 {  // the upper half of a float: its sign, its 8 exponent bits and 7 of its 23 mantissa bits
  uint16_t bits;
};

inline float load(const float* p, long i) { return p[i]; }
inline float load(const bf16* p, long i) {
  uint32_t wide = uint32_t(p[i].bits) << 16;
  float value;
  std::memcpy(&value, &wide, 4);
  return value;
}
inline void store(float* p, long i, float value) { p[i] = value; }
inline void store(bf16* p, long i, float value) {
  uint32_t wide;
  std::memcpy(&wide, &value, 4);
  // To nearest, ties to even, as PyTorch rounds: add just under half a unit, and the last kept bit decides a tie.
  uint32_t rounded = (wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16;
  // A NaN goes another way: that addition may carry through its exponent into the sign, which makes it -0, or the shift
  // may drop the only mantissa bits that are set, which makes it infinity.
  p[i].bits = value != value ? uint16_t(0x7fc0) : uint16_t(rounded);
}

// Long sums add BLOCK values in float and the blocks in double: float's speed, and a rounding error that does not grow
// with the size of the image.
constexpr long BLOCK = 64;
// Channels are taken CHUNK at a time: sums per channel then fit registers or the stack, and the scratch rows of the
// upsampling kernels stay in the first-level cache however many channels there are.
constexpr long CHUNK = 64;

}  // namespace
