// Rows to fp8 (E4M3) with a scale each: y = fp8(x / s), s = max|x| / 448 over the row; s is 1 where the row is all zeros.
//
// x       bf16 (or fp16) [rows, COLUMNS]; y fp8 [rows, COLUMNS]; both contiguous, 16-byte aligned
// scales  float32 [rows]
// To nearest even. Infinity or NaN in a row makes its scale infinite or NaN, so that it shows.
// Grid (rows), THREADS threads: one row a thread block, held in registers. Macros: COLUMNS (a multiple of 16), THREADS (a multiple of 32).
#include "eight_bits.cuh"

#ifndef COLUMNS
#define COLUMNS 5120
#endif
#ifndef THREADS
#define THREADS 320
#endif

constexpr int kWarps = THREADS / kWarp;
constexpr int kPieces = COLUMNS / 16;                          // of sixteen columns: 32 bytes in, 16 out
constexpr int kTurns = (kPieces + THREADS - 1) / THREADS;

// Like fmaxf, but NaN wins.
DEVICE float larger(float a, float b) { return a > b || a != a ? a : b; }

extern "C" __global__ void __launch_bounds__(THREADS) quantize_rows(const u16* __restrict__ x, u8* __restrict__ y, float* __restrict__ scales) {
    __shared__ float tops[kWarps];
    const i64 row = blockIdx.x;
    const uint4* from = (const uint4*)(x + row * COLUMNS);
    uint4 v[kTurns][2];
    float top = 0;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
#pragma unroll
        for (int j = 0; j < 2; ++j) {
            v[i][j] = at < kPieces ? from[at * 2 + j] : make_uint4(0, 0, 0, 0);
            const u32 words[4] = {v[i][j].x, v[i][j].y, v[i][j].z, v[i][j].w};
#pragma unroll
            for (int w = 0; w < 4; ++w) top = larger(larger(fabsf(low_element(words[w])), fabsf(high_element(words[w]))), top);
        }
    }
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) top = larger(__shfl_xor_sync(kAllLanes, top, offset), top);
    if (threadIdx.x % kWarp == 0) tops[threadIdx.x / kWarp] = top;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kWarps; ++i) top = larger(tops[i], top);

    const float factor = top == 0 ? 1 : kFp8Largest / top;
    if (threadIdx.x == 0) scales[row] = top == 0 ? 1 : top / kFp8Largest;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
        if (at >= kPieces) continue;
        u32 packed[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const uint4 half = v[i][j / 2];
            const u32 a = j % 2 == 0 ? half.x : half.z, b = j % 2 == 0 ? half.y : half.w;
            packed[j] = pack_fp8(low_element(a) * factor, high_element(a) * factor, low_element(b) * factor, high_element(b) * factor);
        }
        ((uint4*)(y + row * COLUMNS))[at] = make_uint4(packed[0], packed[1], packed[2], packed[3]);
    }
}
