// Eight-bit numbers: int8 and fp8 (E4M3: four bits of exponent, three of mantissa, largest 448, no infinity), and the tiles in which the
// eight-bit attention keeps Q, K and V.
//
// A tile of Q or K is 64 rows of 128 bytes, the 16-byte piece c of row r at place c ^ (r & 7) of its row. A tile of V is transposed, 128 rows
// (columns of the head) of 64 bytes (tokens), piece c of row r at place c ^ (r >> 1 & 3). Both are how an operand of Hopper's products lies in
// shared memory, and one that ldmatrix reads without bank conflicts, so a tile is copied there as it is. Tokens of V stand in the order in which
// a product's result has them in registers.
#pragma once
#include "common.cuh"

constexpr float kFp8Largest = 448;
constexpr float kFp8Tiny = 1e-30f;                             // a row with nothing larger counts as zeros: its factor would be infinite
constexpr int kHeadroom = 5;                                   // V's numbers may be 2^kHeadroom times those that attention_statistics.cu saw
constexpr float kLift = 6;                                     // of the exponents of the attention's weights: they use fp8 up to its largest
constexpr int kTile8Bytes = 64 * 128;                          // a tile of Q, K or V

// Two floats to fp8, to nearest even, the largest number where they are beyond it; `low` at the lower address.
DEVICE u32 pack_fp8_pair(float low, float high) {
    u16 packed;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(packed) : "f"(high), "f"(low));
    return packed;
}

DEVICE u32 pack_fp8(float a, float b, float c, float d) { return pack_fp8_pair(a, b) | pack_fp8_pair(c, d) << 16; }

// Sixteen codes of a row in the order of their columns, from four lanes' words after quad_transpose: word l has columns 2 l and 2 l + 1 of the first eight
// and, above them, of the last eight.
DEVICE uint4 join_codes(const u32 (&w)[4]) {
    return make_uint4(
        __byte_perm(w[0], w[1], 0x5410), __byte_perm(w[2], w[3], 0x5410), __byte_perm(w[0], w[1], 0x7632), __byte_perm(w[2], w[3], 0x7632));
}

// Four numbers to int8, to nearest even: added to 1.5 · 2^23 a number of up to 127 either way stands in the lowest byte.
DEVICE u32 pack_int8(float a, float b, float c, float d) {
    constexpr float kShift = 12582912;
    const u32 low = __byte_perm(__float_as_uint(a + kShift), __float_as_uint(b + kShift), 0x0040);
    return __byte_perm(low, __byte_perm(__float_as_uint(c + kShift), __float_as_uint(d + kShift), 0x0040), 0x5410);
}

// Like fmaxf, but NaN wins.
DEVICE float larger(float a, float b) {
    float y;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
    return y;
}

// Larger and smaller of two pairs of elements; NaN wins.
DEVICE u32 larger_elements(u32 a, u32 b) {
    u32 y;
    asm("max.NaN." ELEMENT_NAME "x2 %0, %1, %2;" : "=r"(y) : "r"(a), "r"(b));
    return y;
}

DEVICE u32 smaller_elements(u32 a, u32 b) {
    u32 y;
    asm("min.NaN." ELEMENT_NAME "x2 %0, %1, %2;" : "=r"(y) : "r"(a), "r"(b));
    return y;
}

DEVICE float larger4(float a, float b, float c, float d) { return larger(larger(fabsf(a), fabsf(b)), larger(fabsf(c), fabsf(d))); }

// What a row whose largest magnitude is `top` is multiplied by, and what brings it back: the scale of the row. NaN and infinity stay in the scale.
DEVICE float fp8_factor(float top) { return top < kFp8Tiny ? 1 : kFp8Largest / top; }
DEVICE float fp8_scale(float top) { return top < kFp8Tiny ? 1 : top / kFp8Largest; }

// The largest over a warp.
DEVICE float warp_larger(float top) {
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) top = larger(__shfl_xor_sync(kAllLanes, top, offset), top);
    return top;
}

// Where the 8-byte piece p (of 16) of a row of a Q or K tile lies.
DEVICE u32 tile8_piece(int row, int p) { return row * 128 + ((p / 2 ^ (row & 7)) << 4) + (p & 1) * 8; }

// Where the 16-byte piece p (of 4) of a row of a V tile lies.
DEVICE u32 tile8_values(int row, int p) { return row * 64 + ((p ^ (row >> 1 & 3)) << 4); }

// Where a token of a column of the head lies in a tile of V. Of 32 tokens, 8 h + 2 c + e (h < 4) stands at 16 (h / 2) + 4 c + 2 (h % 2) + e.
DEVICE u32 tile8_token(int column, int token) {
    const int step = token / 32, h = token / 8 & 3, c = token / 2 & 3, e = token & 1;
    const int at = step * 32 + (h / 2) * 16 + c * 4 + (h & 1) * 2 + e;
    return tile8_values(column, at >> 4) + (at & 15);
}
