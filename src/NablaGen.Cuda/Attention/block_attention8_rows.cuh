// What the eight-bit attention kernels do with rows: logits to weights, sums of what the weights multiply, and the output. A warp has 16 rows;
// lane 4 g + c holds rows g (low) and g + 8 (high), and of them columns 8 j + 2 c + e in elements 4 j + e and 4 j + 2 + e.
#pragma once
#include "eight_bits.cuh"

constexpr float kSlack = 2.75f;                                // 2^(6 + 2.75) = 431, below 448
constexpr float kMagic = 12582912;                             // 1.5 · 2^23: added to an int32 below 2^22 as bits, it is kMagic + the int
constexpr int kOutside = -4194304;                             // −2^22: a logit that is none, still in that range

// What a row's sums are relative to, and the sum of its weights.
struct Row {
    float m = NEGATIVE_INFINITY, sum = 0;
};

DEVICE float weight(int s, float f, float c) { return exp2_approx(fmaf(__int_as_float(s + 0x4b400000), f, c)); }

// What a key block's tiles are followed by (attention_quantize.cu): K's scale; log2(b) + kLift and 1 / b, where b is what V was divided by.
struct Factors {
    float scale, lift, inverse;
};

// Logits to weights: s becomes the bits of 2^(s · f − m + lift), that is b times as much as counts in the row sums. m is of logits to which log2(b) is
// added. True if m moved; then f0 and f1 rescale what was summed.
DEVICE bool soften(int (&s)[32], Row& low, Row& high, float& f0, float& f1, int tokens, float f, const Factors& of, int column) {
    if (tokens < kBlock) {
#pragma unroll
        for (int i = 0; i < 32; ++i) {
            if (i / 4 * 8 + (i & 1) + column >= tokens) s[i] = kOutside;
        }
    }
    int top0 = max(s[0], s[1]), top1 = max(s[2], s[3]);
#pragma unroll
    for (int i = 4; i < 32; i += 4) {
        top0 = max(top0, max(s[i], s[i + 1]));
        top1 = max(top1, max(s[i + 2], s[i + 3]));
    }
    const float log = of.lift - kLift, x0 = fmaf((float)top0, f, log), x1 = fmaf((float)top1, f, log);
    const bool moved = __any_sync(kAllLanes, x0 > low.m + kSlack || x1 > high.m + kSlack);
    if (moved) {
        const float n0 = fmaxf(low.m, quad_max(x0)), n1 = fmaxf(high.m, quad_max(x1));
        f0 = exp2_approx(low.m - n0);
        f1 = exp2_approx(high.m - n1);
        low.m = n0;
        high.m = n1;
        low.sum *= f0;
        high.sum *= f1;
    }
    const float c0 = of.lift - low.m - kMagic * f, c1 = of.lift - high.m - kMagic * f;
    float sum0 = 0, sum1 = 0;
#pragma unroll
    for (int i = 0; i < 32; i += 4) {
        float a = weight(s[i], f, c0), b = weight(s[i + 1], f, c0), c = weight(s[i + 2], f, c1), d = weight(s[i + 3], f, c1);
        if (tokens < kBlock) {
            if (i / 4 * 8 + column >= tokens) a = c = 0;
            if (i / 4 * 8 + 1 + column >= tokens) b = d = 0;
        }
        sum0 += a + b;
        sum1 += c + d;
        s[i] = __float_as_int(a);
        s[i + 1] = __float_as_int(b);
        s[i + 2] = __float_as_int(c);
        s[i + 3] = __float_as_int(d);
    }
    low.sum = fmaf(sum0, of.inverse, low.sum);
    high.sum = fmaf(sum1, of.inverse, high.sum);
    return moved;
}

// Weights to fp8. Not before the product that reads p is over, or the compiler would let products wait for one another.
DEVICE void pack_weights(u32 (&p)[2][4], const int (&s)[32]) {
#pragma unroll
    for (int i = 0; i < 8; ++i) {
        const int at = i / 2 * 8 + i % 2 * 2;                  // 16 tokens: two words of two rows
        p[i / 4][i % 4] = pack_fp8(__int_as_float(s[at]), __int_as_float(s[at + 1]), __int_as_float(s[at + 4]), __int_as_float(s[at + 5]));
    }
}

// When m moved, what was summed so far is rescaled.
template <int N> DEVICE void rescale(float (&o)[N], float f0, float f1) {
#pragma unroll
    for (int j = 0; j < N; j += 4) {
        o[j] *= f0;
        o[j + 1] *= f0;
        o[j + 2] *= f1;
        o[j + 3] *= f1;
    }
}

// Divides by the row sums, which are the whole rows' by now, multiplies by what V was divided by, adds V's mean, and writes the rows that the block has;
// with FP8_ROWS in fp8, and the rows' scales once. A row without weights gets no mean either: it is zeros.
template <class Work, int N>
DEVICE void store_output(const Work& work, float (&o)[N], const Row& low, const Row& high, int bh, int block, int row, int quad) {
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    const float r0 = low.sum > 0 ? 1 / low.sum : 0, r1 = high.sum > 0 ? 1 / high.sum : 0;
    const float *columns = work.statistics + (i64)bh * kHeadStatistics + 128 + quad * 2, *means = columns + 128;
#ifdef FP8_ROWS
    // All rows have one scale, which is known before. An output is a mean of mu + (1 + e) (v − mu) = v + e (v − mu). Rounding a weight and a value to fp8
    // adds up to a sixteenth each, so e is up to (17/16)² − 1 = 33/256; v and mu are no larger than the largest v, so e (v − mu) is up to 33/128 of it. (fp8's
    // smallest weights round by more; what is beyond all the same becomes fp8's largest.) A floating-point number is as precise with a scale that is too
    // large by far.
    const float bound = *work.largestValue * (1 + 33 / 128.0f), factor = fp8_factor(bound);
    const float f0 = low.sum > 0 ? factor : 0, f1 = high.sum > 0 ? factor : 0;
    u8* out = (u8*)work.out + bh / work.heads * work.outBatch + bh % work.heads * work.outHead + start * work.outToken;
#pragma unroll
    for (int j = 0; j < 2; ++j) {
        // Word i: columns 2 quad and 2 quad + 1 of columns 8 (2 i) and 8 (2 i + 1) onwards.
        u32 words0[4], words1[4];
#pragma unroll
        for (int i = 0; i < 8; i += 2) {
            const int at = (j * 8 + i) * 4;
            const float2 a = *(const float2*)(columns + (j * 8 + i) * 8), b = *(const float2*)(columns + (j * 8 + i + 1) * 8);
            const float2 m = *(const float2*)(means + (j * 8 + i) * 8), n = *(const float2*)(means + (j * 8 + i + 1) * 8);
            const float s0 = r0 * factor, s1 = r1 * factor;
            words0[i / 2] = pack_fp8(
                fmaf(o[at] * s0, a.x, m.x * f0), fmaf(o[at + 1] * s0, a.y, m.y * f0),
                fmaf(o[at + 4] * s0, b.x, n.x * f0), fmaf(o[at + 5] * s0, b.y, n.y * f0));
            words1[i / 2] = pack_fp8(
                fmaf(o[at + 2] * s1, a.x, m.x * f1), fmaf(o[at + 3] * s1, a.y, m.y * f1),
                fmaf(o[at + 6] * s1, b.x, n.x * f1), fmaf(o[at + 7] * s1, b.y, n.y * f1));
        }
        quad_transpose(words0, quad);
        quad_transpose(words1, quad);
        const int column = j * 64 + quad * 16;
        if (row < rows) *(uint4*)(out + row * work.outToken + column) = join_codes(words0);
        if (row + 8 < rows) *(uint4*)(out + (row + 8) * work.outToken + column) = join_codes(words1);
    }
    if (bh % work.heads == 0 && quad == 0) {
        float* scales = work.rowScales + (i64)(bh / work.heads) * work.tokens + start;
        const float scale = fp8_scale(bound);
        if (row < rows) scales[row] = scale;
        if (row + 8 < rows) scales[row + 8] = scale;
    }
#else
    u16* out = work.out + bh / work.heads * work.outBatch + bh % work.heads * work.outHead + start * work.outToken;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        u32 words0[4], words1[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int at = (j * 4 + i) * 4;
            const float2 c = *(const float2*)(columns + (j * 4 + i) * 8), m = *(const float2*)(means + (j * 4 + i) * 8);
            words0[i] = pack_elements(fmaf(o[at] * r0, c.x, low.sum > 0 ? m.x : 0), fmaf(o[at + 1] * r0, c.y, low.sum > 0 ? m.y : 0));
            words1[i] = pack_elements(fmaf(o[at + 2] * r1, c.x, high.sum > 0 ? m.x : 0), fmaf(o[at + 3] * r1, c.y, high.sum > 0 ? m.y : 0));
        }
        quad_transpose(words0, quad);
        quad_transpose(words1, quad);
        const int column = j * 32 + quad * 8;
        if (row < rows) *(uint4*)(out + row * work.outToken + column) = make_uint4(words0[0], words0[1], words0[2], words0[3]);
        if (row + 8 < rows) {
            *(uint4*)(out + (row + 8) * work.outToken + column) = make_uint4(words1[0], words1[1], words1[2], words1[3]);
        }
    }
#endif
    if (work.lse != nullptr && quad == 0) {
        float* lse = work.lse + (i64)bh * work.tokens + start;
        if (row < rows) lse[row] = low.sum > 0 ? (low.m - kLift + __log2f(low.sum)) * kLn2 : NEGATIVE_INFINITY;
        if (row + 8 < rows) lse[row + 8] = high.sum > 0 ? (high.m - kLift + __log2f(high.sum)) * kLn2 : NEGATIVE_INFINITY;
    }
}
