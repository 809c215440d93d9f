// LayerNorm over the last dimension, an optional affine step and an optional modulation, in one pass over memory:
//
//     n = (x − mean) / √(variance + eps)   ·   n = n · weight + bias   ·   y = n · (1 + scale) + shift
//
// all in float32 (mean and variance in two passes over registers), rounded once to bf16 (or fp16).
//
// x             float32 [rows, COLUMNS]; y bf16 (or fp16) [rows, COLUMNS]; both contiguous
// weight, bias  float32 [COLUMNS] or null, both or neither
// scale, shift  float32, row r uses those at (r / rowsPerBatch) · modulationStride; null, both or neither
// All pointers 16-byte aligned. Grid (rows), THREADS threads: one row a thread block, held in registers.
// Macros: COLUMNS (a multiple of 8), THREADS (a multiple of 32).
#include "common.cuh"

#ifndef COLUMNS
#define COLUMNS 5120
#endif
#ifndef THREADS
#define THREADS 256
#endif

constexpr int kWarps = THREADS / kWarp;
constexpr int kVectors = COLUMNS / 4;
constexpr int kTurns = (kVectors + THREADS - 1) / THREADS;

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

extern "C" __global__ void __launch_bounds__(THREADS) layer_norm_modulate(
    const float* __restrict__ x, u16* __restrict__ y, const float* __restrict__ weight, const float* __restrict__ bias,
    const float* __restrict__ scale, const float* __restrict__ shift, int rowsPerBatch, i64 modulationStride, float eps) {
    __shared__ float partial[kWarps];
    const i64 row = blockIdx.x;
    const float4* from = (const float4*)(x + row * COLUMNS);

    float4 v[kTurns];
    float sum = 0;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
        v[i] = at < kVectors ? from[at] : make_float4(0, 0, 0, 0);
        sum += v[i].x + v[i].y + v[i].z + v[i].w;
    }
    const float mean = block_sum(sum, partial) / COLUMNS;
    float squares = 0;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        if (threadIdx.x + i * THREADS < kVectors) {
            const float a = v[i].x - mean, b = v[i].y - mean, c = v[i].z - mean, d = v[i].w - mean;
            squares += a * a + b * b + c * c + d * d;
        }
    }
    const float inverse = 1 / __fsqrt_rn(block_sum(squares, partial) / COLUMNS + eps);

    const i64 batch = row / rowsPerBatch * modulationStride;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
        if (at >= kVectors) continue;
        float4 n = make_float4((v[i].x - mean) * inverse, (v[i].y - mean) * inverse, (v[i].z - mean) * inverse,
                               (v[i].w - mean) * inverse);
        if (weight != nullptr) {
            const float4 w = ((const float4*)weight)[at], b = ((const float4*)bias)[at];
            n = make_float4(n.x * w.x + b.x, n.y * w.y + b.y, n.z * w.z + b.z, n.w * w.w + b.w);
        }
        if (scale != nullptr) {
            const float4 s = ((const float4*)(scale + batch))[at], t = ((const float4*)(shift + batch))[at];
            n = make_float4(n.x * (1 + s.x) + t.x, n.y * (1 + s.y) + t.y, n.z * (1 + s.z) + t.z, n.w * (1 + s.w) + t.w);
        }
        ((uint2*)(y + row * COLUMNS))[at] = make_uint2(pack_elements(n.x, n.y), pack_elements(n.z, n.w));
    }
}
