// How many block pairs each head of a mask keeps: kept[h] = Σ_i counts[h, i], in 64-bit integers (exact).
//
// counts  i32 [heads, blocks]: how many key blocks each row keeps (nabla_select)
// kept    i64 [heads], 8-byte aligned
// Grid (heads), kCountThreads threads.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(kCountThreads) mask_counts(const int* __restrict__ counts, i64* __restrict__ kept, int blocks) {
    __shared__ i64 sums[kCountThreads / kWarp];
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int* mine = counts + (i64)blockIdx.x * blocks;
    i64 sum = 0;
    for (int i = threadIdx.x; i < blocks; i += kCountThreads) sum += mine[i];
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(kAllLanes, sum, offset);
    if (lane == 0) sums[warp] = sum;
    __syncthreads();
    if (threadIdx.x > 0) return;
    sum = 0;
#pragma unroll
    for (int i = 0; i < kCountThreads / kWarp; ++i) sum += sums[i];
    kept[blockIdx.x] = sum;
}
