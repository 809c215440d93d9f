// The rows of a consumer of block_attention8_sm90.cu: logits to weights, sums of what the weights multiply, and the output.
#pragma once
#include "block_attention8_load.cuh"

constexpr int kOutputs = 68;                                   // sums of a thread: 32 columns of two rows, and twice each row's sum of weights
constexpr float kLift = 6;
constexpr float kSlack = 2.75f;                                // 2^(6 + 2.75) = 431, below 448

// What a row's sums are relative to, and the sum of its weights as far as they left o.
struct Row {
    float m = NEGATIVE_INFINITY, sum = 0;
};

// When m moved, what was summed so far is rescaled.
DEVICE void rescale(float (&o)[kOutputs], float f0, float f1) {
#pragma unroll
    for (int j = 0; j < kOutputs; j += 4) {
        o[j] *= f0;
        o[j + 1] *= f0;
        o[j + 2] *= f1;
        o[j + 3] *= f1;
    }
}

// The float32 sums of a consumer's rows, in shared memory; each thread's own, so no barrier is needed.
struct Sums {
    float4* at;                  // of this thread, 16 of them, kWarpgroup apart
    float m0, m1;                // what they are relative to
    bool any = false;

    // o += sums, relative to the rows' m; the rows get their sums of weights.
    DEVICE void join(float (&o)[kOutputs], Row& low, Row& high) {
        low.sum += o[64];
        high.sum += o[66];
        if (!any) return;
        const float f0 = exp2_approx(m0 - low.m), f1 = exp2_approx(m1 - high.m);
#pragma unroll
        for (int j = 0; j < 16; ++j) {
            const float4 x = at[j * kWarpgroup];
            o[4 * j] = fmaf(x.x, f0, o[4 * j]);
            o[4 * j + 1] = fmaf(x.y, f0, o[4 * j + 1]);
            o[4 * j + 2] = fmaf(x.z, f1, o[4 * j + 2]);
            o[4 * j + 3] = fmaf(x.w, f1, o[4 * j + 3]);
        }
    }

    // sums += o, and o begins anew.
    DEVICE void take(float (&o)[kOutputs], Row& low, Row& high) {
        join(o, low, high);
#pragma unroll
        for (int j = 0; j < 16; ++j) at[j * kWarpgroup] = make_float4(o[4 * j], o[4 * j + 1], o[4 * j + 2], o[4 * j + 3]);
#pragma unroll
        for (int j = 0; j < kOutputs; ++j) o[j] = 0;
        m0 = low.m;
        m1 = high.m;
        any = true;
    }
};

DEVICE void prefetch(const void* at) { asm volatile("prefetch.global.L1 [%0];" ::"l"(at)); }

// What store_output() will read, to the cache.
DEVICE void prefetch_output(const Work& work, int bh, int block, int lane) {
    if (lane < 4) prefetch(work.statistics + (i64)bh * 256 + 128 + lane * 32);
    else if (lane == 4) prefetch(work.offsets + block);
}

// Divides by the row sums, gives the columns V's scales and writes the rows that the block has.
DEVICE void store_output(const Work& work, float (&o)[kOutputs], const Row& low, const Row& high, int bh, int block, int row, int quad) {
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    const float r0 = low.sum > 0 ? 1 / low.sum : 0, r1 = high.sum > 0 ? 1 / high.sum : 0;
    const float* most = work.statistics + (i64)bh * 256 + 128 + quad * 2;
    u16* out = work.out + bh / work.heads * work.outBatch + bh % work.heads * work.outHead + start * work.outToken;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        u32 words0[4], words1[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int at = (j * 4 + i) * 4;
            const float2 top = *(const float2*)(most + (j * 4 + i) * 8);
            const float x = top.x > 0 ? top.x * (1 / kFp8Largest) : 1, y = top.y > 0 ? top.y * (1 / kFp8Largest) : 1;
            words0[i] = pack_elements(o[at] * r0 * x, o[at + 1] * r0 * y);
            words1[i] = pack_elements(o[at + 2] * r1 * x, o[at + 3] * r1 * y);
        }
        quad_transpose(words0, quad);
        quad_transpose(words1, quad);
        const int column = j * 32 + quad * 8;
        if (row < rows) *(uint4*)(out + row * work.outToken + column) = make_uint4(words0[0], words0[1], words0[2], words0[3]);
        if (row + 8 < rows) {
            *(uint4*)(out + (row + 8) * work.outToken + column) = make_uint4(words1[0], words1[1], words1[2], words1[3]);
        }
    }
    if (work.lse != nullptr && quad == 0) {
        float* lse = work.lse + (i64)bh * work.tokens + start;
        if (row < rows) lse[row] = low.sum > 0 ? (low.m - kLift + __log2f(low.sum)) * kLn2 : NEGATIVE_INFINITY;
        if (row + 8 < rows) lse[row + 8] = high.sum > 0 ? (high.m - kLift + __log2f(high.sum)) * kLn2 : NEGATIVE_INFINITY;
    }
}
