// RMSNorm over the last dimension and, if asked, SiLU, in one pass over memory:
//
//     n = x · √COLUMNS / max(‖x‖₂, 1e-12) · gamma   ·   y = n / (1 + exp(−n))
//
// all in float32, rounded once to y's type.
//
// x, y   bf16 (or fp16; float32 with FLOAT32) [rows, COLUMNS], contiguous, 16-byte aligned, may be the same memory
// gamma  float32 [COLUMNS], 16-byte aligned
// Grid: any number of thread blocks of kWalkThreads threads. LANES neighbouring lanes share a row and hold it in registers, so a thread block
// takes 256 / LANES rows a turn.
// Macros: COLUMNS (a multiple of 8), LANES (a power of two up to 32), SILU (0 or 1), FLOAT32.
#include "common.cuh"

#ifndef COLUMNS
#define COLUMNS 96
#endif
#ifndef LANES
#define LANES 4
#endif
#ifndef SILU
#define SILU 1
#endif

constexpr int kPieces = COLUMNS / 8;        // of eight columns
constexpr int kTurns = (kPieces + LANES - 1) / LANES;

#ifdef FLOAT32
typedef float element;
#else
typedef u16 element;
#endif

DEVICE void load_piece(const element* x, float (&v)[8]) {
#ifdef FLOAT32
    const float4 a = ((const float4*)x)[0], b = ((const float4*)x)[1];
    v[0] = a.x; v[1] = a.y; v[2] = a.z; v[3] = a.w;
    v[4] = b.x; v[5] = b.y; v[6] = b.z; v[7] = b.w;
#else
    const uint4 p = *(const uint4*)x;
    v[0] = low_element(p.x); v[1] = high_element(p.x);
    v[2] = low_element(p.y); v[3] = high_element(p.y);
    v[4] = low_element(p.z); v[5] = high_element(p.z);
    v[6] = low_element(p.w); v[7] = high_element(p.w);
#endif
}

DEVICE void store_piece(element* y, const float (&v)[8]) {
#ifdef FLOAT32
    ((float4*)y)[0] = make_float4(v[0], v[1], v[2], v[3]);
    ((float4*)y)[1] = make_float4(v[4], v[5], v[6], v[7]);
#else
    *(uint4*)y = make_uint4(pack_elements(v[0], v[1]), pack_elements(v[2], v[3]), pack_elements(v[4], v[5]), pack_elements(v[6], v[7]));
#endif
}

extern "C" __global__ void __launch_bounds__(kWalkThreads) rms_norm_silu(
    const element* x, element* y, const float* __restrict__ gamma, i64 rows) {
    constexpr int kRows = kWalkThreads / LANES;
    const int lane = threadIdx.x % LANES;
    float weight[kTurns][8];
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            const int piece = lane + i * LANES;
            weight[i][j] = piece < kPieces ? gamma[piece * 8 + j] : 0;
        }
    }

    // All lanes of a warp take every turn, for the shuffles' sake; past the last row they hold zeros.
    for (i64 first = (i64)blockIdx.x * kRows; first < rows; first += (i64)gridDim.x * kRows) {
        const i64 row = first + threadIdx.x / LANES;
        float v[kTurns][8];
        float squares = 0;
#pragma unroll
        for (int i = 0; i < kTurns; ++i) {
            const int piece = lane + i * LANES;
#pragma unroll
            for (int j = 0; j < 8; ++j) v[i][j] = 0;
            if (row < rows && piece < kPieces) load_piece(x + row * COLUMNS + piece * 8, v[i]);
#pragma unroll
            for (int j = 0; j < 8; ++j) squares += v[i][j] * v[i][j];
        }
#pragma unroll
        for (int offset = LANES / 2; offset > 0; offset /= 2) squares += __shfl_xor_sync(kAllLanes, squares, offset);
        const float inverse = __fsqrt_rn((float)COLUMNS) / fmaxf(__fsqrt_rn(squares), 1e-12f);
#pragma unroll
        for (int i = 0; i < kTurns; ++i) {
            const int piece = lane + i * LANES;
            if (row >= rows || piece >= kPieces) continue;
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                const float n = v[i][j] * inverse * weight[i][j];
                v[i][j] = SILU ? n * reciprocal_approx(1 + exp2_approx(-kLog2e * n)) : n;
            }
            store_piece(y + row * COLUMNS + piece * 8, v[i]);
        }
    }
}
