// Numbers stored in fewer bits to bf16 (or fp16), as a file has them: ggml's blocks and the 8-bit floats.
//
//     y[i] = round(factor · code + offset)      factor and offset are those of the element's group (or row), code is its few bits
//
// Products and sums are in float32, each rounded by itself and in the order of the CPU's expansion (Weights/Gguf), so that the result is the
// CPU's rounded once.
//
// blocks   bytes, block after block; y bf16 (or fp16), contiguous, 16-byte aligned; `pieces` is the number of elements / 8
// scales   float32, element i has the one at i / perScale; null for 1. The 8-bit floats alone have them.
// Grid: any number of thread blocks of kWalkThreads threads, 8 elements a thread and turn: all of one group.
// Macro: FORMAT, ggml's number of the type (ggml.h), or 100 for E4M3 and 101 for E5M2.
#include "common.cuh"

#ifndef FORMAT
#define FORMAT 12
#endif

struct Group {
    float factor, offset;
};

// Never contracted to a fused multiply-add.
DEVICE float product(float a, float b) { return __fmul_rn(a, b); }

DEVICE float half_at(const u8* at) {
    const u16 bits = (u16)(at[0] | at[1] << 8);
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

// The fifth bit of element i of 32.
DEVICE int fifth(const u8* bits, int i) { return (bits[i >> 3] >> (i & 7) & 1) << 4; }

// Element i's four bits where the low halves are elements 0 to 15 and the high halves 16 to 31.
DEVICE int nibble(const u8* codes, int i) { return i < 16 ? codes[i] & 15 : codes[i - 16] >> 4; }

#if FORMAT == 20 || FORMAT == 23
__device__ const signed char kIq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
#endif

#if FORMAT == 12 || FORMAT == 13
// Six bits each: the first four groups' lie whole in bytes 0 to 3 and 4 to 7, the others' are halves of bytes 8 to 11 and top bits.
DEVICE Group scale_and_min(const u8* block, int group) {
    const u8* packed = block + 4;
    const int scale = group < 4 ? packed[group] & 63 : (packed[group + 4] & 15) | (packed[group - 4] >> 6) << 4;
    const int least = group < 4 ? packed[group + 4] & 63 : (packed[group + 4] >> 4) | (packed[group] >> 6) << 4;
    return {product(half_at(block), (float)scale), -product(half_at(block + 2), (float)least)};
}
#endif

#if FORMAT == 2                                                // Q4_0
constexpr int kElements = 32, kBytes = 18;
DEVICE Group group_of(const u8* b, int) { return {half_at(b), 0}; }
DEVICE float code_of(const u8* b, int i) { return (float)(nibble(b + 2, i) - 8); }
#elif FORMAT == 3                                              // Q4_1
#define HAS_OFFSET
constexpr int kElements = 32, kBytes = 20;
DEVICE Group group_of(const u8* b, int) { return {half_at(b), half_at(b + 2)}; }
DEVICE float code_of(const u8* b, int i) { return (float)nibble(b + 4, i); }
#elif FORMAT == 6                                              // Q5_0
constexpr int kElements = 32, kBytes = 22;
DEVICE Group group_of(const u8* b, int) { return {half_at(b), 0}; }
DEVICE float code_of(const u8* b, int i) { return (float)((nibble(b + 6, i) | fifth(b + 2, i)) - 16); }
#elif FORMAT == 7                                              // Q5_1
#define HAS_OFFSET
constexpr int kElements = 32, kBytes = 24;
DEVICE Group group_of(const u8* b, int) { return {half_at(b), half_at(b + 2)}; }
DEVICE float code_of(const u8* b, int i) { return (float)(nibble(b + 8, i) | fifth(b + 4, i)); }
#elif FORMAT == 8                                              // Q8_0
constexpr int kElements = 32, kBytes = 34;
DEVICE Group group_of(const u8* b, int) { return {half_at(b), 0}; }
DEVICE float code_of(const u8* b, int i) { return (float)(signed char)b[2 + i]; }
#elif FORMAT == 10                                             // Q2_K
#define HAS_OFFSET
constexpr int kElements = 256, kBytes = 84;
DEVICE Group group_of(const u8* b, int i) {
    const int scale = b[i / 16];
    return {product(half_at(b + 80), (float)(scale & 15)), -product(half_at(b + 82), (float)(scale >> 4))};
}
DEVICE float code_of(const u8* b, int i) {
    const int run = i / 16 % 8;
    return (float)(b[16 + i / 128 * 32 + run % 2 * 16 + i % 16] >> 2 * (run / 2) & 3);
}
#elif FORMAT == 11                                             // Q3_K
constexpr int kElements = 256, kBytes = 110;
DEVICE Group group_of(const u8* b, int i) {
    const u8* packed = b + 96;
    const int group = i / 16;
    const int lower = group < 8 ? packed[group] & 15 : packed[group - 8] >> 4, upper = packed[8 + group % 4] >> 2 * (group / 4) & 3;
    return {product(half_at(b + 108), (float)((lower | upper << 4) - 32)), 0};
}
DEVICE float code_of(const u8* b, int i) {
    const int half = i / 128, run = i / 16 % 8, at = run % 2 * 16 + i % 16;
    return (float)((b[32 + 32 * half + at] >> 2 * (run / 2) & 3) - (b[at] >> (4 * half + run / 2) & 1 ? 0 : 4));
}
#elif FORMAT == 12                                             // Q4_K
#define HAS_OFFSET
constexpr int kElements = 256, kBytes = 144;
DEVICE Group group_of(const u8* b, int i) { return scale_and_min(b, i / 32); }
DEVICE float code_of(const u8* b, int i) { return (float)(b[16 + i / 64 * 32 + i % 32] >> 4 * (i / 32 % 2) & 15); }
#elif FORMAT == 13                                             // Q5_K
#define HAS_OFFSET
constexpr int kElements = 256, kBytes = 176;
DEVICE Group group_of(const u8* b, int i) { return scale_and_min(b, i / 32); }
DEVICE float code_of(const u8* b, int i) {
    return (float)((b[48 + i / 64 * 32 + i % 32] >> 4 * (i / 32 % 2) & 15) + (b[16 + i % 32] >> (i / 32) & 1) * 16);
}
#elif FORMAT == 14                                             // Q6_K
constexpr int kElements = 256, kBytes = 210;
DEVICE Group group_of(const u8* b, int i) {
    return {product(half_at(b + 208), (float)(signed char)b[192 + i / 128 * 8 + i % 32 / 16 + i / 32 % 4 * 2]), 0};
}
DEVICE float code_of(const u8* b, int i) {
    const int half = i / 128, run = i / 32 % 4, j = i % 32;
    return (float)(((b[64 * half + j + 32 * (run % 2)] >> 4 * (run / 2) & 15) | (b[128 + 32 * half + j] >> 2 * run & 3) << 4) - 32);
}
#elif FORMAT == 20                                             // IQ4_NL
constexpr int kElements = 32, kBytes = 18;
DEVICE Group group_of(const u8* b, int) { return {half_at(b), 0}; }
DEVICE float code_of(const u8* b, int i) { return (float)kIq4[nibble(b + 2, i)]; }
#elif FORMAT == 23                                             // IQ4_XS
constexpr int kElements = 256, kBytes = 136;
DEVICE Group group_of(const u8* b, int i) {
    const int group = i / 32, upper = b[2] | b[3] << 8;
    const int scale = (b[4 + group / 2] >> 4 * (group % 2) & 15) | (upper >> 2 * group & 3) << 4;
    return {product(half_at(b), (float)(scale - 32)), 0};
}
DEVICE float code_of(const u8* b, int i) { return (float)kIq4[nibble(b + 8 + i / 32 * 16, i % 32)]; }
#elif FORMAT == 100                                            // F8_E4M3
#define HAS_SCALES
constexpr int kElements = 8, kBytes = 8;
DEVICE float code_of(const u8* b, int i) {
    const u32 code = b[i], magnitude = code & 0x7f, sign = (code & 0x80) << 24;
    const float value = magnitude == 0x7f ? __uint_as_float(0x7fc00000) : magnitude < 8 ? (float)magnitude * 0.001953125f
        : __uint_as_float((magnitude << 20) + (120u << 23));
    return __uint_as_float(__float_as_uint(value) | sign);
}
#elif FORMAT == 101                                            // F8_E5M2: the upper byte of a half
#define HAS_SCALES
constexpr int kElements = 8, kBytes = 8;
DEVICE float code_of(const u8* b, int i) {
    const u16 bits = (u16)(b[i] << 8);
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}
#endif

extern "C" __global__ void __launch_bounds__(kWalkThreads) expand_numbers(
    const u8* __restrict__ blocks, const float* __restrict__ scales, i64 perScale, uint4* __restrict__ y, i64 pieces) {
    for (i64 piece = (i64)blockIdx.x * kWalkThreads + threadIdx.x; piece < pieces; piece += (i64)gridDim.x * kWalkThreads) {
        const i64 element = piece * 8;
        const u8* block = blocks + element / kElements * kBytes;
        const int first = (int)(element % kElements);
#ifdef HAS_SCALES
        const float factor = scales == nullptr ? 1 : scales[element / perScale];
#else
        const Group group = group_of(block, first);
        const float factor = group.factor;
#endif
        float v[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            v[i] = product(factor, code_of(block, first + i));
#ifdef HAS_OFFSET
            v[i] = __fadd_rn(v[i], group.offset);
#endif
        }
        y[piece] = make_uint4(pack_elements(v[0], v[1]), pack_elements(v[2], v[3]), pack_elements(v[4], v[5]), pack_elements(v[6], v[7]));
    }
}
