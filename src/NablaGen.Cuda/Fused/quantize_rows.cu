// Rows to fp8 (E4M3) with a scale each: y = fp8(x / s), s = max|x| / 448 over the row; s is 1 where the row is all zeros.
//
// x       bf16 (or fp16, or with FLOAT32 float32) [rows, COLUMNS]; y fp8 [rows, COLUMNS]; both contiguous, 16-byte aligned
// scales  float32 [rows]
// With GELU the rows are those of gelu(x), in float32 (gelu.cuh).
// To nearest even. Infinity or NaN in a row makes its scale infinite or NaN, so that it shows.
// Grid (rows), THREADS threads: one row a thread block, held in registers. Macros: COLUMNS (a multiple of 16), THREADS (a multiple of 32),
// FLOAT32, GELU.
#include "eight_bits.cuh"
#include "gelu.cuh"

#ifndef COLUMNS
#define COLUMNS 5120
#endif
#ifndef THREADS
#define THREADS 320
#endif

constexpr int kWarps = THREADS / kWarp;
constexpr int kPieces = COLUMNS / 16;                          // of sixteen columns: 32 (or 64) bytes in, 16 out
constexpr int kTurns = (kPieces + THREADS - 1) / THREADS;

#ifdef FLOAT32
typedef float Input;
#else
typedef u16 Input;
#endif

// The four numbers q of a piece.
DEVICE float4 four(const Input* __restrict__ piece, int q) {
#ifdef FLOAT32
    float4 v = ((const float4*)piece)[q];
#else
    const uint2 words = ((const uint2*)piece)[q];
    float4 v = make_float4(low_element(words.x), high_element(words.x), low_element(words.y), high_element(words.y));
#endif
#ifdef GELU
    v = make_float4(gelu(v.x), gelu(v.y), gelu(v.z), gelu(v.w));
#endif
    return v;
}

extern "C" __global__ void __launch_bounds__(THREADS) quantize_rows(const Input* __restrict__ x, u8* __restrict__ y, float* __restrict__ scales) {
    __shared__ float tops[kWarps];
    const i64 row = blockIdx.x;
    float4 v[kTurns][4];
    float top = 0;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
#pragma unroll
        for (int q = 0; q < 4; ++q) {
            v[i][q] = at < kPieces ? four(x + row * COLUMNS + at * 16, q) : make_float4(0, 0, 0, 0);
            top = larger(larger4(v[i][q].x, v[i][q].y, v[i][q].z, v[i][q].w), top);
        }
    }
    top = warp_larger(top);
    if (threadIdx.x % kWarp == 0) tops[threadIdx.x / kWarp] = top;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kWarps; ++i) top = larger(tops[i], top);

    const float factor = fp8_factor(top);
    if (threadIdx.x == 0) scales[row] = fp8_scale(top);
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
        if (at >= kPieces) continue;
        u32 packed[4];
#pragma unroll
        for (int q = 0; q < 4; ++q) packed[q] = pack_fp8(v[i][q].x * factor, v[i][q].y * factor, v[i][q].z * factor, v[i][q].w * factor);
        ((uint4*)(y + row * COLUMNS))[at] = make_uint4(packed[0], packed[1], packed[2], packed[3]);
    }
}
