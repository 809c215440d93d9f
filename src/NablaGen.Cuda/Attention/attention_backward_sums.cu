// What the gradients of attention need of each query: sums[h, i] = (lse[h, i] · log2(e), Σ_d out[h, i, d] · gradient[h, i, d]).
//
// out, gradient   bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// lse             float32 [batch · heads, tokens], natural logarithm
// sums            float32 pairs [batch · heads, tokens]; products and sum in float32
// Grid (⌈tokens / ROWS⌉, batch · heads), kGradientThreads threads; HEAD_DIM / 8 threads a token, ROWS = 1024 / HEAD_DIM tokens a thread block.
// Macro: HEAD_DIM (64 or 128).
#include "ampere.cuh"

constexpr int kRows = kGradientThreads / kChunks;

struct Work {
    const u16 *out, *gradient;
    const float* lse;
    float2* sums;
    Strides outStrides, gradientStrides;
    int heads, tokens;
};

extern "C" __global__ void __launch_bounds__(kGradientThreads) attention_backward_sums(const __grid_constant__ Work work) {
    const int bh = blockIdx.y, batch = bh / work.heads, head = bh % work.heads;
    const int chunk = threadIdx.x % kChunks, token = blockIdx.x * kRows + threadIdx.x / kChunks;
    const bool there = token < work.tokens;
    float sum = 0;
    if (there) {
        const u16* out = work.out + batch * work.outStrides.batch + head * work.outStrides.head + token * work.outStrides.token;
        const u16* gradient = work.gradient + batch * work.gradientStrides.batch + head * work.gradientStrides.head
            + token * work.gradientStrides.token;
        const uint4 x = *(const uint4*)(out + chunk * 8), y = *(const uint4*)(gradient + chunk * 8);
        sum = low_element(x.x) * low_element(y.x) + high_element(x.x) * high_element(y.x)
            + low_element(x.y) * low_element(y.y) + high_element(x.y) * high_element(y.y)
            + low_element(x.z) * low_element(y.z) + high_element(x.z) * high_element(y.z)
            + low_element(x.w) * low_element(y.w) + high_element(x.w) * high_element(y.w);
    }
#pragma unroll
    for (int offset = kChunks / 2; offset > 0; offset /= 2) sum += __shfl_xor_sync(kAllLanes, sum, offset);
    if (there && chunk == 0) {
        const i64 at = (i64)bh * work.tokens + token;
        work.sums[at] = make_float2(work.lse[at] * kLog2e, sum);
    }
}
