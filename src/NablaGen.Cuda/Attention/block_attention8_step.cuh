// One entry of a consumer of block_attention8_sm90.cu. Between the issue of products and the wait for them nothing may write to the registers that
// they read or fill, or ptxas waits for them there: so S stays as it is, the new weights have registers of their own, and p is used once more after
// the wait. Each of these rules was found in the machine code (docs/kernels.md).
#pragma once
#include "block_attention8_load.cuh"
#include "block_attention8_rows.cuh"

constexpr int kOutputs = 64;                                   // sums of a thread: 32 columns of two rows
constexpr int kBegin = 0x4b400000;                             // kMagic's bits: where S's sums begin
constexpr int kNone = (int)0xff800000u;                        // −∞: where sums of no key begin; their products are 0
constexpr int kNoSuchResult = 0x7fabcdef;                      // a NaN whose bits no product makes
constexpr float kLeastFactor = 1e-30f;                         // logits with less are all 0, and 0 · −∞ would be NaN
constexpr float kMost = 440;                                   // of a thread's 16 weights of a row together, so that none is cut at 448
constexpr float kMargin = 2;                                   // by which m is above the maximum when it moves: 16 · 2^(kLift − kMargin) = 256

// A thread's part of its warpgroup's tile of Q, as the products read it: 32 columns each.
typedef u32 Query[4][4];

// What a step needs to know of its entry and of the one before.
struct Step {
    u64 k, v;                    // operands: this entry's K, the held entry's V
    float queryScale;            // with the softmax scale and log2(e) in it
    Factors of;                  // of this entry
    int tokens, column;          // of this entry; the thread's first column
};

DEVICE void multiply_qk(int (&s)[32], const Query& q, u64 k) {
#pragma unroll
    for (int step = 0; step < 4; ++step) wgmma_n64_int8(s, q[step], k + (step * 32 >> 4));
}

DEVICE void multiply_pv(float (&o)[kOutputs], const u32 (&p)[2][4], u64 v) {
    wgmma_n128_fp8<true>(o, p[0], v);
    wgmma_n128_fp8<true>(o, p[1], v + (32 >> 4));
}

// Keeps weights from being made after what stands here.
DEVICE void pin_weights(u32 (&p)[2][4]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) asm volatile("" : "+r"(p[i / 4][i % 4])::"memory");
}

// Weights in fp8, 2^(x − m + lift) with x = (s − kMagic) · f, and their sums before they are rounded; s as floats.
DEVICE void weigh(u32 (&p)[2][4], float& sum0, float& sum1, const int (&s)[32], float f, float lift, float m0, float m1) {
    const float c0 = lift - m0 - kMagic * f, c1 = lift - m1 - kMagic * f;
    sum0 = sum1 = 0;
#pragma unroll
    for (int j = 0; j < 4; ++j) {                              // 16 tokens: two words of two rows
        float w[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) {
            w[i] = exp2_approx(fmaf(__int_as_float(s[j * 8 + i]), f, i & 2 ? c1 : c0));
        }
        sum0 += (w[0] + w[1]) + (w[4] + w[5]);
        sum1 += (w[2] + w[3]) + (w[6] + w[7]);
        p[j / 2][j % 2 * 2] = pack_fp8(w[0], w[1], w[4], w[5]);
        p[j / 2][j % 2 * 2 + 1] = pack_fp8(w[2], w[3], w[6], w[7]);
    }
}

// m moves so that the weights of `s` fit fp8, and all that is relative to it.
DEVICE void move_maximum(float (&o)[kOutputs], Row& low, Row& high, const int (&s)[32], float f, float lift) {
    int top0 = max(s[0], s[1]), top1 = max(s[2], s[3]);
#pragma unroll
    for (int i = 4; i < 32; i += 4) {
        top0 = max(top0, max(s[i], s[i + 1]));
        top1 = max(top1, max(s[i + 2], s[i + 3]));
    }
    const float more = kMargin + (lift - kLift);
    const float x0 = (__int_as_float(top0) - kMagic) * f + more, x1 = (__int_as_float(top1) - kMagic) * f + more;
    const float n0 = fmaxf(low.m, quad_max(x0)), n1 = fmaxf(high.m, quad_max(x1));
    const float f0 = exp2_approx(low.m - n0), f1 = exp2_approx(high.m - n1);
    low.m = n0;
    high.m = n1;
    low.sum *= f0;
    high.sum *= f1;
    rescale(o, f0, f1);
}

// S of this entry; with it O += P V of the entry before; then P of this one. The weights are first reckoned as if m stayed, which it mostly does; S is
// still there if it does not. It must move if a thread's weights of a row come to more than kMost, so their maximum need not be known before.
DEVICE void step(float (&o)[kOutputs], u32 (&p)[2][4], Row& low, Row& high, const Query& q, const Step& at) {
    int s[32];
#pragma unroll
    for (int i = 0; i < 32; ++i) s[i] = kBegin;
    if (at.tokens < kBlock) {
#pragma unroll
        for (int i = 0; i < 32; ++i) {
            if (i / 4 * 8 + (i & 1) + at.column >= at.tokens) s[i] = kNone;
        }
    }
    wgmma_pin(s);
    wgmma_pin(o);
    pin_weights(p);
    wgmma_fence();
    multiply_qk(s, q, at.k);
    wgmma_commit();
    multiply_pv(o, p, at.v);
    wgmma_commit();
    wgmma_wait<1>();
    wgmma_pin(s);

    float f = at.queryScale * at.of.scale;
    if (f < kLeastFactor) f = kLeastFactor;                    // NaN stays
    u32 next[2][4];
    float sum0, sum1;
    weigh(next, sum0, sum1, s, f, at.of.lift, low.m, high.m);
    const bool moved = __any_sync(kAllLanes, !(sum0 <= kMost) || !(sum1 <= kMost));
    pin_weights(next);
    wgmma_wait<0>();
    wgmma_pin(o);
    if (moved) {
        move_maximum(o, low, high, s, f, at.of.lift);
        weigh(next, sum0, sum1, s, f, at.of.lift, low.m, high.m);
    }
    low.sum = fmaf(sum0, at.of.inverse, low.sum);
    high.sum = fmaf(sum1, at.of.inverse, high.sum);
    // P V reads p until the wait, which ptxas (12.5) does not know: it would give p's registers to other values, and wait for P V before them. So p
    // is used once more, in a choice that depends on P V's result and always falls the same way.
    const bool never = __float_as_int(o[0]) == kNoSuchResult;
#pragma unroll
    for (int i = 0; i < 8; ++i) p[i / 4][i % 4] = never ? p[i / 4][i % 4] : next[i / 4][i % 4];
}

// The float32 sums of a consumer's rows, in shared memory; each thread's own, so no barrier is needed.
struct Sums {
    float4* at;                  // of this thread, 16 of them, kWarpgroup apart
    float m0, m1;                // what they are relative to
    bool any = false;

    // o += sums, relative to the rows' m.
    DEVICE void join(float (&o)[kOutputs], const Row& low, const Row& high) {
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
    DEVICE void take(float (&o)[kOutputs], const Row& low, const Row& high) {
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
