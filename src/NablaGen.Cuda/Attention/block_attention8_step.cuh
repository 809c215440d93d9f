// One entry of a consumer of block_attention8_sm90.cu, without a branch from the products' issue to the wait for them. Where code branches
// while products run, ptxas (12.5) waits for all of them before the block that reads a result, so P V would not run beside the exponentials.
#pragma once
#include "block_attention8_rows.cuh"

constexpr int kMagicBits = 0x4b400000;                         // kMagic's: where S's sums begin, so that as floats they are kMagic + S
constexpr int kNone = (int)0xff800000u;                        // −∞: where they begin for a logit that is none; its product is 0, for so is its key
constexpr int kNoSuchResult = 0x7fabcdef;
constexpr float kLeastFactor = 1e-30f;                         // 0 · −∞ would be NaN

// What a step needs to know of its entry and of the one before.
struct Step {
    u64 q, k, v;                 // operands: Q, this entry's K, the held entry's V
    float queryScale, keyScale;
    int tokens, column, lane;    // of this entry; the thread's first column; its lane
    u32 turn, count;             // the warp's counter of entries and what it gets
};

DEVICE void multiply_qk(int (&s)[32], u64 q, u64 k) {
    wgmma_n64_int8<false>(s, q, k);
#pragma unroll
    for (int step = 1; step < 4; ++step) wgmma_n64_int8<true>(s, q + (step * 32 >> 4), k + (step * 32 >> 4));
}

DEVICE void multiply_qk_on(int (&s)[32], u64 q, u64 k) {
#pragma unroll
    for (int step = 0; step < 4; ++step) wgmma_n64_int8<true>(s, q + (step * 32 >> 4), k + (step * 32 >> 4));
}

DEVICE void multiply_pv(float (&o)[kOutputs], const u32 (&p)[2][4], u64 v) {
#ifdef EIGHT_BIT_ONES
    wgmma_n136_fp8<true>(o, p[0], v);
    wgmma_n136_fp8<true>(o, p[1], v + (32 >> 4));
#else
    wgmma_n128_fp8<true>(o, p[0], v);
    wgmma_n128_fp8<true>(o, p[1], v + (32 >> 4));
#endif
}

// Keeps weights from being made after, or overwritten before, what stands here.
DEVICE void pin_weights(u32 (&p)[2][4]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) asm volatile("" : "+r"(p[i / 4][i % 4])::"memory");
}

DEVICE void set_counter(u32 address, u32 value, int lane) {
    asm volatile("{.reg .pred p; setp.eq.s32 p, %2, 0; @p st.volatile.shared.u32 [%0], %1;}" ::"r"(address), "r"(value), "r"(lane) : "memory");
}

// Waits until a counter has come to `least`.
DEVICE void wait_counter(u32 address, u32 least) {
    u32 seen;
    do asm volatile("ld.volatile.shared.u32 %0, [%1];" : "=r"(seen) : "r"(address) : "memory");
    while (__any_sync(kAllLanes, (int)(seen - least) < 0));
}

// Weights of a step in fp8, 2^(x − m + kLift) with x = (s − kMagic) · f, and their sums; s as floats.
DEVICE void weigh(u32 (&p)[2][4], float& sum0, float& sum1, const int (&s)[32], float f, float m0, float m1) {
    const float c0 = kLift - m0 - kMagic * f, c1 = kLift - m1 - kMagic * f;
    sum0 = sum1 = 0;
#pragma unroll
    for (int j = 0; j < 4; ++j) {                              // 16 tokens: two words of two rows
        float w[8];
#pragma unroll
        for (int i = 0; i < 8; ++i) w[i] = exp2_approx(fmaf(__int_as_float(s[j * 8 + i]), f, i & 2 ? c1 : c0));
#ifndef EIGHT_BIT_ONES
        sum0 += (w[0] + w[1]) + (w[4] + w[5]);
        sum1 += (w[2] + w[3]) + (w[6] + w[7]);
#endif
        p[j / 2][j % 2 * 2] = pack_fp8(w[0], w[1], w[4], w[5]);
        p[j / 2][j % 2 * 2 + 1] = pack_fp8(w[2], w[3], w[6], w[7]);
    }
}

// S of this entry; with it O += P V of the entry before; then P of this one. The weights are first reckoned as if m stayed, which it mostly does;
// S is still there if it does not.
DEVICE void step(float (&o)[kOutputs], u32 (&p)[2][4], Row& low, Row& high, const Step& at) {
    int s[32];
#pragma unroll
    for (int i = 0; i < 32; ++i) s[i] = kMagicBits;
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
    multiply_qk_on(s, at.q, at.k);
    wgmma_commit();
    multiply_pv(o, p, at.v);
    wgmma_commit();
#if EIGHT_BIT_TURNS == 1
    set_counter(at.turn, at.count, at.lane);
#endif
    wgmma_wait<1>();
    wgmma_pin(s);
#if EIGHT_BIT_TURNS == 2
    set_counter(at.turn, at.count, at.lane);
#endif

    float f = at.queryScale * at.keyScale;
    if (f < kLeastFactor) f = kLeastFactor;
    int top0 = max(s[0], s[1]), top1 = max(s[2], s[3]);
#pragma unroll
    for (int i = 4; i < 32; i += 4) {
        top0 = max(top0, max(s[i], s[i + 1]));
        top1 = max(top1, max(s[i + 2], s[i + 3]));
    }
    const float x0 = (__int_as_float(top0) - kMagic) * f, x1 = (__int_as_float(top1) - kMagic) * f;
    const bool moved = __any_sync(kAllLanes, x0 > low.m + kSlack || x1 > high.m + kSlack);
    u32 next[2][4];
    float sum0, sum1;
    weigh(next, sum0, sum1, s, f, low.m, high.m);
    pin_weights(next);
    wgmma_wait<0>();
    wgmma_pin(o);

    if (moved) {
        const float n0 = fmaxf(low.m, quad_max(x0)), n1 = fmaxf(high.m, quad_max(x1));
        const float f0 = exp2_approx(low.m - n0), f1 = exp2_approx(high.m - n1);
        low.m = n0;
        high.m = n1;
        low.sum *= f0;
        high.sum *= f1;
        rescale(o, f0, f1);
        weigh(next, sum0, sum1, s, f, n0, n1);
    }
    low.sum += sum0;
    high.sum += sum1;
    // P V reads p until the wait, which ptxas does not know: it would give p's registers to other values, and wait for P V before them. So p is
    // used once more, in a choice that depends on P V's result and always falls the same way: no product makes a NaN of these bits.
    const bool never = __float_as_int(o[0]) == kNoSuchResult;
#pragma unroll
    for (int i = 0; i < 8; ++i) p[i / 4][i % 4] = never ? p[i / 4][i % 4] : next[i / 4][i % 4];
}
