// Block-sparse attention in eight bits for sm_89 and newer: out = softmax(q kᵀ · scale) v over each query block's own list of key blocks, with
// S = q8 k8ᵀ in int8 (exact int32 sums) and P v8 in fp8 (E4M3) from what attention_quantize.cu made, by mma.sync.
//
// One thread block a query block of 1 to 64 tokens, four warps of 16 rows. Q stays in registers. A key block's tiles of K and V, which follow one
// another in memory as they lie in shared memory, are copied by cp.async into one of two stages while the other one is worked on:
//
//     S = q8 k8ᵀ   ·   P = 2^(S · f − m + kLift) · b, f = scale · log2(e) · (both blocks' scales)   ·   O += P v8
//
// b is what V was divided by in this block, mostly 1, and m is of logits to which log2(b) is added; a row sum is of P / b.
//
// A lane holds the same rows and columns of S, P and O as in block_attention8_sm90.cu, so what happens to rows is shared with it
// (block_attention8_rows.cuh). The tensor core's own sums of fp8 products keep about 14 bits, so they are of one key block: each starts
// from zero and is added to O in float32.
//
// queries, queryScales, keys, statistics   as attention_quantize.cu and attention_statistics.cu leave them
// out      bf16 (or fp16), strides in elements, rows 16-byte aligned; each row is written once, rounded from float32.
//          With FP8_ROWS fp8 (E4M3), as the next product reads it: out / s, s = (161/128) · max|v| / 448, `rowScales` gets s in each row
// lists    u16 [batch · heads, blocks, blocks]; `listHeadStride` 0 shares one head's lists among all
// counts   i32 [batch · heads, blocks], `countHeadStride` 0 likewise; offsets i32 [blocks + 1], first token of each block
// lse      float32 [batch · heads, tokens] or null: natural log of Σ exp(logit), of logits without k's mean
// V's mean, which is in no product, is added to each output; a query block with an empty list gets zeros and −∞.
// Grid (blocks, batch · heads), kAdaThreads threads, dynamic shared memory kAdaSharedBytes. HEAD_DIM is 128.
#include "ada.cuh"
#include "ampere.cuh"
#include "eight_bits.cuh"
#include "block_attention8_rows.cuh"

constexpr int kStageBytes = 2 * kTile8Bytes;                   // K, V
static_assert(2 * kStageBytes == kAdaSharedBytes, "shared memory");

struct Work {
    const u8 *queries, *keys;
    const float *queryScales, *statistics;
    u16* out;
    float* lse;
    const float* largestValue;   // FP8_ROWS: the largest |v|
    float* rowScales;            // FP8_ROWS: [batch, tokens]
    const u16* lists;
    const int* counts;
    const int* offsets;
    i64 outBatch, outHead, outToken, listHeadStride;
    int countHeadStride, heads, blocks, tokens;
    float scaleLog2;             // softmax scale · log2(e)
};

// A thread's share of a key block's tiles.
DEVICE void copy_tiles(u32 stage, const u8* key, int thread) {
#pragma unroll
    for (int i = 0; i < kStageBytes; i += kAdaThreads * 16) copy_piece(stage + i + thread * 16, key + i + thread * 16, true);
    copy_commit();
}

// A lane's part of 16 rows of Q's tile, from global memory.
DEVICE void load_queries(u32 (&q)[4][4], const u8* tile, int row, int quad) {
#pragma unroll
    for (int step = 0; step < 4; ++step) {
#pragma unroll
        for (int i = 0; i < 4; ++i) q[step][i] = *(const u32*)(tile + tile8_piece(row + i % 2 * 8, step * 4 + i / 2 * 2 + quad / 2) + quad % 2 * 4);
    }
}

// s = q kᵀ of 16 rows and 64 keys. Fragments of K are loaded kAhead of their products.
DEVICE void multiply_qk(int (&s)[32], const u32 (&q)[4][4], u32 fragmentK) {
    constexpr int kAhead = 2;
    u32 b[kAhead + 1][4];
#pragma unroll
    for (int part = -kAhead; part < 16; ++part) {
        const int next = part + kAhead;                        // 32 columns of the head, 16 keys
        if (next < 16) load_matrices(b[next % (kAhead + 1)], (fragmentK ^ next / 4 << 5) + next % 4 * 16 * 128);
        if (part < 0) continue;
        const u32 (&now)[4] = b[part % (kAhead + 1)];
        const int step = part / 4, tile = part % 4 * 2;
        if (step == 0) {
            multiply_int8<false>(s, tile, q[step], now[0], now[1]);
            multiply_int8<false>(s, tile + 1, q[step], now[2], now[3]);
        } else {
            multiply_int8<true>(s, tile, q[step], now[0], now[1]);
            multiply_int8<true>(s, tile + 1, q[step], now[2], now[3]);
        }
    }
}

// o += p v of 16 rows, 64 keys and 128 columns; the sums of 16 columns are added while those of the next ones are made.
DEVICE void multiply_pv(float (&o)[64], const u32 (&p)[2][4], u32 fragmentV) {
    u32 b[2][2][4];
    float d[2][8];
#pragma unroll
    for (int step = 0; step < 2; ++step) load_matrices(b[0][step], fragmentV ^ step << 5);
#pragma unroll
    for (int part = 0; part <= 8; ++part) {
        const int now = part % 2, next = 1 - now;
        if (part < 7) {
#pragma unroll
            for (int step = 0; step < 2; ++step) load_matrices(b[next][step], (fragmentV ^ step << 5) + (part + 1) * 16 * 64);
        }
        if (part < 8) {
            multiply_fp8<false>(d[now], 0, p[0], b[now][0][0], b[now][0][1]);
            multiply_fp8<false>(d[now], 1, p[0], b[now][0][2], b[now][0][3]);
            multiply_fp8<true>(d[now], 0, p[1], b[now][1][0], b[now][1][1]);
            multiply_fp8<true>(d[now], 1, p[1], b[now][1][2], b[now][1][3]);
        }
        if (part > 0) {
#pragma unroll
            for (int i = 0; i < 8; ++i) o[(part - 1) * 8 + i] += d[next][i];
        }
    }
}

extern "C" __global__ void __launch_bounds__(kAdaThreads, 3) block_attention8_sm89(const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    const u32 stages = shared_address(shared);
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp;
    const int row = warp * 16 + lane / 4, quad = lane % 4;
    const int block = blockIdx.x, bh = blockIdx.y;
    const int count = work.counts[bh * work.countHeadStride + block];
    const u16* list = work.lists + bh * work.listHeadStride + (i64)block * work.blocks;
    const u8* keys = work.keys + (i64)bh * work.blocks * kKeyPieceBytes;

    // Where the lanes' rows of a first fragment of 16 rows lie: each 16-byte piece of a warp's eight rows in other banks.
    const int fragmentRow = lane % 8 + lane / 16 * 8, fragmentPiece = lane / 8 % 2;
    const u32 fragmentK = stages + tile8_piece(fragmentRow, fragmentPiece * 2);
    const u32 fragmentV = stages + kTile8Bytes + tile8_values(fragmentRow, fragmentPiece);

    float o[64];
#pragma unroll
    for (int i = 0; i < 64; ++i) o[i] = 0;
    Row low, high;
    u32 q[4][4];
    float queryScale = 0;
    Factors ahead = {};
    int tokens = 0, next = 0;
    const auto fetch = [&](int stage, int block) {
        const u8* key = keys + (i64)block * kKeyPieceBytes;
        copy_tiles(stages + stage * kStageBytes, key, thread);
        const float4 of = *(const float4*)(key + kStageBytes);
        ahead = {of.x, of.y, of.z};
        tokens = work.offsets[block + 1] - work.offsets[block];
    };
    if (count > 0) {
        const i64 at = (i64)bh * work.blocks + block;
        fetch(0, list[0]);
        if (count > 1) next = list[1];
        queryScale = work.queryScales[at] * work.scaleLog2;
        load_queries(q, work.queries + at * kTile8Bytes, row, quad);
    }

    for (int i = 0; i < count; ++i) {
        const Factors of = ahead;
        const float f = queryScale * of.scale;
        const int keyTokens = tokens;
        const u32 stage = i % 2 * kStageBytes;
        copy_wait<0>();
        __syncthreads();                                       // this stage is there, and all are done with the other one
        if (i + 1 < count) {
            fetch((i + 1) % 2, next);
            if (i + 2 < count) next = list[i + 2];
        }

        int s[32];
        u32 p[2][4];
        float f0, f1;
        multiply_qk(s, q, fragmentK + stage);
        if (soften(s, low, high, f0, f1, keyTokens, f, of, quad * 2)) rescale(o, f0, f1);
        pack_weights(p, s);
        multiply_pv(o, p, fragmentV + stage);
    }
    low.sum = quad_sum(low.sum);
    high.sum = quad_sum(high.sum);
    store_output(work, o, low, high, bh, block, row, quad);
}
