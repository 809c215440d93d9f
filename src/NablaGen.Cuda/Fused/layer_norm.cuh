// LayerNorm of one row by one thread block, the row in registers; what the norm kernels share.
//
//     n = (x − mean) / √(variance + eps)   ·   n = n · weight + bias   ·   y = n · (1 + scale) + shift
//
// all in float32 (mean and variance in two passes over registers), rounded once to bf16 (or fp16), or with FP8_ROWS to fp8 (E4M3) by a scale
// of the row: y = fp8(n / s), s = max|n| / 448, 1 where the row is all zeros, infinite or NaN where something in it is.
//
// weight, bias  float32 [COLUMNS] or null, both or neither
// scale, shift  float32 [COLUMNS] of the row's batch or null, both or neither
// statistics    gets mean and 1 / √(variance + eps) for the gradient; or null
// rowScale      float32, gets s; with FP8_ROWS alone
// Macros: COLUMNS (a multiple of 8), THREADS (a multiple of 32), FP8_ROWS.
#pragma once
#ifdef FP8_ROWS
#include "eight_bits.cuh"
typedef u8 Normalized;
#else
#include "common.cuh"
typedef u16 Normalized;
#endif

#ifndef COLUMNS
#define COLUMNS 5120
#endif
#ifndef THREADS
#define THREADS 256
#endif

constexpr int kWarps = THREADS / kWarp;
constexpr int kVectors = COLUMNS / 4;
constexpr int kTurns = (kVectors + THREADS - 1) / THREADS;

// Whether a thread's vector is past the row's end; never where all have as many.
DEVICE bool past_end(int at) { return kVectors % THREADS != 0 && at >= kVectors; }

// The sum over the thread block, the same bits in every thread.
DEVICE float block_sum(float x, float* partial) {
    x = warp_sum(x);
    __syncthreads();
    if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = x;
    __syncthreads();
    float total = 0;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) total += partial[i];
    return total;
}

// Vector i of a thread is the row's vector threadIdx.x + i · THREADS; those past the end are zeros. `partial` is shared memory.
DEVICE void layer_norm_row(
    const float4 (&v)[kTurns], Normalized* __restrict__ y, const float* __restrict__ weight, const float* __restrict__ bias,
    const float* __restrict__ scale, const float* __restrict__ shift, float2* __restrict__ statistics, float* __restrict__ rowScale, float eps, float* partial) {
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) sum += v[i].x + v[i].y + v[i].z + v[i].w;
    const float mean = block_sum(sum, partial) / COLUMNS;
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        if (!past_end(threadIdx.x + i * THREADS)) {
            const float a = v[i].x - mean, b = v[i].y - mean, c = v[i].z - mean, d = v[i].w - mean;
            squares += a * a + b * b + c * c + d * d;
        }
    }
    const float inverse = 1 / __fsqrt_rn(block_sum(squares, partial) / COLUMNS + eps);
    if (statistics != nullptr && threadIdx.x == 0) *statistics = make_float2(mean, inverse);

#ifdef FP8_ROWS
    float4 row[kTurns];
    float top = 0;
#endif
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
        if (past_end(at)) continue;
        float4 n = make_float4((v[i].x - mean) * inverse, (v[i].y - mean) * inverse, (v[i].z - mean) * inverse,
                               (v[i].w - mean) * inverse);
        if (weight != nullptr) {
            const float4 w = ((const float4*)weight)[at], b = ((const float4*)bias)[at];
            n = make_float4(n.x * w.x + b.x, n.y * w.y + b.y, n.z * w.z + b.z, n.w * w.w + b.w);
        }
        if (scale != nullptr) {
            const float4 s = ((const float4*)scale)[at], t = ((const float4*)shift)[at];
            n = make_float4(n.x * (1 + s.x) + t.x, n.y * (1 + s.y) + t.y, n.z * (1 + s.z) + t.z, n.w * (1 + s.w) + t.w);
        }
#ifdef FP8_ROWS
        row[i] = n;
        top = larger(larger4(n.x, n.y, n.z, n.w), top);
#else
        ((uint2*)y)[at] = make_uint2(pack_elements(n.x, n.y), pack_elements(n.z, n.w));
#endif
    }

#ifdef FP8_ROWS
    top = warp_larger(top);
    __syncthreads();
    if (threadIdx.x % kWarp == 0) partial[threadIdx.x / kWarp] = top;
    __syncthreads();
#pragma unroll
    for (int i = 0; i < kWarps; ++i) top = larger(partial[i], top);
    const float factor = fp8_factor(top);
    if (threadIdx.x == 0) *rowScale = fp8_scale(top);
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
        if (past_end(at)) continue;
        ((u32*)y)[at] = pack_fp8(row[i].x * factor, row[i].y * factor, row[i].z * factor, row[i].w * factor);
    }
#endif
}
