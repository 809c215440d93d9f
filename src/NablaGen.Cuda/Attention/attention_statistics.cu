// What the eight-bit attention needs to know of all tokens of a head: K's mean (taken out of K, which changes no weight of a softmax) and V's
// largest magnitude, by column.
//
//     mean[h, d] = (1 / tokens) Σ k[h, i, d]      ·      most[h, d] = max |v[h, i, d]|
//
// Two launches, so that sums have one order and nothing is added atomically: first (finish 0) each thread block takes kStatisticTokens tokens
// and leaves its sums and maxima, then (finish 1) one thread block a head joins them.
//
// Where the means of K's blocks are known (rms_norm_rope makes them in passing), k is not read: they are summed in its place, each by its tokens.
//
// k, v     bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// pooled   float32 [batch · heads, blocks, 128] or null; offsets i32 [blocks + 1], first token of each block
// partial  float32 [batch · heads, pieces, 2, 128]: sums of k, maxima of |v|; pieces = ⌈tokens / kStatisticTokens⌉
// result   float32 [batch · heads, 2, 128]: mean, most
// Grid (pieces, batch · heads), then (1, batch · heads); kStatisticThreads threads, 16 a row with 8 columns each. HEAD_DIM is 128.
#include "common.cuh"

struct Work {
    const u16 *k, *v;
    const float* pooled;
    const int* offsets;
    float *partial, *result;
    i64 kBatch, kHead, kToken, vBatch, vHead, vToken;
    int heads, tokens, blocks, pieces, finish;
};

constexpr int kRows = kStatisticThreads / 16;

DEVICE void add(const u16* k, float (&sum)[8]) {
    const uint4 a = *(const uint4*)k;
    const u32 x[4] = {a.x, a.y, a.z, a.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        sum[2 * i] += low_element(x[i]);
        sum[2 * i + 1] += high_element(x[i]);
    }
}

DEVICE void look(const u16* v, float (&most)[8]) {
    const uint4 b = *(const uint4*)v;
    const u32 y[4] = {b.x, b.y, b.z, b.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
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
    if (work.pooled == nullptr) {
#pragma unroll 4
        for (int i = first + thread / 16; i < last; i += kRows) {
            add(k + i * work.kToken, sum);
            look(v + i * work.vToken, most);
        }
    } else {
        const int share = (work.blocks + work.pieces - 1) / work.pieces, begin = blockIdx.x * share, end = min(work.blocks, begin + share);
        for (int i = begin + thread / 16; i < end; i += kRows) {
            const float4* mean = (const float4*)(work.pooled + ((i64)bh * work.blocks + i) * 128 + piece * 8);
            const float4 a = mean[0], b = mean[1];
            const float tokens = work.offsets[i + 1] - work.offsets[i], of[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
#pragma unroll
            for (int j = 0; j < 8; ++j) sum[j] += of[j] * tokens;
        }
#pragma unroll 8
        for (int i = first + thread / 16; i < last; i += kRows) look(v + i * work.vToken, most);
    }
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
