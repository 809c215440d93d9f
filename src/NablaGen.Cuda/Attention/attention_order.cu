// In which order the Hopper attention kernels draw a plan's tiles: within a head those with most entries first. The last tiles drawn are short then,
// and the multiprocessors end at nearly the same time.
//
// counts  i32 [heads, groups] of attention_plan.cu
// order   i32 [heads, groups]: head · groups + group, each once
// Grid (heads), kOrderThreads threads. Equal ones keep ascending order. As heads follow one another, their keys stay in the second-level cache.
#include "common.cuh"

constexpr int kAtOnce = 1024;

extern "C" __global__ void __launch_bounds__(kOrderThreads) attention_order(
    const int* __restrict__ counts, int* __restrict__ order, int groups) {
    __shared__ int part[kAtOnce];
    const int first = blockIdx.x * groups;
    for (int base = 0; base < groups; base += kOrderThreads) {
        const int group = base + threadIdx.x, mine = group < groups ? counts[first + group] : 0;
        int rank = 0;
        for (int from = 0; from < groups; from += kAtOnce) {
            const int many = min(kAtOnce, groups - from);
            __syncthreads();
            for (int i = threadIdx.x; i < many; i += kOrderThreads) part[i] = counts[first + from + i];
            __syncthreads();
            for (int i = 0; i < many; ++i) rank += part[i] > mine || (part[i] == mine && from + i < group);
        }
        if (group < groups) order[first + rank] = first + group;
    }
}
