// What Hopper's attention kernels in 16 bits do with a warpgroup's 64 rows: products, softmax, output.
//
// Macro: HEAD_DIM (64 or 128).
#pragma once
#include "hopper.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif
constexpr int kHalves = HEAD_DIM / 64;
constexpr int kHalfBytes = kBlock * 128;                       // 64 rows of 64 elements
constexpr int kTileBytes = kHalfBytes * kHalves;

// Logits of keys that are not there, from `tokens` on; `column` is the first of the thread's.
DEVICE void cut_columns(float (&s)[32], int tokens, int column) {
#pragma unroll
    for (int i = 0; i < 32; ++i) {
        if (i / 4 * 8 + (i & 1) + column >= tokens) s[i] = NEGATIVE_INFINITY;
    }
}

// Logits to weights: s becomes 2^(s · scale − m), each row with its scale, the row sums grow. True if m moved; then f0 and f1 rescale what was summed.
// m moves once a logit of the warp exceeds it by Slack, in log2. With a slack of 0 it is each row's maximum, so that a row's bits do not depend on its neighbours'.
template <int Slack> DEVICE bool soften(float (&s)[32], float& m0, float& m1, float& l0, float& l1, float& f0, float& f1, float scale0, float scale1) {
    float top0 = fmaxf(s[0], s[1]), top1 = fmaxf(s[2], s[3]);
#pragma unroll
    for (int i = 4; i < 32; i += 4) {
        top0 = fmaxf(top0, fmaxf(s[i], s[i + 1]));
        top1 = fmaxf(top1, fmaxf(s[i + 2], s[i + 3]));
    }
    const bool moved = __any_sync(kAllLanes, top0 * scale0 > m0 + Slack || top1 * scale1 > m1 + Slack);
    if (moved) {
        const float n0 = fmaxf(m0, quad_max(top0) * scale0), n1 = fmaxf(m1, quad_max(top1) * scale1);
        f0 = exp2_approx(m0 - n0);
        f1 = exp2_approx(m1 - n1);
        m0 = n0;
        m1 = n1;
        l0 *= f0;
        l1 *= f1;
    }
    float sum0 = 0, sum1 = 0;
#pragma unroll
    for (int i = 0; i < 32; i += 4) {
        s[i] = exp2_approx(fmaf(s[i], scale0, -m0));
        s[i + 1] = exp2_approx(fmaf(s[i + 1], scale0, -m0));
        s[i + 2] = exp2_approx(fmaf(s[i + 2], scale1, -m1));
        s[i + 3] = exp2_approx(fmaf(s[i + 3], scale1, -m1));
        sum0 += s[i] + s[i + 1];
        sum1 += s[i + 2] + s[i + 3];
    }
    l0 += sum0;
    l1 += sum1;
    return moved;
}

DEVICE void pack_weights(u32 (&p)[4][4], const float (&s)[32]) {
#pragma unroll
    for (int i = 0; i < 16; ++i) p[i / 4][i % 4] = pack_elements(s[2 * i], s[2 * i + 1]);
}

DEVICE void multiply_qk(float (&s)[32], u64 q, u64 k) {
    wgmma_n64_shared<false>(s, q, k);
#pragma unroll
    for (int step = 1; step < HEAD_DIM / 16; ++step) {
        const int offset = (step / 4 * kHalfBytes + step % 4 * 32) >> 4;
        wgmma_n64_shared<true>(s, q + offset, k + offset);
    }
}

DEVICE void multiply_pv(float (&o)[HEAD_DIM / 2], const u32 (&p)[4][4], u64 v) {
#pragma unroll
    for (int step = 0; step < 4; ++step) wgmma_transposed(o, p[step], v + (step * 2048 >> 4));
}

// When m moved, what was summed so far is rescaled.
DEVICE void rescale(float (&o)[HEAD_DIM / 2], float f0, float f1) {
#pragma unroll
    for (int j = 0; j < HEAD_DIM / 2; j += 4) {
        o[j] *= f0;
        o[j + 1] *= f0;
        o[j + 2] *= f1;
        o[j + 3] *= f1;
    }
}

// Divides by the row sums and writes the rows that there are; `out` is the first of the 64.
DEVICE void store_rows(const float (&o)[HEAD_DIM / 2], float l0, float l1, u16* out, i64 outToken, int rows, int row, int quad) {
    const float r0 = l0 > 0 ? 1 / l0 : 0, r1 = l1 > 0 ? 1 / l1 : 0;
#pragma unroll
    for (int j = 0; j < HEAD_DIM / 32; ++j) {
        u32 low[4], high[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int at = (j * 4 + i) * 4;
            low[i] = pack_elements(o[at] * r0, o[at + 1] * r0);
            high[i] = pack_elements(o[at + 2] * r1, o[at + 3] * r1);
        }
        quad_transpose(low, quad);
        quad_transpose(high, quad);
        const int column = j * 32 + quad * 8;
        if (row < rows) *(uint4*)(out + row * outToken + column) = make_uint4(low[0], low[1], low[2], low[3]);
        if (row + 8 < rows) *(uint4*)(out + (row + 8) * outToken + column) = make_uint4(high[0], high[1], high[2], high[3]);
    }
}
