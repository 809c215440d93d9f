// The largest that any number of an eight-bit attention's output can be: an output is a mean of values, so it is no larger than the largest of them.
//
//     bound = (1 + 2^−4) · max over heads and columns of `most`
//
// The sixteenth is what rounding weights to fp8 may add to such a mean. It serves block_attention8's FP8_ROWS as the one scale of all rows.
//
// statistics  float32 [rows, 2, 128] of attention_statistics, rows = batch · heads: `most` is the second
// bound       float32; NaN where one of them is
// One thread block of kBoundThreads threads.
#include "eight_bits.cuh"

extern "C" __global__ void __launch_bounds__(kBoundThreads) attention_bound(const float* __restrict__ statistics, float* __restrict__ bound, int rows) {
    __shared__ float tops[kBoundThreads / kWarp];
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp;
    float top = 0;
    for (int i = thread; i < rows * 128; i += kBoundThreads) top = larger(top, statistics[i / 128 * 256 + 128 + i % 128]);
    top = warp_larger(top);
    if (lane == 0) tops[warp] = top;
    __syncthreads();
    if (warp == 0) {
        top = warp_larger(lane < kBoundThreads / kWarp ? tops[lane] : 0);
        if (lane == 0) *bound = top * (1 + 1 / 16.0f);
    }
}
