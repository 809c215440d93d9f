// Adds up the sums over strips of rows that the gradients of the norms leave: out[p, c] = Σ strips[p, i, c], in float32. The order of the
// additions depends on the count alone, so the same inputs give the same bits.
//
// strips  float32 [planes, count, columns]; out float32 [planes, columns]; both contiguous
// Grid (⌈columns / 32⌉, planes), kSumThreads threads: 32 columns, each by kSumThreads / 32 threads.
#include "common.cuh"

constexpr int kParts = kSumThreads / kWarp;

extern "C" __global__ void __launch_bounds__(kSumThreads) sum_strips(
    const float* __restrict__ strips, float* __restrict__ out, int count, int columns) {
    __shared__ float partial[kParts][kWarp];
    const int lane = threadIdx.x % kWarp, part = threadIdx.x / kWarp, column = blockIdx.x * kWarp + lane;
    const float* from = strips + (i64)blockIdx.y * count * columns + column;
    float sum = 0;
#pragma unroll 8
    for (int i = part; i < count && column < columns; i += kParts) sum += from[(i64)i * columns];
    partial[part][lane] = sum;
    __syncthreads();
    if (part > 0 || column >= columns) return;
    sum = 0;
#pragma unroll
    for (int i = 0; i < kParts; ++i) sum += partial[i][lane];
    out[(i64)blockIdx.y * columns + column] = sum;
}
