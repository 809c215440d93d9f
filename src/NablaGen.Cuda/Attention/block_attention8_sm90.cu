// Block-sparse attention for Hopper in eight bits: out = softmax(q kᵀ · scale) v over each query block's own list of key blocks, with
// S = q8 k8ᵀ in int8 (exact int32 sums) and P v8 in fp8 (E4M3) from what attention_quantize.cu made.
//
// The order of work is block_attention_sm90.cu's: thread blocks take kQueryBlocks query blocks that share attention_plan.cu's stream of key
// blocks, one a consumer warpgroup; one producer warp keeps kEightBitStages key blocks in flight, another draws tiles ahead of it. For its own entries
// each consumer computes
//
//     S = q8 k8ᵀ   ·   P = 2^(S · f − m + kLift) · b, f = scale · log2(e) · (both blocks' scales)   ·   O += P v8
//
// with one entry's S in flight together with the P V of the one before (block_attention8_step.cuh). b is what V was divided by in this block, mostly 1,
// and m is of logits to which log2(b) is added. Row sums are float32, of P / b before it is rounded. Weights use all of fp8, from its largest, 448, to
// its smallest, 2^−9; what is nearer to zero is lost. m moves when the 16 weights of a row that one thread has come to more than kMost; then the row's
// largest is 2^(kLift − kMargin).
// The tensor core's own sums of fp8 products keep about 14 bits, so every kFlush entries O is added to float32 sums in shared memory.
//
// queries, queryScales, keys, statistics   as attention_quantize.cu and attention_statistics.cu leave them
// out      bf16 (or fp16), strides in elements, rows 16-byte aligned; each row is written once, rounded from float32.
//          With FP8_ROWS fp8 (E4M3), as the next product reads it: out / s, s = (161/128) · max|v| / 448, `rowScales` gets s in each row
// lse      float32 [batch · heads, tokens] or null: natural log of Σ exp(logit), of logits without k's mean
// V's mean, which is in no product, is added to each output; a query block with an empty list gets zeros and −∞.
// Grid: as many thread blocks as multiprocessors; tiles (batch · head, group) are drawn from `tileCounter` (zero at launch), in `order`. kHopperThreads
// threads, dynamic shared memory: kEightBitSharedBytes. HEAD_DIM is 128.
#include "eight_bits.cuh"
#include "hopper.cuh"
#include "block_attention8_step.cuh"

constexpr int kSumBytes = 64 * 128 * 4;
constexpr int kConsumerRegisters = 160;
constexpr int kProducerRegisters = 32;
constexpr int kHold = 3;                                       // entries that a P V may wait for the next own entry
constexpr int kFlush = 32;                                     // own entries between two additions to the float32 sums
static_assert(24 * 1024 + kEightBitStages * kStageBytes + 3 * kSumBytes + 1024 == kEightBitSharedBytes, "shared memory");

// P V of the held entry by itself, and its stage goes back to the producer.
DEVICE void finish_held(float (&o)[kOutputs], const u32 (&p)[2][4], u64 v, u32 empty, int lane) {
    wgmma_pin(o);
    wgmma_fence();
    multiply_pv(o, p, v);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_pin(o);
    if (lane == 0) barrier_arrive(empty);
}

DEVICE Factors shared_factors(u32 address) {
    float4 x;
    asm volatile("ld.shared.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(x.x), "=f"(x.y), "=f"(x.z), "=f"(x.w) : "r"(address) : "memory");
    return {x.x, x.y, x.z};
}

// In word h + 2 k of piece i: row g + 8 h, columns 32 i + 16 k + 4 c to + 3.
DEVICE void load_query(Query& q, u32 tile, int row, int quad) {
#pragma unroll
    for (int i = 0; i < 16; ++i) {
        const u32 at = tile + tile8_piece(row + (i & 1) * 8, i / 4 * 4 + (i & 2)) + quad * 4;
        asm volatile("ld.shared.u32 %0, [%1];" : "=r"(q[i / 4][i % 4]) : "r"(at) : "memory");
    }
}

DEVICE void consume(const Work& work, Barriers* barriers, u32 queryTile, u32 stages, float4* room, int which, int thread) {
    const int lane = thread % kWarp, warp = thread / kWarp;
    const int row = warp * 16 + lane / 4, quad = lane % 4;
    const u64 k = matrix_descriptor(stages, 16, 1024);
    const u64 v = matrix_descriptor_64(stages + kTile8Bytes);
    // Through a shuffle, so that they are kept in registers: ptxas would reckon them anew for each entry.
    const u32 full = __shfl_sync(kAllLanes, shared_address(&barriers->stageFull[0]), 0);
    const u32 empty = __shfl_sync(kAllLanes, shared_address(&barriers->stageEmpty[0]), 0);

    Ring<kEightBitStages> ring;
    u32 tileParity = 0;
    for (int turn = 0;; turn ^= 1) {
        barrier_wait(shared_address(&barriers->tileFull[turn]), tileParity);
        const int tile = barriers->tile[turn], entries = barriers->entries[turn];
        const float queryScale = barriers->queryScale[turn][which];
        const int block = barriers->block[turn][which];
        u32 next = barriers->first[turn][lane];
        barrier_arrive(shared_address(&barriers->tileEmpty[turn]));
        if (tile >= work.tiles) return;
        const int bh = tile / work.groups;

        float o[kOutputs];
        u32 p[2][4] = {};
        Row low, high;
        Sums sums;
        sums.at = room + thread;
#pragma unroll
        for (int i = 0; i < kOutputs; ++i) o[i] = 0;

        Query q;
        barrier_wait(shared_address(&barriers->queryFull[which]), turn);
        load_query(q, queryTile, row, quad);
        __syncwarp();
        if (lane == 0) barrier_arrive(shared_address(&barriers->queryEmpty[which]));
        const u32* list = work.entries + (i64)tile * work.blocks;
        int held = -1, heldAt = 0, since = 0;                  // the stage whose P V is still to do, its entry; P Vs in o
        // 32 entries at once: what is to be known of each is cheap then, above all of those that are for other query blocks.
        for (int base = 0; base < entries; base += kWarp) {
            const u32 chunk = next;
            const int ahead = base + kWarp + lane, many = min(kWarp, entries - base);
            next = ahead < entries ? list[ahead] : 0;
            const u32 own = __ballot_sync(kAllLanes, chunk >> (kEntryKeyBits + which) & 1);
            for (int j = 0; j < many; ++j) {
                const u32 entry = __shfl_sync(kAllLanes, chunk, j);
                const int i = base + j, stage = ring.stage;
                barrier_wait(full + stage * 8, ring.parity);
                ring.advance();

                if (!(own >> j & 1)) {                         // for another query block
                    if (lane == 0) barrier_arrive(empty + stage * 8);
                    if (held >= 0 && i + 1 - heldAt > kHold) {
                        finish_held(o, p, v + held * (kStageBytes >> 4), empty + held * 8, lane);
                        ++since;
                        held = -1;
#pragma unroll
                        for (int word = 0; word < 8; ++word) p[word / 4][word % 4] = 0;
                    }
                    continue;
                }

                const int tokens = (int)(entry >> kEntryTokensBit) + 1;
                const Factors of = shared_factors(stages + stage * kStageBytes + kScaleAt);
                const int before = held < 0 ? stage : held;    // nothing held: P V with weights of zero
                const Step at{k + stage * (kStageBytes >> 4), v + before * (kStageBytes >> 4), queryScale, of, tokens, quad * 2};
                step(o, p, low, high, q, at);
                if (lane == 0 && held >= 0) barrier_arrive(empty + held * 8);
                since += held >= 0;
                if (since >= kFlush) {
                    sums.take(o, low, high);
                    since = 0;
                }
                held = stage;
                heldAt = i;
            }
        }
        if (held >= 0) finish_held(o, p, v + held * (kStageBytes >> 4), empty + held * 8, lane);
        sums.join(o, low, high);
        low.sum = quad_sum(low.sum);
        high.sum = quad_sum(high.sum);
        if (block < work.blocks) store_output(work, o, low, high, bh, block, row, quad);
        if (turn == 1) tileParity ^= 1;
    }
}

extern "C" __global__ void __launch_bounds__(kHopperThreads, 1) block_attention8_sm90(const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    __shared__ Barriers barriers;
    const u32 base = shared_address(shared), queryTiles = (base + 1023) & ~1023u;
    const u32 stages = queryTiles + kQueryBlocks * kTile8Bytes;
    const int thread = threadIdx.x, lane = thread % kWarp;

    if (thread == 0) {
        for (int i = 0; i < kEightBitStages; ++i) {
            barrier_init(shared_address(&barriers.stageFull[i]), 1);
            barrier_init(shared_address(&barriers.stageEmpty[i]), kQueryBlocks * 4);
        }
        for (int i = 0; i < kQueryBlocks; ++i) {
            barrier_init(shared_address(&barriers.queryFull[i]), 1);
            barrier_init(shared_address(&barriers.queryEmpty[i]), 4);
        }
        for (int i = 0; i < 2; ++i) {
            barrier_init(shared_address(&barriers.tileFull[i]), 1);
            barrier_init(shared_address(&barriers.tileEmpty[i]), kQueryBlocks * kWarpgroup + kWarp);
        }
        barrier_init_fence();
    }
    __syncthreads();

    const int warpgroup = __shfl_sync(kAllLanes, thread / kWarpgroup, 0);
    if (warpgroup == 0) {
        give_registers<kProducerRegisters>();
        if (thread < kWarp) load_tiles(work, &barriers, queryTiles, stages, lane);
        else if (thread < 2 * kWarp) draw_tiles(work, &barriers, lane);
    } else {
        take_registers<kConsumerRegisters>();
        const int which = warpgroup - 1;
        float4* room = (float4*)(shared + (stages + kEightBitStages * kStageBytes + which * kSumBytes - base));
        consume(work, &barriers, queryTiles + which * kTile8Bytes, stages, room, which, thread % kWarpgroup);
    }
}
