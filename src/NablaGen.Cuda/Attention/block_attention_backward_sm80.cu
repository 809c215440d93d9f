// Gradients of block-sparse attention for sm_80 and newer. With S = q kᵀ · scale, the weights P = e^(S − lse), dP = g vᵀ and
// dS = P ∘ (dP − c), where c_i = Σ_d out_id g_id is a query's row sum:
//
//     dq = scale · dS k      ·      dk = scale · dSᵀ q      ·      dv = Pᵀ g
//
// A launch serves one side. KEYS 0: a thread block owns a query block and walks over the key blocks of its row of the mask, for dq.
// KEYS 1: it owns a key block and walks over the query blocks of its row of the transposed mask, for dk and dv. S is computed in
// both, and nothing is added up in memory: each gradient is written once, and always the same.
//
// The two tiles owned (q and g, or k and v) stay in shared memory; the partner's two (k and v, or q and g) have two buffers each,
// filled by cp.async while the other two are at work. Each warp takes 16 of the 64 rows owned, so that S, P and dS go from one product
// to the next in registers.
//
// ownedA, ownedB, partnerA, partnerB   q, g, k, v (KEYS 0) or k, v, q, g (KEYS 1); g is the output's gradient. bf16 (or fp16), strides
//          in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// gradientA   dq (KEYS 0) or dk (KEYS 1), gradientB dv (KEYS 1): the same; each row is written once, rounded from float32
// sums     float32 pairs [batch · heads, tokens]: lse · log2(e) and c, as attention_backward_sums writes them
// bits     u32 [batch · heads, blocks, words]: bit j % 32 of word j / 32 in row i says that block i owned meets partner j;
//          `bitHeadStride` 0 shares one head's rows among all
// offsets  i32 [blocks + 1], first token of each block; 1 to 64 tokens a block
// A block without partners gets zeros.
// Grid (blocks, batch · heads), kGradientThreads threads, dynamic shared memory 6 · 64 · HEAD_DIM elements + 1 KiB.
// Macros: HEAD_DIM (64 or 128), KEYS (0 or 1).
#include "block_attention_backward.cuh"

#ifndef KEYS
#define KEYS 0
#endif


struct Work {
    const u16 *ownedA, *ownedB, *partnerA, *partnerB;
    u16 *gradientA, *gradientB;
    const float2* sums;
    const u32* bits;
    const int* offsets;
    Strides ownedAStrides, ownedBStrides, partnerAStrides, partnerBStrides, gradientAStrides, gradientBStrides;
    i64 bitHeadStride;
    int heads, blocks, words, tokens;
    float scale, scaleLog2;      // softmax scale, and times log2(e)
};

// s[16 × 64] = the warp's 16 rows of one tile times another tile, both over the head's columns.
DEVICE void multiply_tiles(float (&s)[8][4], u32 rows, u32 columns) {
#pragma unroll
    for (int j = 0; j < 8; ++j) s[j][0] = s[j][1] = s[j][2] = s[j][3] = 0;
#pragma unroll
    for (int step = 0; step < HEAD_DIM / 16; ++step) {
        u32 a[4];
        load_matrices(a, rows ^ step << 5);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            u32 b[4];
            load_matrices(b, (columns ^ step << 5) + j * 16 * kRowBytes);
            multiply(s[2 * j], a, b[0], b[1]);
            multiply(s[2 * j + 1], a, b[2], b[3]);
        }
    }
}

// sum[16 × HEAD_DIM] += s[16 × 64], rounded, times a tile.
DEVICE void accumulate(float (&sum)[HEAD_DIM / 8][4], const float (&s)[8][4], u32 tile) {
#pragma unroll
    for (int step = 0; step < 4; ++step) {
        const u32 a[4] = {pack_elements(s[2 * step][0], s[2 * step][1]), pack_elements(s[2 * step][2], s[2 * step][3]),
                          pack_elements(s[2 * step + 1][0], s[2 * step + 1][1]), pack_elements(s[2 * step + 1][2], s[2 * step + 1][3])};
#pragma unroll
        for (int j = 0; j < HEAD_DIM / 16; ++j) {
            u32 b[4];
            load_matrices_transposed(b, (tile ^ j << 5) + step * 16 * kRowBytes);
            multiply(sum[2 * j], a, b[0], b[1]);
            multiply(sum[2 * j + 1], a, b[2], b[3]);
        }
    }
}

extern "C" __global__ void __launch_bounds__(kGradientThreads, HEAD_DIM == 128 ? 2 : 3) block_attention_backward_sm80(
    const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    const u32 ownedA = shared_address(shared), ownedB = ownedA + kTileBytes;
    const u32 partners = ownedB + kTileBytes, pairs = partners + 4 * kTileBytes;
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp, quad = lane % 4;
    const int block = blockIdx.x, bh = blockIdx.y;
    const int batch = bh / work.heads, head = bh % work.heads;
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    const int row = warp * 16 + lane / 4;
    const u16* partnerA = work.partnerA + batch * work.partnerAStrides.batch + head * work.partnerAStrides.head;
    const u16* partnerB = work.partnerB + batch * work.partnerBStrides.batch + head * work.partnerBStrides.head;
    const float2* sums = work.sums + (i64)bh * work.tokens;

    const auto fetch = [&](const Span& span, int stage) {
        const u32 tile = partners + stage * 2 * kTileBytes;
        copy_tile<kGradientThreads>(tile, partnerA + span.start * work.partnerAStrides.token, work.partnerAStrides.token, span.tokens, thread);
        copy_tile<kGradientThreads>(
            tile + kTileBytes, partnerB + span.start * work.partnerBStrides.token, work.partnerBStrides.token, span.tokens, thread);
        if (KEYS && thread < kBlock) {
            const bool there = thread < span.tokens;
            copy_pair(pairs + stage * kSums + thread * 8, sums + span.start + (there ? thread : 0), there);
        }
    };

    Partners list = {work.bits + bh * work.bitHeadStride + (i64)block * work.words, work.offsets, work.words, -1, 0};
    Span now = list.next();
    if (now.tokens > 0) {
        const u16* a = work.ownedA + batch * work.ownedAStrides.batch + head * work.ownedAStrides.head;
        const u16* b = work.ownedB + batch * work.ownedBStrides.batch + head * work.ownedBStrides.head;
        copy_tile<kGradientThreads>(ownedA, a + start * work.ownedAStrides.token, work.ownedAStrides.token, rows, thread);
        copy_tile<kGradientThreads>(ownedB, b + start * work.ownedBStrides.token, work.ownedBStrides.token, rows, thread);
        fetch(now, 0);
    }
    copy_commit();

    float sumA[HEAD_DIM / 8][4] = {};
#if KEYS
    float sumB[HEAD_DIM / 8][4] = {};
#else
    float2 own0 = make_float2(0, 0), own1 = make_float2(0, 0); // pairs of this lane's two queries
    if (row < rows) own0 = sums[start + row];
    if (row + 8 < rows) own1 = sums[start + row + 8];
#endif

    const u32 rowsA = piece(ownedA, warp * 16 + lane % 16, lane / 16), rowsB = rowsA + kTileBytes;
    Span next = list.next();
    for (int stage = 0; now.tokens > 0; stage ^= 1) {
        // This partner is here, and all are done with the one before.
        copy_wait<0>();
        __syncthreads();
        if (next.tokens > 0) fetch(next, stage ^ 1);
        copy_commit();
        const Span after = list.next();

        const u32 tileA = partners + stage * 2 * kTileBytes;
        const u32 columns = piece(tileA, lane % 8 + lane / 16 * 8, lane / 8 % 2), depth = piece(tileA, lane % 16, lane / 16);
        float p[8][4], d[8][4];
        multiply_tiles(p, rowsA, columns);
#if KEYS
        // Columns are queries. Past a ragged block's end q, g and the pairs are zeros, so nothing is added there.
        const float4* pair = (const float4*)(shared + 6 * kTileBytes + stage * kSums) + quad;
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            const float4 two = pair[j * 4];
            p[j][0] = exp2_approx(fmaf(p[j][0], work.scaleLog2, -two.x));
            p[j][1] = exp2_approx(fmaf(p[j][1], work.scaleLog2, -two.z));
            p[j][2] = exp2_approx(fmaf(p[j][2], work.scaleLog2, -two.x));
            p[j][3] = exp2_approx(fmaf(p[j][3], work.scaleLog2, -two.z));
        }
        accumulate(sumB, p, depth + kTileBytes);
        multiply_tiles(d, rowsB, columns + kTileBytes);
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            const float4 two = pair[j * 4];
            p[j][0] *= d[j][0] - two.y;
            p[j][1] *= d[j][1] - two.w;
            p[j][2] *= d[j][2] - two.y;
            p[j][3] *= d[j][3] - two.w;
        }
#else
        // Columns are keys; those past a ragged block's end get the weight 0.
        if (now.tokens < kBlock) {
#pragma unroll
            for (int j = 0; j < 8; ++j) {
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    if (j * 8 + quad * 2 + (e & 1) >= now.tokens) p[j][e] = NEGATIVE_INFINITY;
                }
            }
        }
        multiply_tiles(d, rowsB, columns + kTileBytes);
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            p[j][0] = exp2_approx(fmaf(p[j][0], work.scaleLog2, -own0.x)) * (d[j][0] - own0.y);
            p[j][1] = exp2_approx(fmaf(p[j][1], work.scaleLog2, -own0.x)) * (d[j][1] - own0.y);
            p[j][2] = exp2_approx(fmaf(p[j][2], work.scaleLog2, -own1.x)) * (d[j][2] - own1.y);
            p[j][3] = exp2_approx(fmaf(p[j][3], work.scaleLog2, -own1.x)) * (d[j][3] - own1.y);
        }
#endif
        accumulate(sumA, p, depth);
        now = next;
        next = after;
    }

    u16* out = work.gradientA + batch * work.gradientAStrides.batch + head * work.gradientAStrides.head;
    store_gradient(out + start * work.gradientAStrides.token, work.gradientAStrides.token, &sumA[0][0], work.scale, row, rows, quad);
#if KEYS
    out = work.gradientB + batch * work.gradientBStrides.batch + head * work.gradientBStrides.head;
    store_gradient(out + start * work.gradientBStrides.token, work.gradientBStrides.token, &sumB[0][0], 1, row, rows, quad);
#endif
}
