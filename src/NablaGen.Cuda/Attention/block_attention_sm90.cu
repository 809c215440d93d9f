// Block-sparse attention for Hopper: out = softmax(q kᵀ · scale) v over each query block's own list of key blocks.
//
// Tokens lie in blocks of 1 to 64 (`offsets`); query blocks are taken kQueryBlocks at a time (attention_groups.cu) by one thread block, one a consumer
// warpgroup, and share the stream of key blocks that attention_plan.cu made. A producer warp keeps kStages key blocks (K and V)
// in flight with the copy engine; each consumer computes, for its own entries,
//
//     S = Q Kᵀ (wgmma, both from shared memory)   ·   P = 2^(S·scale − m)   ·   O += P V (wgmma, P from registers)
//
// with Q Kᵀ of one entry in flight together with P V of the one before. The running maximum m moves only when some logit of the
// warp exceeds it by more than 2^8, so that O is rarely rescaled; the result is the same quotient.
//
// q, k, v  bf16 (or fp16) through 5-D tensor maps: (64 columns, token, half of the head size, head, batch), box (64, 64, halves,
//          1, 1), 128-byte swizzle, zeros past the end. Any token, head and batch strides that are multiples of 16 bytes.
// out      same type, strides in elements, rows 16-byte aligned; each row is written once, rounded from float32.
// lse      float32 [batch · heads, tokens] or null: natural log of Σ exp(logit).
// A query block with an empty list gets zeros and −∞. Rows past a ragged block's end are read (they must be finite) but have
// no part in the result.
// Grid: as many thread blocks as multiprocessors; tiles (batch · head, group) are drawn from `tileCounter` (zero at launch), in `order`.
// Macro: HEAD_DIM (64 or 128).
#include "block_attention_rows.cuh"

constexpr int kStages = HEAD_DIM == 128 ? kWideHeadStages : kNarrowHeadStages;
constexpr int kStageBytes = 2 * kTileBytes;                    // K, then V
constexpr u32 kKeyMask = (1u << kEntryKeyBits) - 1;
constexpr int kConsumerRegisters = kQueryBlocks == 3 ? 160 : 240;
constexpr int kProducerRegisters = kQueryBlocks == 3 ? 32 : 24;
constexpr int kSlack = 8;                                      // log2 of how far a logit may exceed m before m moves
constexpr int kHold = 2;                                       // entries that a P V may wait for the next own entry

struct Barriers {
    u64 stageFull[kStages], stageEmpty[kStages];
    u64 queryFull[kQueryBlocks], queryEmpty[kQueryBlocks];
    u64 tileFull[2], tileEmpty[2];
    int tile[2];
};

struct Work {
    const int* members;          // [batch · heads, groups, kQueryBlocks]
    const u32* entries;          // [batch · heads, groups, blocks]
    const int* entryCounts;      // [batch · heads, groups]
    const int* order;            // the same: tiles, as attention_order.cu has them
    const int* offsets;          // [blocks + 1]
    int* tileCounter;
    u16* out;
    float* lse;
    i64 outBatch, outHead, outToken;
    int heads, blocks, groups, tiles, tokens;
    float scaleLog2;             // softmax scale · log2(e)
};

// A position in the ring of stages.
DEVICE void produce(const TensorMap* mapQ, const TensorMap* mapK, const TensorMap* mapV, const Work& work, Barriers* barriers,
                    u32 queryTiles, u32 stages, int lane) {
    Ring<kStages> ring;
    u32 tileParity = 0;
    for (int turn = 0;; turn ^= 1) {
        int tile = 0;
        if (lane == 0) {
            tile = atomicAdd(work.tileCounter, 1);
            if (tile < work.tiles) tile = work.order[tile];
            barrier_wait(shared_address(&barriers->tileEmpty[turn]), tileParity ^ 1);
            barriers->tile[turn] = tile;
            barrier_arrive(shared_address(&barriers->tileFull[turn]));
        }
        tile = __shfl_sync(kAllLanes, tile, 0);
        if (tile >= work.tiles) return;
        const int bh = tile / work.groups;
        const int batch = bh / work.heads, head = bh % work.heads;

        // Each tile is one phase of the query barriers; a turn of two tiles is one phase of the tile barriers.
        const u32 queryParity = turn;
        const int entries = work.entryCounts[tile];
        if (lane < kQueryBlocks) {
            const int block = work.members[tile * kQueryBlocks + lane];
            const u32 full = shared_address(&barriers->queryFull[lane]);
            barrier_wait(shared_address(&barriers->queryEmpty[lane]), queryParity ^ 1);
            if (block < work.blocks && entries > 0) {
                barrier_expect(full, kTileBytes);
                copy_box(queryTiles + lane * kTileBytes, mapQ, full, 0, work.offsets[block], 0, head, batch);
            } else {
                barrier_arrive(full);
            }
        }
        __syncwarp();

        const u32* list = work.entries + (i64)tile * work.blocks;
        for (int base = 0; base < entries; base += kWarp) {
            int start = 0;
            if (base + lane < entries) start = work.offsets[list[base + lane] & kKeyMask];
            const int many = min(kWarp, entries - base);
            for (int i = 0; i < many; ++i) {
                const int token = __shfl_sync(kAllLanes, start, i);
                if (lane == 0) {
                    const u32 full = shared_address(&barriers->stageFull[ring.stage]);
                    barrier_wait(shared_address(&barriers->stageEmpty[ring.stage]), ring.parity ^ 1);
                    barrier_expect(full, kStageBytes);
                    const u32 destination = stages + ring.stage * kStageBytes;
                    copy_box(destination, mapK, full, 0, token, 0, head, batch);
                    copy_box(destination + kTileBytes, mapV, full, 0, token, 0, head, batch);
                }
                __syncwarp();
                ring.advance();
            }
        }
        if (turn == 1) tileParity ^= 1;
    }
}

// P V of the held entry by itself, and its stage goes back to the producer.
DEVICE void finish_held(float (&o)[HEAD_DIM / 2], const u32 (&p)[4][4], u64 v, u32 empty, int lane) {
    wgmma_pin(o);
    wgmma_fence();
    multiply_pv(o, p, v);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_pin(o);
    if (lane == 0) barrier_arrive(empty);
}

// Divides by the row sums and writes the rows that the block has.
DEVICE void store_output(const Work& work, float (&o)[HEAD_DIM / 2], float m0, float m1, float l0, float l1, int bh, int block,
                         int row, int quad) {
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    l0 = quad_sum(l0);
    l1 = quad_sum(l1);
    store_rows(o, l0, l1, work.out + bh / work.heads * work.outBatch + bh % work.heads * work.outHead + start * work.outToken, work.outToken, rows, row, quad);
    if (work.lse != nullptr && quad == 0) {
        float* lse = work.lse + (i64)bh * work.tokens + start;
        if (row < rows) lse[row] = l0 > 0 ? (m0 + __log2f(l0)) * kLn2 : NEGATIVE_INFINITY;
        if (row + 8 < rows) lse[row + 8] = l1 > 0 ? (m1 + __log2f(l1)) * kLn2 : NEGATIVE_INFINITY;
    }
}

DEVICE void consume(const Work& work, Barriers* barriers, u32 queryTile, u32 stages, int which, int thread) {
    const int lane = thread % kWarp, warp = thread / kWarp;
    const int row = warp * 16 + lane / 4, quad = lane % 4;
    const float scale = work.scaleLog2;
    const u64 q = matrix_descriptor(queryTile, 16, 1024);
    const u64 k = matrix_descriptor(stages, 16, 1024);
    const u64 v = matrix_descriptor(stages + kTileBytes, kHalfBytes, 1024);
    const u32 full = shared_address(&barriers->stageFull[0]), empty = shared_address(&barriers->stageEmpty[0]);

    Ring<kStages> ring;
    u32 tileParity = 0;
    for (int turn = 0;; turn ^= 1) {
        barrier_wait(shared_address(&barriers->tileFull[turn]), tileParity);
        const int tile = barriers->tile[turn];
        barrier_arrive(shared_address(&barriers->tileEmpty[turn]));
        if (tile >= work.tiles) return;
        const int bh = tile / work.groups;
        const int block = work.members[tile * kQueryBlocks + which];

        float o[HEAD_DIM / 2], s[32];
        u32 p[4][4];
        float m0 = NEGATIVE_INFINITY, m1 = NEGATIVE_INFINITY, l0 = 0, l1 = 0, f0 = 0, f1 = 0;
#pragma unroll
        for (int i = 0; i < HEAD_DIM / 2; ++i) o[i] = 0;

        barrier_wait(shared_address(&barriers->queryFull[which]), turn);
        const int entries = work.entryCounts[tile];
        const u32* list = work.entries + (i64)tile * work.blocks;
        int held = -1, heldAt = 0;                             // the stage whose P V is still to do, and its entry
        u32 chunk = 0, next = lane < entries ? list[lane] : 0;
        for (int i = 0; i < entries; ++i) {
            if (i % kWarp == 0) {
                chunk = next;
                const int ahead = i + kWarp + lane;
                next = ahead < entries ? list[ahead] : 0;
            }
            const u32 entry = __shfl_sync(kAllLanes, chunk, i % kWarp);
            const int stage = ring.stage;
            barrier_wait(full + stage * 8, ring.parity);
            ring.advance();

            if (!(entry >> (kEntryKeyBits + which) & 1)) {                // for another query block
                if (lane == 0) barrier_arrive(empty + stage * 8);
                if (held >= 0 && i + 1 - heldAt > kHold) {
                    finish_held(o, p, v + held * (kStageBytes >> 4), empty + held * 8, lane);
                    held = -1;
                }
                continue;
            }

            const int tokens = (int)(entry >> kEntryTokensBit) + 1;
            if (held >= 0) {
                wgmma_pin(s);
                wgmma_pin(o);
                wgmma_fence();
                multiply_qk(s, q, k + stage * (kStageBytes >> 4));
                wgmma_commit();
                multiply_pv(o, p, v + held * (kStageBytes >> 4));
                wgmma_commit();
                wgmma_wait<1>();
                wgmma_pin(s);
                if (tokens < kBlock) cut_columns(s, tokens, quad * 2);
                const bool moved = soften<kSlack>(s, m0, m1, l0, l1, f0, f1, scale, scale);
                wgmma_wait<0>();
                wgmma_pin(o);
                if (lane == 0) barrier_arrive(empty + held * 8);
                if (moved) rescale(o, f0, f1);
            } else {
                wgmma_pin(s);
                wgmma_fence();
                multiply_qk(s, q, k + stage * (kStageBytes >> 4));
                wgmma_commit();
                wgmma_wait<0>();
                wgmma_pin(s);
                if (tokens < kBlock) cut_columns(s, tokens, quad * 2);
                if (soften<kSlack>(s, m0, m1, l0, l1, f0, f1, scale, scale)) rescale(o, f0, f1);
            }
            pack_weights(p, s);
            held = stage;
            heldAt = i;
        }
        if (lane == 0) barrier_arrive(shared_address(&barriers->queryEmpty[which]));
        if (held >= 0) finish_held(o, p, v + held * (kStageBytes >> 4), empty + held * 8, lane);

        if (block < work.blocks) store_output(work, o, m0, m1, l0, l1, bh, block, row, quad);
        if (turn == 1) tileParity ^= 1;
    }
}

extern "C" __global__ void __launch_bounds__(kHopperThreads, 1) block_attention_sm90(
    const __grid_constant__ TensorMap mapQ, const __grid_constant__ TensorMap mapK, const __grid_constant__ TensorMap mapV,
    const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    __shared__ Barriers barriers;
    const u32 queryTiles = (shared_address(shared) + 1023) & ~1023u;
    const u32 stages = queryTiles + kQueryBlocks * kTileBytes;
    const int thread = threadIdx.x, lane = thread % kWarp;

    if (thread == 0) {
        for (int i = 0; i < kStages; ++i) {
            barrier_init(shared_address(&barriers.stageFull[i]), 1);
            barrier_init(shared_address(&barriers.stageEmpty[i]), kQueryBlocks * 4);
        }
        for (int i = 0; i < kQueryBlocks; ++i) {
            barrier_init(shared_address(&barriers.queryFull[i]), 1);
            barrier_init(shared_address(&barriers.queryEmpty[i]), 4);
        }
        for (int i = 0; i < 2; ++i) {
            barrier_init(shared_address(&barriers.tileFull[i]), 1);
            barrier_init(shared_address(&barriers.tileEmpty[i]), kQueryBlocks * kWarpgroup);
        }
        barrier_init_fence();
        prefetch_map(&mapQ);
        prefetch_map(&mapK);
        prefetch_map(&mapV);
    }
    __syncthreads();

    const int warpgroup = __shfl_sync(kAllLanes, thread / kWarpgroup, 0);
    if (warpgroup == 0) {
        give_registers<kProducerRegisters>();
        if (thread < kWarp) produce(&mapQ, &mapK, &mapV, work, &barriers, queryTiles, stages, lane);
    } else {
        take_registers<kConsumerRegisters>();
        const int which = warpgroup - 1;
        consume(work, &barriers, queryTiles + which * kTileBytes, stages, which, thread % kWarpgroup);
    }
}
