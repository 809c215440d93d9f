// In which order the Hopper attention kernels draw a plan's tiles: within a head those with most entries first. The last tiles drawn are short then,
// and the multiprocessors end at nearly the same time.
//
// counts  i32 [heads, groups] of attention_plan.cu
// order   i32 [heads, groups]: head · groups + group, each once
// Grid (heads, ⌈groups / kOrderThreads⌉), kOrderThreads threads. Equal ones keep ascending order. As heads follow one another, their keys stay in the
// second-level cache.
#include "common.cuh"

constexpr int kAtOnce = 1024;

extern "C" __global__ void __launch_bounds__(kOrderThreads) attention_order(
    const int* __restrict__ counts, int* __restrict__ order, int groups) {
    __shared__ int4 part[kAtOnce / 4];
    const int first = blockIdx.x * groups, group = blockIdx.y * kOrderThreads + threadIdx.x, mine = group < groups ? counts[first + group] : 0;
    int rank = 0;
    for (int from = 0; from < groups; from += kAtOnce) {
        const int many = (min(kAtOnce, groups - from) + 3) / 4;
        __syncthreads();
        // What is past the last group is less than any.
        for (int i = threadIdx.x; i < many * 4; i += kOrderThreads) ((int*)part)[i] = from + i < groups ? counts[first + from + i] : -1;
        __syncthreads();
#pragma unroll 4
        for (int i = 0; i < many; ++i) {
            // Of equal ones those before this group count, too.
            const int4 four = part[i];
            const int before = group - from - i * 4;
            rank += four.x > mine - (before > 0);
            rank += four.y > mine - (before > 1);
            rank += four.z > mine - (before > 2);
            rank += four.w > mine - (before > 3);
        }
    }
    if (group < groups) order[first + rank] = first + group;
}
