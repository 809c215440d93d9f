// Block-sparse attention for sm_80 and newer: out = softmax(q kᵀ · scale) v over each query block's own list of key blocks.
//
// One thread block a query block of 1 to 64 tokens, two warps of 32 rows. Q stays in shared memory; K and V have one buffer each, in
// halves A and B of 32 keys that cp.async fills. A key block takes four phases, so that the products have other work beside them:
//
//   1  S_A = Q K_Aᵀ                       V_B comes
//   2  S_B = Q K_Bᵀ    P_A = exp2(S_A)
//   3  O += P_A V_A    P_B = exp2(S_B)    the next K_A comes
//   4  O += P_B V_B                       the next K_B and V_A come
//
// No maximum is sought on the way: weights are exp2(logit − m) for an m of each row's own, and only where a lane's sum of them
// outgrows kLimit (or is infinite: at the first entry m is −∞) is S made again, for a new m.
//
// q, k, v  bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// out      the same; each row is written once, rounded from float32
// lists    u16 [batch · heads, blocks, listStride] ascending; `listHeadStride` 0 shares one head's lists among all
// counts   i32 [batch · heads, blocks], `countHeadStride` 0 likewise; offsets i32 [blocks + 1], first token of each block
// lse      float32 [batch · heads, tokens] or null: natural log of Σ exp(logit)
// A query block with an empty list gets zeros and −∞.
// Grid (blocks, batch · heads), kAmpereThreads threads, dynamic shared memory 3 · 64 · HEAD_DIM elements. Macro: HEAD_DIM (64 or 128).
#include "ampere.cuh"

constexpr int kHalf = 32;                                      // rows of a warp, and keys of half a block
constexpr int kHalfBytes = kHalf * kRowBytes;
constexpr int kSteps = HEAD_DIM / 16;
constexpr int kRowsAtOnce = kAmpereThreads / 8;                      // eight threads copy a row of 128 bytes, or each 128 bytes of it
constexpr int kCopies = kHalf / kRowsAtOnce;                   // rows a thread copies of half a tile
constexpr float kLimit = 4096;                                 // fp16 holds weights up to 65504

struct Work {
    const u16 *q, *k, *v;
    u16* out;
    float* lse;
    const u16* lists;
    const int* counts;
    const int* offsets;
    Strides qStrides, kStrides, vStrides, outStrides;
    i64 listHeadStride;
    int countHeadStride, listStride, heads, blocks, tokens;
    float scaleLog2;             // softmax scale · log2(e)
};

// One head of a tensor, as a thread copies it: its own 16 bytes of each 128 of a row.
struct Source {
    const u8* base;
    u32 stride;                  // bytes a token
};

DEVICE Source source_of(const u16* tensor, const Strides& strides, int batch, int head, int thread) {
    const u8* base = (const u8*)(tensor + batch * strides.batch + head * strides.head) + thread % 8 * 16;
    asm volatile("" : "+l"(base));                             // one register pair: left alone, the compiler adds its parts at each copy
    return {base, (u32)strides.token * 2};
}

// A block's tokens. What stands in a tile for more of them is the last one again: finite, and its weight will be zero.
struct Tokens {
    int first, last;
};

DEVICE Tokens tokens_of(const int* offsets, int block) { return {offsets[block], offsets[block + 1] - 1}; }

// A thread's copies `from` to `until`: tokens kRowsAtOnce apart, the first of them `row` tokens into the block.
DEVICE void copy_rows(u32 to, const Source& source, const Tokens& tokens, int row, int from, int until) {
#pragma unroll
    for (int i = from; i < until; ++i) {
        const u8* piece;
        const u32 token = min(tokens.first + row + i * kRowsAtOnce, tokens.last);
        asm volatile("mad.wide.u32 %0, %1, %2, %3;" : "=l"(piece) : "r"(token), "r"(source.stride), "l"(source.base));
        const u32 there = to + i * kRowsAtOnce * kRowBytes;
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(there), "l"(piece) : "memory");
        if (HEAD_DIM == 128) asm volatile("cp.async.cg.shared.global [%0 + 128], [%1 + 128], 16;" ::"r"(there), "l"(piece) : "memory");
    }
}

// The copies of half A (0) or B (1) of a tile, in two runs: those that are due at `part` of `parts`. A quarter apart, no register spills.
DEVICE void copy_due(u32 to, const Source& source, const Tokens& tokens, int row, int half, int part, int parts) {
    const int from = half * kCopies;
    if (part == 0) copy_rows(to, source, tokens, row, from, from + kCopies / 2);
    if (part == parts / 4) copy_rows(to, source, tokens, row, from + kCopies / 2, from + kCopies);
}

struct Nothing {
    DEVICE void operator()() const {}
    DEVICE void operator()(int) const {}
};

// s = q kᵀ of 32 rows and 32 keys. `ready()` waits for the keys, `beside(step)` is work to put among the products of a step.
template <class Ready, class Beside> DEVICE void scores(
    float (&s)[2][4][4], u32 fragmentQ, u32 fragmentK, const Ready& ready, const Beside& beside) {
    u32 a[2][2][4], b[2][2][4];
#pragma unroll
    for (int t = 0; t < 2; ++t) load_matrices(a[0][t], fragmentQ + t * 16 * kRowBytes);
    ready();
#pragma unroll
    for (int j = 0; j < 2; ++j) load_matrices(b[0][j], fragmentK + j * 16 * kRowBytes);
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
        const int now = step % 2, next = 1 - now;
        if (step + 1 < kSteps) {
#pragma unroll
            for (int t = 0; t < 2; ++t) load_matrices(a[next][t], along(fragmentQ, step + 1) + t * 16 * kRowBytes);
#pragma unroll
            for (int j = 0; j < 2; ++j) load_matrices(b[next][j], along(fragmentK, step + 1) + j * 16 * kRowBytes);
        }
#pragma unroll
        for (int j = 0; j < 2; ++j) {
#pragma unroll
            for (int t = 0; t < 2; ++t) {
                if (step == 0) {
                    multiply_first(s[t][2 * j], a[now][t], b[now][j][0], b[now][j][1]);
                    multiply_first(s[t][2 * j + 1], a[now][t], b[now][j][2], b[now][j][3]);
                } else {
                    multiply(s[t][2 * j], a[now][t], b[now][j][0], b[now][j][1]);
                    multiply(s[t][2 * j + 1], a[now][t], b[now][j][2], b[now][j][3]);
                }
            }
        }
        beside(step);
    }
}

// o += p v of 32 rows and 32 keys. `ready()` is a barrier for others' sake, `beside(part)` as above, 2 · kSteps of them.
template <class Ready, class Beside> DEVICE void weigh(
    float (&o)[2][HEAD_DIM / 8][4], const u32 (&p)[2][2][4], u32 fragmentV, const Ready& ready, const Beside& beside) {
    u32 b[2][4];
    load_matrices_transposed(b[0], fragmentV);
    ready();
#pragma unroll
    for (int part = 0; part < 2 * kSteps; ++part) {
        const int keys = part / kSteps, j = part % kSteps, now = part % 2, next = part + 1;
        if (next < 2 * kSteps) {
            load_matrices_transposed(b[1 - now], along(fragmentV, next % kSteps) + next / kSteps * 16 * kRowBytes);
        }
#pragma unroll
        for (int t = 0; t < 2; ++t) {
            multiply(o[t][2 * j], p[t][keys], b[now][0], b[now][1]);
            multiply(o[t][2 * j + 1], p[t][keys], b[now][2], b[now][3]);
        }
        beside(part);
    }
}

// A part's share of p = exp2(s · scale − m), and the lane's sums of a row's weights.
template <int Parts> DEVICE void exponentials(
    u32 (&p)[2][2][4], float (&sum)[2][2], const float (&s)[2][4][4], const float (&m)[2][2], float scale, int part) {
#pragma unroll
    for (int i = part * 16 / Parts; i < (part + 1) * 16 / Parts; ++i) {
        const int t = i / 8, j = i % 8 / 2, h = i % 2;
        const float p0 = exp2_approx(fmaf(s[t][j][2 * h], scale, -m[t][h])), p1 = exp2_approx(fmaf(s[t][j][2 * h + 1], scale, -m[t][h]));
        sum[t][h] = j == 0 ? p0 + p1 : sum[t][h] + (p0 + p1);
        p[t][j / 2][j % 2 * 2 + h] = pack_elements(p0, p1);
    }
}

// Keys from `keys` on (which may be below zero) weigh nothing.
DEVICE void cut(float (&s)[2][4][4], int keys) {
    const int column = threadIdx.x % 4 * 2;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
#pragma unroll
        for (int e = 0; e < 4; ++e) {
            if (j * 8 + column + (e & 1) >= keys) s[0][j][e] = s[1][j][e] = NEGATIVE_INFINITY;
        }
    }
}

// l += sum; before it, where some row's weights are too large for its m, a new m from the half's scores, made again, and all that is
// summed so far shrunk to it.
DEVICE void settle(
    u32 (&p)[2][2][4], float (&sum)[2][2], float (&o)[2][HEAD_DIM / 8][4], float (&m)[2][2], float (&l)[2][2], u32 fragmentQ,
    u32 fragmentK, float scale, int keys) {
    const float most = fmaxf(fmaxf(sum[0][0], sum[0][1]), fmaxf(sum[1][0], sum[1][1]));
    const bool renew = __any_sync(kAllLanes, !(most <= kLimit)); // the first entry's sums are infinite or NaN, every one
    if (renew) {
        float s[2][4][4];
        scores(s, fragmentQ, fragmentK, Nothing(), Nothing());
        cut(s, keys);
#pragma unroll
        for (int row = 0; row < 4; ++row) {
            const int t = row / 2, h = row % 2;
            float top = NEGATIVE_INFINITY;
#pragma unroll
            for (int j = 0; j < 4; ++j) top = fmaxf(top, fmaxf(s[t][j][2 * h], s[t][j][2 * h + 1]));
            const float next = fmaxf(m[t][h], quad_max(top) * scale), factor = exp2_approx(m[t][h] - next);
            m[t][h] = next;
            l[t][h] *= factor;
#pragma unroll
            for (int j = 0; j < HEAD_DIM / 8; ++j) {
                o[t][j][2 * h] *= factor;
                o[t][j][2 * h + 1] *= factor;
            }
        }
        exponentials<1>(p, sum, s, m, scale, 0);
    }
#pragma unroll
    for (int row = 0; row < 4; ++row) l[row / 2][row % 2] += sum[row / 2][row % 2];
}

extern "C" __global__ void __launch_bounds__(kAmpereThreads, 4) block_attention_sm80(const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    const u32 tile = shared_address(shared);
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp;
    const int block = blockIdx.x, bh = blockIdx.y;
    const int batch = bh / work.heads, head = bh % work.heads;
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    const int count = work.counts[bh * work.countHeadStride + block];
    const u16* list = work.lists + bh * work.listHeadStride + (i64)block * work.listStride;
    const Source k = source_of(work.k, work.kStrides, batch, head, thread), v = source_of(work.v, work.vStrides, batch, head, thread);
    const float scale = work.scaleLog2;

    const int row = thread / 8;
    const u32 to = piece(tile, row, thread % 8), toK = to + kTileBytes, toV = toK + kTileBytes;
    const u32 fragmentQ = piece(tile, warp * kHalf + lane % 16, lane / 16);
    const u32 fragmentK = piece(tile + kTileBytes, lane % 8 + lane / 16 * 8, lane / 8 % 2);
    const u32 fragmentV = piece(tile + 2 * kTileBytes, lane % 16, lane / 16);

    const float kNone = NEGATIVE_INFINITY;
    float o[2][HEAD_DIM / 8][4] = {}, m[2][2] = {{kNone, kNone}, {kNone, kNone}}, l[2][2] = {};
    const auto arrived = [] {                                  // all but the newest copies of every thread
        copy_wait<1>();
        __syncthreads();
    };
    Tokens keys = {0, -1};
    int nextBlock = 0;
    if (count > 0) {
        keys = tokens_of(work.offsets, list[0]);
        if (count > 1) nextBlock = list[1];
        copy_rows(to, source_of(work.q, work.qStrides, batch, head, thread), {start, start + rows - 1}, row, 0, 2 * kCopies);
        copy_rows(toK, k, keys, row, 0, kCopies);
        copy_commit();
        copy_rows(toK, k, keys, row, kCopies, 2 * kCopies);
        copy_rows(toV, v, keys, row, 0, kCopies);
        copy_commit();
        arrived();                                             // Q, which is read ahead of its keys from here on
    }

    for (int i = 0; i < count; ++i) {
        const Tokens next = tokens_of(work.offsets, nextBlock);
        const bool more = i + 1 < count;
        if (i + 2 < count) nextBlock = list[i + 2];
        const int tokens = keys.last + 1 - keys.first;
        float a[2][4][4], b[2][4][4], sum[2][2];
        u32 pa[2][2][4], pb[2][2][4];

        scores(a, fragmentQ, fragmentK, arrived, [&](int step) { copy_due(toV, v, keys, row, 1, step, kSteps); });
        copy_commit();
        if (tokens < kHalf) cut(a, tokens);

        scores(b, fragmentQ, fragmentK + kHalfBytes, arrived, [&](int step) { exponentials<kSteps>(pa, sum, a, m, scale, step); });
        if (tokens < kBlock) cut(b, tokens - kHalf);
        settle(pa, sum, o, m, l, fragmentQ, fragmentK, scale, tokens);

        // V_A came with K_B; the barrier is for K_A, which a renewal reads.
        weigh(o, pa, fragmentV, [] { __syncthreads(); }, [&](int part) {
            exponentials<2 * kSteps>(pb, sum, b, m, scale, part);
            if (more) copy_due(toK, k, next, row, 0, part, 2 * kSteps);
        });
        copy_commit();
        settle(pb, sum, o, m, l, fragmentQ, fragmentK + kHalfBytes, scale, tokens - kHalf);

        arrived();
        weigh(o, pb, fragmentV + kHalfBytes, Nothing(), [&](int part) {
            if (more && part < kSteps) copy_due(toK, k, next, row, 1, part, kSteps);
            if (more && part >= kSteps) copy_due(toV, v, next, row, 0, part - kSteps, kSteps);
        });
        copy_commit();
        keys = next;
    }
    copy_wait<0>();

    u16* out = work.out + batch * work.outStrides.batch + head * work.outStrides.head + start * work.outStrides.token;
#pragma unroll
    for (int t = 0; t < 2; ++t) {
        const int first = warp * kHalf + t * 16 + lane / 4, quad = lane % 4;
        const float l0 = quad_sum(l[t][0]), l1 = quad_sum(l[t][1]);
        const float r0 = l0 > 0 ? 1 / l0 : 0, r1 = l1 > 0 ? 1 / l1 : 0;
#pragma unroll
        for (int j = 0; j < HEAD_DIM / 32; ++j) {
            u32 low[4], high[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                low[i] = pack_elements(o[t][j * 4 + i][0] * r0, o[t][j * 4 + i][1] * r0);
                high[i] = pack_elements(o[t][j * 4 + i][2] * r1, o[t][j * 4 + i][3] * r1);
            }
            quad_transpose(low, quad);
            quad_transpose(high, quad);
            u16* column = out + j * 32 + quad * 8;
            if (first < rows) *(uint4*)(column + first * work.outStrides.token) = make_uint4(low[0], low[1], low[2], low[3]);
            if (first + 8 < rows) *(uint4*)(column + (first + 8) * work.outStrides.token) = make_uint4(high[0], high[1], high[2], high[3]);
        }
        if (work.lse != nullptr && quad == 0) {
            float* lse = work.lse + (i64)bh * work.tokens + start;
            if (first < rows) lse[first] = l0 > 0 ? (m[t][0] + __log2f(l0)) * kLn2 : NEGATIVE_INFINITY;
            if (first + 8 < rows) lse[first + 8] = l1 > 0 ? (m[t][1] + __log2f(l1)) * kLn2 : NEGATIVE_INFINITY;
        }
    }
}
