// Gradients of block-sparse attention for Hopper: block_attention_backward_sm80.cu's formulas, sides and order, with the copy engine
// and wgmma.
//
// One warpgroup a thread block, and two thread blocks a multiprocessor: while one takes exponentials the other multiplies. Of a pair of
// blocks S = A₀ A₁ᵀ and dP = B₀ B₁ᵀ run together, the exponentials of S beside dP; then P and dS, rounded, multiply the partner's tiles
// from registers. The next partner's tiles arrive meanwhile.
//
// ownedA, ownedB, partnerA, partnerB   q, g, k, v (KEYS 0) or k, v, q, g (KEYS 1) through 5-D tensor maps as in block_attention_sm90.cu
// gradientA   dq (KEYS 0) or dk (KEYS 1), gradientB dv (KEYS 1): bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte
//          aligned; each row is written once, rounded from float32
// sums, bits, offsets   as in block_attention_backward_sm80.cu
// A block without partners gets zeros. Rows past a ragged block's end are read (they must be finite) but have no part in the result.
// Grid (blocks, batch · heads), kGradientThreads threads, dynamic shared memory 6 · 64 · HEAD_DIM elements + 2 KiB.
// Macros: HEAD_DIM (64 or 128), KEYS (0 or 1).
#include "block_attention_backward.cuh"
#include "hopper.cuh"

#ifndef KEYS
#define KEYS 0
#endif

constexpr int kHalfBytes = kBlock * 128;                       // 64 rows of 64 elements
constexpr u32 kPairBytes = 2 * kTileBytes;

struct Work {
    u16 *gradientA, *gradientB;
    const float2* sums;
    const u32* bits;
    const int* offsets;
    Strides gradientAStrides, gradientBStrides;
    i64 bitHeadStride;
    int heads, blocks, words, tokens;
    float scale, scaleLog2;      // softmax scale, and times log2(e)
};

// s[64 × 64] = one tile times another, both over the head's columns.
DEVICE void multiply_tiles(float (&s)[32], u64 rows, u64 columns) {
    wgmma_n64_shared<false>(s, rows, columns);
#pragma unroll
    for (int step = 1; step < HEAD_DIM / 16; ++step) {
        const int offset = (step / 4 * kHalfBytes + step % 4 * 32) >> 4;
        wgmma_n64_shared<true>(s, rows + offset, columns + offset);
    }
}

// sum[64 × HEAD_DIM] += a[64 × 64] times a tile.
DEVICE void accumulate(float (&sum)[HEAD_DIM / 2], const u32 (&a)[4][4], u64 tile) {
#pragma unroll
    for (int step = 0; step < 4; ++step) wgmma_transposed(sum, a[step], tile + (step * 2048 >> 4));
}

DEVICE void pack(u32 (&a)[4][4], const float (&s)[32]) {
#pragma unroll
    for (int i = 0; i < 16; ++i) a[i / 4][i % 4] = pack_elements(s[2 * i], s[2 * i + 1]);
}

extern "C" __global__ void __launch_bounds__(kGradientThreads, 2) block_attention_backward_sm90(
    const __grid_constant__ TensorMap mapOwnedA, const __grid_constant__ TensorMap mapOwnedB,
    const __grid_constant__ TensorMap mapPartnerA, const __grid_constant__ TensorMap mapPartnerB, const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    __shared__ u64 arrived[2];
    // Tiles lie at multiples of 1 KiB: the two owned, the partner's two twice, then the pairs.
    const u32 base = shared_address(shared), ownedA = (base + 1023) & ~1023u, partners = ownedA + kPairBytes;
    const u32 pairs = partners + 2 * kPairBytes;
    const int thread = threadIdx.x, lane = thread % kWarp, quad = lane % 4;
    const int block = blockIdx.x, bh = blockIdx.y, batch = bh / work.heads, head = bh % work.heads;
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    const int row = thread / kWarp * 16 + lane / 4;
    const float2* sums = work.sums + (i64)bh * work.tokens;

    if (thread == 0) {
        barrier_init(shared_address(&arrived[0]), 1);
        barrier_init(shared_address(&arrived[1]), 1);
        barrier_init_fence();
    }
    __syncthreads();

    const auto fetch = [&](const Span& span, int stage, bool first) {
        if (thread == 0) {
            const u32 full = shared_address(&arrived[stage]), tile = partners + stage * kPairBytes;
            barrier_expect(full, first ? 2 * kPairBytes : kPairBytes);
            if (first) {
                copy_box(ownedA, &mapOwnedA, full, 0, start, 0, head, batch);
                copy_box(ownedA + kTileBytes, &mapOwnedB, full, 0, start, 0, head, batch);
            }
            copy_box(tile, &mapPartnerA, full, 0, span.start, 0, head, batch);
            copy_box(tile + kTileBytes, &mapPartnerB, full, 0, span.start, 0, head, batch);
        }
        if (KEYS && thread < kBlock) {
            const bool there = thread < span.tokens;
            copy_pair(pairs + stage * kSums + thread * 8, sums + span.start + (there ? thread : 0), there);
        }
        copy_commit();
    };

    Partners list = {work.bits + bh * work.bitHeadStride + (i64)block * work.words, work.offsets, work.words, -1, 0};
    Span now = list.next();
    if (now.tokens > 0) fetch(now, 0, true);
    Span next = list.next();

    float sumA[HEAD_DIM / 2] = {};
#if KEYS
    float sumB[HEAD_DIM / 2] = {};
#else
    float2 own0 = make_float2(0, 0), own1 = make_float2(0, 0); // pairs of this lane's two queries
    if (row < rows) own0 = sums[start + row];
    if (row + 8 < rows) own1 = sums[start + row + 8];
#endif

    const u64 rowsA = matrix_descriptor(ownedA, 16, 1024), rowsB = rowsA + (kTileBytes >> 4);
    float p[32], d[32];
    u32 a[4][4];
#if KEYS
    u32 b[4][4];
#endif
    for (int stage = 0, parity = 0; now.tokens > 0; parity ^= stage, stage ^= 1) {
        // This partner is here, and all are done with the one before.
        barrier_wait(shared_address(&arrived[stage]), parity);
        copy_wait<0>();
        __syncthreads();
        if (next.tokens > 0) fetch(next, stage ^ 1, false);
        const Span after = list.next();

        const u32 tile = partners + stage * kPairBytes;
        const u64 columns = matrix_descriptor(tile, 16, 1024), depth = matrix_descriptor(tile, kHalfBytes, 1024);
        wgmma_pin(p);
        wgmma_pin(d);
        wgmma_fence();
        multiply_tiles(p, rowsA, columns);
        wgmma_commit();
        multiply_tiles(d, rowsB, columns + (kTileBytes >> 4));
        wgmma_commit();
        wgmma_wait<1>();
        wgmma_pin(p);
        if (now.tokens < kBlock) {
#pragma unroll
            for (int i = 0; i < 32; ++i) {
                if (i / 4 * 8 + quad * 2 + (i & 1) >= now.tokens) p[i] = NEGATIVE_INFINITY;
            }
        }
#if KEYS
        // Columns are queries.
        const float4* pair = (const float4*)(shared + (pairs - base) + stage * kSums) + quad;
#pragma unroll
        for (int i = 0; i < 32; i += 4) {
            const float4 two = pair[i];
            p[i] = exp2_approx(fmaf(p[i], work.scaleLog2, -two.x));
            p[i + 1] = exp2_approx(fmaf(p[i + 1], work.scaleLog2, -two.z));
            p[i + 2] = exp2_approx(fmaf(p[i + 2], work.scaleLog2, -two.x));
            p[i + 3] = exp2_approx(fmaf(p[i + 3], work.scaleLog2, -two.z));
        }
        wgmma_wait<0>();
        wgmma_pin(d);
        pack(b, p);
#pragma unroll
        for (int i = 0; i < 32; i += 4) {
            const float4 two = pair[i];
            p[i] *= d[i] - two.y;
            p[i + 1] *= d[i + 1] - two.w;
            p[i + 2] *= d[i + 2] - two.y;
            p[i + 3] *= d[i + 3] - two.w;
        }
#else
#pragma unroll
        for (int i = 0; i < 32; i += 4) {
            p[i] = exp2_approx(fmaf(p[i], work.scaleLog2, -own0.x));
            p[i + 1] = exp2_approx(fmaf(p[i + 1], work.scaleLog2, -own0.x));
            p[i + 2] = exp2_approx(fmaf(p[i + 2], work.scaleLog2, -own1.x));
            p[i + 3] = exp2_approx(fmaf(p[i + 3], work.scaleLog2, -own1.x));
        }
        wgmma_wait<0>();
        wgmma_pin(d);
#pragma unroll
        for (int i = 0; i < 32; i += 4) {
            p[i] *= d[i] - own0.y;
            p[i + 1] *= d[i + 1] - own0.y;
            p[i + 2] *= d[i + 2] - own1.y;
            p[i + 3] *= d[i + 3] - own1.y;
        }
#endif
        pack(a, p);
        wgmma_pin(sumA);
#if KEYS
        wgmma_pin(sumB);
#endif
        wgmma_fence();
#if KEYS
        accumulate(sumB, b, depth + (kTileBytes >> 4));
#endif
        accumulate(sumA, a, depth);
        wgmma_commit();
        wgmma_wait<0>();
        wgmma_pin(sumA);
#if KEYS
        wgmma_pin(sumB);
#endif
        now = next;
        next = after;
    }

    u16* out = work.gradientA + batch * work.gradientAStrides.batch + head * work.gradientAStrides.head;
    store_gradient(out + start * work.gradientAStrides.token, work.gradientAStrides.token, sumA, work.scale, row, rows, quad);
#if KEYS
    out = work.gradientB + batch * work.gradientBStrides.batch + head * work.gradientBStrides.head;
    store_gradient(out + start * work.gradientBStrides.token, work.gradientBStrides.token, sumB, 1, row, rows, quad);
#endif
}
