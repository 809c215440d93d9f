// What the eight-bit attention needs to know of all tokens of a head: K's mean (taken out of K, which changes no weight of a softmax) and V's
// largest magnitude, by column.
//
//     mean[h, d] = (1 / tokens) Σ k[h, i, d]      ·      most[h, d] = max |v[h, i, d]|
//
// Two launches, so that sums have one order and nothing is added atomically: first (finish 0) each thread block takes kStatisticTokens tokens
// and leaves its sums and maxima, then (finish 1) one thread block a head joins them.
//
// k, v     bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// partial  float32 [batch · heads, pieces, 2, 128]: sums of k, maxima of |v|; pieces = ⌈tokens / kStatisticTokens⌉
// result   float32 [batch · heads, 2, 128]: mean, most
// Grid (pieces, batch · heads), then (1, batch · heads); kStatisticThreads threads, 16 a row with 8 columns each. HEAD_DIM is 128.
#include "common.cuh"

struct Work {
    const u16 *k, *v;
    float *partial, *result;
    i64 kBatch, kHead, kToken, vBatch, vHead, vToken;
    int heads, tokens, pieces, finish;
};

constexpr int kRows = kStatisticThreads / 16;

DEVICE void look(const u16* k, const u16* v, float (&sum)[8], float (&most)[8]) {
    const uint4 a = *(const uint4*)k, b = *(const uint4*)v;
    const u32 x[4] = {a.x, a.y, a.z, a.w}, y[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        sum[2 * i] += low_element(x[i]);
        sum[2 * i + 1] += high_element(x[i]);
        most[2 * i] = fmaxf(most[2 * i], fabsf(low_element(y[i])));
        most[2 * i + 1] = fmaxf(most[2 * i + 1], fabsf(high_element(y[i])));
    }
}

extern "C" __global__ void __launch_bounds__(kStatisticThreads) attention_statistics(const __grid_constant__ Work work) {
    __shared__ float sums[kRows][128], mosts[kRows][128];
    const int bh = blockIdx.y, thread = threadIdx.x;
    if (work.finish) {
        if (thread >= 128) return;
        const float* from = work.partial + (i64)bh * work.pieces * 256 + thread;
        float sum = 0, most = 0;
        for (int i = 0; i < work.pieces; ++i) {
            sum += from[i * 256];
            most = fmaxf(most, from[i * 256 + 128]);
        }
        work.result[bh * 256 + thread] = sum / work.tokens;
        work.result[bh * 256 + 128 + thread] = most;
        return;
    }

    const int piece = thread % 16, first = blockIdx.x * kStatisticTokens, last = min(work.tokens, first + kStatisticTokens);
    const u16* k = work.k + bh / work.heads * work.kBatch + bh % work.heads * work.kHead + piece * 8;
    const u16* v = work.v + bh / work.heads * work.vBatch + bh % work.heads * work.vHead + piece * 8;
    float sum[8] = {}, most[8] = {};
#pragma unroll 4
    for (int i = first + thread / 16; i < last; i += kRows) look(k + i * work.kToken, v + i * work.vToken, sum, most);
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        sums[thread / 16][piece * 8 + i] = sum[i];
        mosts[thread / 16][piece * 8 + i] = most[i];
    }
    __syncthreads();
    if (thread >= 128) return;
    float total = 0, top = 0;
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
        total += sums[i][thread];
        top = fmaxf(top, mosts[i][thread]);
    }
    float* to = work.partial + ((i64)bh * work.pieces + blockIdx.x) * 256 + thread;
    to[0] = total;
    to[128] = top;
}
