// What the eight-bit attention needs to know of a head before it quantises, by column: the means that are taken out of K and V, and what V is divided by
// then; from n tokens that lie evenly over the head:
//
//     mean[h, d] = (1 / n) Σ k[h, t_i, d]      ·      mu[h, d] = (1 / n) Σ v[h, t_i, d]
//     c[h, d] = max |v[h, t_i, d] − mu[h, d]| · 2^kHeadroom / 448
//     t_i = ⌊i · tokens / n⌋, i < n = min(tokens, kStatisticTokens)
//
// None need be exact, so K and V are not read whole for them. Any vector may be taken from all keys, as that changes no weight of a softmax; a mean of
// 1,024 tokens is within a thirtieth of a column's spread of the mean of all, and the scales of K's blocks are as small with it. Any vector may be taken
// from all values if the output gets it back: then what all tokens have in common is in no product in eight bits. V's numbers may be
// 2^kHeadroom times as far from mu as the furthest of those, and a block with larger ones has a factor of its own (attention_quantize.cu). A column's largest
// distance counts as at least 2^−8 of the head's, and as kFp8Tiny. A mu that is not finite is 0: what makes it so makes c so, too, and shows. So is one
// below a 64th of the column's largest distance: a few outliers make such a mean, and without it all others would have in common what they did not have.
//
// k, v     bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// result   float32 [batch · heads, 3, 128]: mean, c, mu
// largestValue  float32: becomes 0, which attention_quantize.cu raises
// Grid (2, batch · heads): x = 0 K, 1 V; kStatisticThreads threads, 16 a row with 8 columns each. Sums have one order. HEAD_DIM is 128.
#include "eight_bits.cuh"

struct Work {
    const u16 *k, *v;
    float *result, *largestValue;
    i64 kBatch, kHead, kToken, vBatch, vHead, vToken;
    int heads, tokens;
};

constexpr int kRows = kStatisticThreads / 16;                  // at once
constexpr int kParts = kRows / 2;                              // a warp has two rows, which it joins
constexpr float kLeastColumn = 1.0f / 256, kLeastMean = 1.0f / 64;

extern "C" __global__ void __launch_bounds__(kStatisticThreads) attention_statistics(const __grid_constant__ Work work) {
    __shared__ float tops[4];
    __shared__ __align__(16) float sums[kParts][128];
    __shared__ __align__(16) u32 most[kParts][64], least[kParts][64];   // pairs of elements
    const bool keys = blockIdx.x == 0;
    const int bh = blockIdx.y, thread = threadIdx.x, piece = thread % 16, count = min(work.tokens, kStatisticTokens);
    const i64 token = keys ? work.kToken : work.vToken;
    const u16* x = (keys ? work.k + bh / work.heads * work.kBatch + bh % work.heads * work.kHead
                         : work.v + bh / work.heads * work.vBatch + bh % work.heads * work.vHead) + piece * 8;
    if (keys && bh == 0 && thread == 0) *work.largestValue = 0;

    // The furthest from a mean is the largest or the smallest number, whatever the mean is, so one look is enough. Both are exact in 16 bits.
    float sum[8] = {};
    u32 high[4], low[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        high[j] = pack_elements(NEGATIVE_INFINITY, NEGATIVE_INFINITY);
        low[j] = pack_elements(-NEGATIVE_INFINITY, -NEGATIVE_INFINITY);
    }
#pragma unroll 8
    for (int i = thread / 16; i < count; i += kRows) {
        // A quotient by `count`, which the compiler does not know, would be a call, and loads would wait for one another.
        const i64 at = work.tokens <= kStatisticTokens ? i : (i64)i * work.tokens / kStatisticTokens;
        const uint4 read = *(const uint4*)(x + at * token);
        const u32 words[4] = {read.x, read.y, read.z, read.w};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            sum[2 * j] += low_element(words[j]);
            sum[2 * j + 1] += high_element(words[j]);
            high[j] = larger_elements(high[j], words[j]);
            low[j] = smaller_elements(low[j], words[j]);
        }
    }
#pragma unroll
    for (int j = 0; j < 8; ++j) sum[j] += __shfl_xor_sync(kAllLanes, sum[j], 16);
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        high[j] = larger_elements(high[j], __shfl_xor_sync(kAllLanes, high[j], 16));
        low[j] = smaller_elements(low[j], __shfl_xor_sync(kAllLanes, low[j], 16));
    }
    if (thread % kWarp < 16) {
        const int part = thread / kWarp;
        *(float4*)&sums[part][piece * 8] = make_float4(sum[0], sum[1], sum[2], sum[3]);
        *(float4*)&sums[part][piece * 8 + 4] = make_float4(sum[4], sum[5], sum[6], sum[7]);
        *(uint4*)&most[part][piece * 4] = make_uint4(high[0], high[1], high[2], high[3]);
        *(uint4*)&least[part][piece * 4] = make_uint4(low[0], low[1], low[2], low[3]);
    }
    __syncthreads();

    // Warps 0 to 3 join sums, 4 and 5 the largest, 6 and 7 the smallest.
    float mean = 0;
    if (thread < 128) {
#pragma unroll 16
        for (int i = 0; i < kParts; ++i) mean += sums[i][thread];
        mean /= count;
    } else if (thread < 192) {
        u32 top = most[0][thread - 128];
#pragma unroll 16
        for (int i = 1; i < kParts; ++i) top = larger_elements(top, most[i][thread - 128]);
        most[0][thread - 128] = top;
    } else if (thread < 256) {
        u32 bottom = least[0][thread - 192];
#pragma unroll 16
        for (int i = 1; i < kParts; ++i) bottom = smaller_elements(bottom, least[i][thread - 192]);
        least[0][thread - 192] = bottom;
    }
    float* result = work.result + (i64)bh * kHeadStatistics;
    if (keys) {
        if (thread < 128) result[thread] = mean;
        return;
    }

    __syncthreads();
    float furthest = 0;
    if (thread < 128) {
        const u32 top = most[0][thread / 2], bottom = least[0][thread / 2];
        const float up = thread & 1 ? high_element(top) : low_element(top), down = thread & 1 ? high_element(bottom) : low_element(bottom);
        furthest = larger(up - mean, mean - down);
        if (!(fabsf(mean) < -NEGATIVE_INFINITY && fabsf(mean) >= furthest * kLeastMean)) {
            mean = 0;
            furthest = larger(up, -down);
        }
        const float head = warp_larger(furthest);
        if (thread % kWarp == 0) tops[thread / kWarp] = head;
    }
    __syncthreads();
    if (thread >= 128) return;
    const float head = larger4(tops[0], tops[1], tops[2], tops[3]);
    result[128 + thread] = larger(larger(furthest, head * kLeastColumn), kFp8Tiny) * ((1 << kHeadroom) / kFp8Largest);
    result[256 + thread] = mean;
}
