// What RMSNorm multiplies each row by: inverse[r] = 1 / √(mean(x[r]²) + eps), in float32. For a reader of x that scales rows by itself.
//
// x        bf16 (or fp16) [rows, COLUMNS], contiguous, 16-byte aligned
// inverse  float32 [rows]
// Grid: any number of thread blocks of kWalkThreads threads, a row a warp and turn. Macro: COLUMNS (a multiple of 8).
#include "common.cuh"

#ifndef COLUMNS
#define COLUMNS 5120
#endif

constexpr int kPieces = COLUMNS / 8;
constexpr int kTurns = (kPieces + kWarp - 1) / kWarp;

extern "C" __global__ void __launch_bounds__(kWalkThreads) rms_inverse(
    const u16* __restrict__ x, float* __restrict__ inverse, i64 rows, float eps) {
    const int lane = threadIdx.x % kWarp;
    const i64 step = (i64)gridDim.x * (kWalkThreads / kWarp);
    for (i64 row = (i64)blockIdx.x * (kWalkThreads / kWarp) + threadIdx.x / kWarp; row < rows; row += step) {
        const uint4* from = (const uint4*)(x + row * COLUMNS);
        float even = 0, odd = 0;
#pragma unroll 10
        for (int i = 0; i < kTurns; ++i) {
            const int piece = lane + i * kWarp;
            const uint4 v = piece < kPieces ? from[piece] : make_uint4(0, 0, 0, 0);
            const u32 words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                const float a = low_element(words[j]), b = high_element(words[j]);
                even += a * a;
                odd += b * b;
            }
        }
        const float squares = warp_sum(even + odd);
        if (lane == 0) inverse[row] = 1 / __fsqrt_rn(squares / COLUMNS + eps);
    }
}
