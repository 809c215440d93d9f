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
constexpr int kPieces = COLUMNS / 8;                           // of eight columns: 16 (or 32) bytes in, 8 out
constexpr int kTurns = (kPieces + THREADS - 1) / THREADS;

#ifdef FLOAT32
typedef float Input;
#else
typedef u16 Input;
#endif

// The eight numbers of a piece.
DEVICE void load(const Input* __restrict__ piece, float (&v)[8]) {
#ifdef FLOAT32
    const float4 a = ((const float4*)piece)[0], b = ((const float4*)piece)[1];
    v[0] = a.x; v[1] = a.y; v[2] = a.z; v[3] = a.w;
    v[4] = b.x; v[5] = b.y; v[6] = b.z; v[7] = b.w;
#else
    const uint4 a = *(const uint4*)piece;
    v[0] = low_element(a.x); v[1] = high_element(a.x);
    v[2] = low_element(a.y); v[3] = high_element(a.y);
    v[4] = low_element(a.z); v[5] = high_element(a.z);
    v[6] = low_element(a.w); v[7] = high_element(a.w);
#endif
}

extern "C" __global__ void __launch_bounds__(THREADS) quantize_rows(const Input* __restrict__ x, u8* __restrict__ y, float* __restrict__ scales) {
    __shared__ float tops[kWarps];
    const i64 row = blockIdx.x;
    float v[kTurns][8];
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
#pragma unroll
        for (int j = 0; j < 8; ++j) v[i][j] = 0;
        if (at < kPieces) load(x + row * COLUMNS + at * 8, v[i]);
    }

    float top = 0;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
#pragma unroll
        for (int j = 0; j < 8; ++j) {
#ifdef GELU
            v[i][j] = gelu(v[i][j]);
#endif
            top = larger(top, fabsf(v[i][j]));
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
#pragma unroll
        for (int j = 0; j < 8; ++j) v[i][j] *= factor;
        ((uint2*)(y + row * COLUMNS))[at] = make_uint2(pack_fp8(v[i][0], v[i][1], v[i][2], v[i][3]), pack_fp8(v[i][4], v[i][5], v[i][6], v[i][7]));
    }
}
