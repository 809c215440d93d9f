// What the eight-bit attention needs to know of a head before it quantises: K's mean (taken out of K) and what V is divided by, by column, from
// n tokens that lie evenly over the head:
//
//     mean[h, d] = (1 / n) Σ k[h, t_i, d]      ·      c[h, d] = max |v[h, t_i, d]| · 2^kHeadroom / 448
//     t_i = ⌊i · tokens / n⌋, i < n = min(tokens, kStatisticTokens)
//
// Neither need be exact, so K and V are not read whole for them. Any vector may be taken from all keys, as that changes no weight of a softmax; a mean of
// 1,024 tokens is within a thirtieth of a column's spread of the mean of all, and the scales of K's blocks are as small with it. V's numbers may be
// 2^kHeadroom times as large as the largest of those, and a block with larger ones has a factor of its own (attention_quantize.cu). A column's largest
// counts as at least 2^−8 of the head's, and as kFp8Tiny.
//
// k, v     bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// result   float32 [batch · heads, 2, 128]: mean, c
// largestValue  float32: becomes 0, which attention_quantize.cu raises
// Grid (2, batch · heads): x = 0 K, 1 V; kStatisticThreads threads, 16 a row with 8 columns each. Sums have one order. HEAD_DIM is 128.
#include "eight_bits.cuh"

struct Work {
    const u16 *k, *v;
    float *result, *largestValue;
    i64 kBatch, kHead, kToken, vBatch, vHead, vToken;
    int heads, tokens;
};

constexpr int kRows = kStatisticThreads / 16;
constexpr float kLeastColumn = 1.0f / 256;

extern "C" __global__ void __launch_bounds__(kStatisticThreads) attention_statistics(const __grid_constant__ Work work) {
    __shared__ float parts[kRows][128], tops[4];
    const bool keys = blockIdx.x == 0;
    const int bh = blockIdx.y, thread = threadIdx.x, piece = thread % 16, count = min(work.tokens, kStatisticTokens);
    const i64 token = keys ? work.kToken : work.vToken;
    const u16* x = (keys ? work.k + bh / work.heads * work.kBatch + bh % work.heads * work.kHead
                         : work.v + bh / work.heads * work.vBatch + bh % work.heads * work.vHead) + piece * 8;
    if (keys && bh == 0 && thread == 0) *work.largestValue = 0;
    float part[8] = {};
#pragma unroll 8
    for (int i = thread / 16; i < count; i += kRows) {
        const uint4 read = *(const uint4*)(x + (i64)i * work.tokens / count * token);
        const u32 words[4] = {read.x, read.y, read.z, read.w};
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            const float value = j & 1 ? high_element(words[j / 2]) : low_element(words[j / 2]);
            part[j] = keys ? part[j] + value : larger(part[j], fabsf(value));
        }
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) parts[thread / 16][piece * 8 + j] = part[j];
    __syncthreads();
    float all = 0;
    if (thread < 128) {
#pragma unroll 16
        for (int i = 0; i < kRows; ++i) all = keys ? all + parts[i][thread] : larger(all, parts[i][thread]);
        const float top = warp_larger(all);
        if (thread % kWarp == 0) tops[thread / kWarp] = top;
    }
    __syncthreads();
    if (thread >= 128) return;
    const float top = larger4(tops[0], tops[1], tops[2], tops[3]);
    work.result[bh * 256 + (keys ? 0 : 128) + thread] = keys ? all / count : larger(larger(all, top * kLeastColumn), kFp8Tiny) * ((1 << kHeadroom) / kFp8Largest);
}
