// Attention to a few keys for Hopper, the last of which stands for several that are equal: a prompt's tokens and its padding.
//
//     out = Σ w_j v_j / Σ w_j      ·      w_j = c_j exp(q · k_j · scale), c = 1 but for the last key's `copies`
//
// All keys and values of a head lie in shared memory. The thread blocks share all tiles (batch · head, 64 tokens) out in equal runs, so that each
// meets one or two heads; its warpgroups take the run's tiles by turns, each with two tiles of Q of its own in flight, and do not wait for each other.
//
// With `inverse` each row of Q counts times its number there: RMSNorm, whose weight is in the keys then.
//
// q, k, v  bf16 (or fp16) through 5-D tensor maps as block_attention_sm90.cu has them, zeros past the end
// out      same type, strides in elements, rows 16-byte aligned; rounded once from float32
//          With FP8_ROWS fp8 (E4M3), as the next product reads it: out / s, s = most / 448 (1 where it is 0), rowScales [batch, tokens] get s in each
//          row. A mean of values is no larger than the largest of them, and what it is smaller by costs an eight-bit float nothing.
// inverse  float32 [batch, tokens] or null: 1
// most     float32, max |v| over all batches and heads, with FP8_ROWS
// Grid: as many thread blocks as multiprocessors; kTextThreads threads.
// Macros: HEAD_DIM (64 or 128), KEYS (a multiple of 64 up to 256: at least as many as there are keys, and less than 64 more),
// FP8_ROWS.
#include "block_attention_rows.cuh"
#ifdef FP8_ROWS
#include "eight_bits.cuh"
typedef u8 Output;
#else
typedef u16 Output;
#endif

#ifndef KEYS
#define KEYS 128
#endif

constexpr int kGroups = kTextThreads / kWarpgroup;
constexpr int kPieces = KEYS / 64;                             // of 64 keys
constexpr int kAhead = kTextAhead;                             // tiles of Q of a warpgroup

struct Barriers {
    u64 keysFull, queryFull[kGroups][kAhead];
};

struct Work {
    Output* out;
    const float *most, *inverse;
    float* rowScales;
    i64 outBatch, outHead, outToken;
    int heads, tokens, keys, tiles, total;                     // tiles of a head, of all
    float scaleLog2, copiesLog2;                               // softmax scale · log2(e), log2(copies)
};

// The weights of a tile's last piece: its last key's logit grows by the logarithm of its copies, and there are none behind it.
DEVICE void count_copies(float (&s)[32], int last, float more0, float more1, int column) {
#pragma unroll
    for (int i = 0; i < 32; ++i) {
        const int at = i / 4 * 8 + (i & 1) + column;
        if (at == last) s[i] += i & 2 ? more1 : more0;
        if (at > last) s[i] = NEGATIVE_INFINITY;
    }
}

#ifdef FP8_ROWS
// As store_rows, times `factor`.
DEVICE void store_codes(const float (&o)[HEAD_DIM / 2], float l0, float l1, float factor, u8* out, i64 outToken, int rows, int row, int quad) {
    const float r0 = factor / l0, r1 = factor / l1;
#pragma unroll
    for (int j = 0; j < HEAD_DIM / 64; ++j) {
        // Word i: columns 2 quad and 2 quad + 1 of columns 8 (2 i) and 8 (2 i + 1) onwards.
        u32 words0[4], words1[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int at = (j * 8 + i * 2) * 4;
            words0[i] = pack_fp8(o[at] * r0, o[at + 1] * r0, o[at + 4] * r0, o[at + 5] * r0);
            words1[i] = pack_fp8(o[at + 2] * r1, o[at + 3] * r1, o[at + 6] * r1, o[at + 7] * r1);
        }
        quad_transpose(words0, quad);
        quad_transpose(words1, quad);
        const int column = j * 64 + quad * 16;
        if (row < rows) *(uint4*)(out + row * outToken + column) = join_codes(words0);
        if (row + 8 < rows) *(uint4*)(out + (row + 8) * outToken + column) = join_codes(words1);
    }
}
#endif

DEVICE void group_sync(int group) { asm volatile("bar.sync %0, %1;" ::"r"(group + 1), "n"(kWarpgroup) : "memory"); }

extern "C" __global__ void __launch_bounds__(kTextThreads, 1) text_attention_sm90(
    const __grid_constant__ TensorMap mapQ, const __grid_constant__ TensorMap mapK, const __grid_constant__ TensorMap mapV,
    const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    __shared__ Barriers barriers;
    const u32 keys = (shared_address(shared) + 1023) & ~1023u, values = keys + kPieces * kTileBytes;
    const int thread = threadIdx.x, lane = thread % kWarp, group = __shfl_sync(kAllLanes, thread / kWarpgroup, 0);
    const u32 queries = values + kPieces * kTileBytes + group * kAhead * kTileBytes;
    const bool leads = thread % kWarpgroup == 0;
    const int row = thread % kWarpgroup / kWarp * 16 + lane / 4, quad = lane % 4;
    const u32 keysFull = shared_address(&barriers.keysFull), queryFull = shared_address(&barriers.queryFull[group][0]);

    if (thread == 0) {
        barrier_init(keysFull, 1);
        for (int i = 0; i < kGroups * kAhead; ++i) barrier_init(shared_address(&barriers.queryFull[0][0]) + i * 8, 1);
        barrier_init_fence();
    }
    __syncthreads();

    const u64 k = matrix_descriptor(keys, 16, 1024), v = matrix_descriptor(values, kHalfBytes, 1024);
    const int last = (int)((blockIdx.x + 1ll) * work.total / gridDim.x);
    const int lastKey = work.keys - 1 - (kPieces - 1) * 64;
    const float scale = work.scaleLog2;
#ifdef FP8_ROWS
    const float most = *work.most;
#endif
    int at = (int)((i64)blockIdx.x * work.total / gridDim.x);
    u32 keysParity = 0;
    Ring<kAhead> ring;
    while (at < last) {
        const int bh = at / work.tiles, end = min(last, (bh + 1) * work.tiles), begin = bh * work.tiles;
        const int batch = bh / work.heads, head = bh % work.heads;
        const auto ask = [&](int tile, int stage) {
            if (!leads || tile >= end) return;
            barrier_expect(queryFull + stage * 8, kTileBytes);
            copy_box(queries + stage * kTileBytes, &mapQ, queryFull + stage * 8, 0, (tile - begin) * 64, 0, head, batch);
        };
        __syncthreads();                                       // the products with the head before are done
        if (thread == 0) {
            barrier_expect(keysFull, 2 * kPieces * kTileBytes);
            for (int i = 0; i < kPieces; ++i) {
                copy_box(keys + i * kTileBytes, &mapK, keysFull, 0, i * 64, 0, head, batch);
                copy_box(values + i * kTileBytes, &mapV, keysFull, 0, i * 64, 0, head, batch);
            }
        }
        int tile = at + group;
        {
            Ring<kAhead> next = ring;
            for (int i = 0; i < kAhead; ++i, next.advance()) ask(tile + i * kGroups, next.stage);
        }
        // A tile's factors come a tile ahead, too.
        const float* inverse = work.inverse + (i64)batch * work.tokens;
        const auto factors_of = [&](int next) {
            const int token = (next - begin) * 64 + row;
            const bool there = work.inverse != nullptr && next < end;
            return make_float2(there && token < work.tokens ? inverse[token] : 1, there && token + 8 < work.tokens ? inverse[token + 8] : 1);
        };
        float2 factors = factors_of(tile);
        barrier_wait(keysFull, keysParity);
        keysParity ^= 1;

        for (; tile < end; tile += kGroups) {
            float o[HEAD_DIM / 2], s[32];
            u32 p[4][4];
            float m0 = NEGATIVE_INFINITY, m1 = NEGATIVE_INFINITY, l0 = 0, l1 = 0, f0 = 0, f1 = 0;
#pragma unroll
            for (int i = 0; i < HEAD_DIM / 2; ++i) o[i] = 0;
            barrier_wait(queryFull + ring.stage * 8, ring.parity);
            const int first = (tile - begin) * 64;
            const float scale0 = scale * factors.x, scale1 = scale * factors.y;
            factors = factors_of(tile + kGroups);
            const u64 q = matrix_descriptor(queries + ring.stage * kTileBytes, 16, 1024);

            wgmma_pin(s);
            wgmma_fence();
            multiply_qk(s, q, k);
            wgmma_commit();
            wgmma_wait<0>();
            wgmma_pin(s);
#pragma unroll
            for (int i = 0; i < kPieces; ++i) {
                if (i + 1 == kPieces) {
                    group_sync(group);                         // all have read Q
                    ask(tile + kAhead * kGroups, ring.stage);
                    count_copies(s, lastKey, work.copiesLog2 * reciprocal_approx(scale0), work.copiesLog2 * reciprocal_approx(scale1), quad * 2);
                }
                if (soften<0>(s, m0, m1, l0, l1, f0, f1, scale0, scale1)) rescale(o, f0, f1);
                pack_weights(p, s);
                wgmma_pin(s);
                wgmma_pin(o);
                wgmma_fence();
                if (i + 1 < kPieces) {
                    multiply_qk(s, q, k + (i + 1) * (kTileBytes >> 4));
                    wgmma_commit();
                }
                multiply_pv(o, p, v + i * (kTileBytes >> 4));
                wgmma_commit();
                wgmma_wait<0>();
                wgmma_pin(s);
                wgmma_pin(o);
            }
            ring.advance();

            const int rows = min(64, work.tokens - first);
            Output* out = work.out + batch * work.outBatch + head * work.outHead + first * work.outToken;
#ifdef FP8_ROWS
            store_codes(o, quad_sum(l0), quad_sum(l1), fp8_factor(most), out, work.outToken, rows, row, quad);
            if (head == 0 && thread % kWarpgroup < rows) work.rowScales[(i64)batch * work.tokens + first + thread % kWarpgroup] = fp8_scale(most);
#else
            store_rows(o, quad_sum(l0), quad_sum(l1), out, work.outToken, rows, row, quad);
#endif
        }
        at = end;
    }
}
