// Block-sparse attention for Hopper in eight bits: out = softmax(q kᵀ · scale) v over each query block's own list of key blocks, with
// S = q8 k8ᵀ in int8 (exact int32 sums) and P v8 in fp8 (E4M3) from what attention_quantize.cu made.
//
// The order of work is block_attention_sm90.cu's: thread blocks take kQueryBlocks query blocks that share attention_plan.cu's stream of key
// blocks, one a consumer warpgroup, and a producer warp keeps kEightBitStages key blocks in flight. For its own entries each consumer computes
//
//     S = q8 k8ᵀ   ·   P = 2^(S · f − m + kLift), f = scale · log2(e) · (both blocks' scales)   ·   O += P v8
//
// with one entry's S in flight together with the P V of the one before. Weights use the whole range of fp8: the row's largest lie between
// 2^kLift and 448, what is below 2^−(9 + kLift) of them is lost. m moves when a logit of the warp exceeds it by kSlack.
// The tensor core's own sums of fp8 products keep about 14 bits, so every kFlush entries O is added to float32 sums in shared memory.
//
// queries, queryScales, keys, statistics   as attention_quantize.cu and attention_statistics.cu leave them
// out      bf16 (or fp16), strides in elements, rows 16-byte aligned; each row is written once, rounded from float32
// lse      float32 [batch · heads, tokens] or null: natural log of Σ exp(logit), of logits without k's mean
// A query block with an empty list gets zeros and −∞.
// Grid: as many thread blocks as multiprocessors; tiles (batch · head, group) are drawn from `tileCounter` (zero at launch). kHopperThreads
// threads, dynamic shared memory: kEightBitSharedBytes. HEAD_DIM is 128.
#include "eight_bits.cuh"
#include "hopper.cuh"

constexpr u32 kKeyMask = (1u << kEntryKeyBits) - 1;
constexpr u32 kCopied = 2 * kTile8Bytes + 16;                  // K, V and K's scale
constexpr int kStageBytes = 17 * 1024;
constexpr int kSumBytes = 64 * 128 * 4;
constexpr int kConsumerRegisters = 160;
constexpr int kProducerRegisters = 32;
constexpr float kLift = 6;
constexpr float kSlack = 2.75f;                                // 2^(6 + 2.75) = 431, below 448
constexpr int kHold = 2;                                       // entries that a P V may wait for the next own entry
constexpr int kFlush = 32;                                     // own entries between two additions to the float32 sums
constexpr float kMagic = 12582912;                             // 1.5 · 2^23: added to an int32 below 2^22 as bits, it is kMagic + the int
constexpr int kOutside = -4194304;                             // −2^22: a logit that is none, still in that range
static_assert(24 * 1024 + kEightBitStages * kStageBytes + 3 * kSumBytes + 1024 == kEightBitSharedBytes, "shared memory");

struct Barriers {
    u64 stageFull[kEightBitStages], stageEmpty[kEightBitStages];
    u64 queryFull[kQueryBlocks], queryEmpty[kQueryBlocks];
    u64 tileFull[2], tileEmpty[2];
    int tile[2];
};

struct Work {
    const u32* entries;          // [batch · heads, groups, blocks]
    const int* entryCounts;      // [batch · heads, groups]
    const int* offsets;          // [blocks + 1]
    int* tileCounter;
    const u8 *queries, *keys;
    const float *queryScales, *statistics;
    u16* out;
    float* lse;
    i64 outBatch, outHead, outToken;
    int heads, blocks, groups, tiles, tokens;
    float scaleLog2;             // softmax scale · log2(e)
};

// A position in the ring of stages.
struct Ring {
    int stage = 0;
    u32 parity = 0;
    DEVICE void advance() {
        if (++stage == kEightBitStages) {
            stage = 0;
            parity ^= 1;
        }
    }
};

DEVICE void produce(const Work& work, Barriers* barriers, u32 queryTiles, u32 stages, int lane) {
    Ring ring;
    u32 tileParity = 0;
    for (int turn = 0;; turn ^= 1) {
        int tile = 0;
        if (lane == 0) {
            tile = atomicAdd(work.tileCounter, 1);
            barrier_wait(shared_address(&barriers->tileEmpty[turn]), tileParity ^ 1);
            barriers->tile[turn] = tile;
            barrier_arrive(shared_address(&barriers->tileFull[turn]));
        }
        tile = __shfl_sync(kAllLanes, tile, 0);
        if (tile >= work.tiles) return;
        const int bh = tile / work.groups, group = tile % work.groups;

        // Each tile is one phase of the query barriers; a turn of two tiles is one phase of the tile barriers.
        const int entries = work.entryCounts[tile];
        if (lane < kQueryBlocks) {
            const int block = group * kQueryBlocks + lane;
            const u32 full = shared_address(&barriers->queryFull[lane]);
            barrier_wait(shared_address(&barriers->queryEmpty[lane]), turn ^ 1);
            if (block < work.blocks && entries > 0) {
                barrier_expect(full, kTile8Bytes);
                copy_bytes(queryTiles + lane * kTile8Bytes, work.queries + ((i64)bh * work.blocks + block) * kTile8Bytes, kTile8Bytes, full);
            } else {
                barrier_arrive(full);
            }
        }
        __syncwarp();

        const u32* list = work.entries + (i64)tile * work.blocks;
        const u8* keys = work.keys + (i64)bh * work.blocks * kKeyPieceBytes;
        for (int base = 0; base < entries; base += kWarp) {
            const int key = base + lane < entries ? (int)(list[base + lane] & kKeyMask) : 0;
            const int many = min(kWarp, entries - base);
            for (int i = 0; i < many; ++i) {
                const int at = __shfl_sync(kAllLanes, key, i);
                if (lane == 0) {
                    const u32 full = shared_address(&barriers->stageFull[ring.stage]);
                    barrier_wait(shared_address(&barriers->stageEmpty[ring.stage]), ring.parity ^ 1);
                    barrier_expect(full, kCopied);
                    copy_bytes(stages + ring.stage * kStageBytes, keys + (i64)at * kKeyPieceBytes, kCopied, full);
                }
                __syncwarp();
                ring.advance();
            }
        }
        if (turn == 1) tileParity ^= 1;
    }
}

// What a row's sums are relative to, and the sum of its weights.
struct Row {
    float m = NEGATIVE_INFINITY, sum = 0;
};

DEVICE float weight(int s, float f, float c) { return exp2_approx(fmaf(__int_as_float(s + 0x4b400000), f, c)); }

// Logits to weights: s becomes the bits of 2^(s · f − m + kLift), the row sums grow. True if m moved; then f0 and f1 rescale what was summed.
DEVICE bool soften(int (&s)[32], Row& low, Row& high, float& f0, float& f1, int tokens, float f, int column) {
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
    const float x0 = (float)top0 * f, x1 = (float)top1 * f;
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
    const float c0 = kLift - low.m - kMagic * f, c1 = kLift - high.m - kMagic * f;
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
    low.sum += sum0;
    high.sum += sum1;
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

DEVICE void multiply_qk(int (&s)[32], u64 q, u64 k) {
    wgmma_n64_int8<false>(s, q, k);
#pragma unroll
    for (int step = 1; step < 4; ++step) wgmma_n64_int8<true>(s, q + (step * 32 >> 4), k + (step * 32 >> 4));
}

DEVICE void multiply_pv(float (&o)[64], const u32 (&p)[2][4], u64 v) {
    wgmma_n128_fp8<true>(o, p[0], v);
    wgmma_n128_fp8<true>(o, p[1], v + (32 >> 4));
}

// When m moved, what was summed so far is rescaled.
DEVICE void rescale(float (&o)[64], float f0, float f1) {
#pragma unroll
    for (int j = 0; j < 64; j += 4) {
        o[j] *= f0;
        o[j + 1] *= f0;
        o[j + 2] *= f1;
        o[j + 3] *= f1;
    }
}

// The float32 sums of a consumer's rows, in shared memory; each thread's own, so no barrier is needed.
struct Sums {
    float4* at;                  // of this thread, 16 of them, kWarpgroup apart
    float m0, m1;                // what they are relative to
    bool any = false;

    // o += sums, relative to the rows' m.
    DEVICE void join(float (&o)[64], const Row& low, const Row& high) {
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
    DEVICE void take(float (&o)[64], const Row& low, const Row& high) {
        join(o, low, high);
#pragma unroll
        for (int j = 0; j < 16; ++j) at[j * kWarpgroup] = make_float4(o[4 * j], o[4 * j + 1], o[4 * j + 2], o[4 * j + 3]);
#pragma unroll
        for (int j = 0; j < 64; ++j) o[j] = 0;
        m0 = low.m;
        m1 = high.m;
        any = true;
    }
};

// P V of the held entry by itself, and its stage goes back to the producer.
DEVICE void finish_held(float (&o)[64], const u32 (&p)[2][4], u64 v, u32 empty, int lane) {
    wgmma_pin(o);
    wgmma_fence();
    multiply_pv(o, p, v);
    wgmma_commit();
    wgmma_wait<0>();
    wgmma_pin(o);
    if (lane == 0) barrier_arrive(empty);
}

// Divides by the row sums, gives the columns V's scales and writes the rows that the block has.
DEVICE void store_output(const Work& work, float (&o)[64], Row low, Row high, int bh, int block, int row, int quad) {
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    low.sum = quad_sum(low.sum);
    high.sum = quad_sum(high.sum);
    const float r0 = low.sum > 0 ? 1 / low.sum : 0, r1 = high.sum > 0 ? 1 / high.sum : 0;
    const float* most = work.statistics + (i64)bh * 256 + 128 + quad * 2;
    u16* out = work.out + bh / work.heads * work.outBatch + bh % work.heads * work.outHead + start * work.outToken;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        u32 words0[4], words1[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int at = (j * 4 + i) * 4;
            const float2 top = *(const float2*)(most + (j * 4 + i) * 8);
            const float x = top.x > 0 ? top.x / kFp8Largest : 1, y = top.y > 0 ? top.y / kFp8Largest : 1;
            words0[i] = pack_elements(o[at] * r0 * x, o[at + 1] * r0 * y);
            words1[i] = pack_elements(o[at + 2] * r1 * x, o[at + 3] * r1 * y);
        }
        quad_transpose(words0, quad);
        quad_transpose(words1, quad);
        const int column = j * 32 + quad * 8;
        if (row < rows) *(uint4*)(out + row * work.outToken + column) = make_uint4(words0[0], words0[1], words0[2], words0[3]);
        if (row + 8 < rows) {
            *(uint4*)(out + (row + 8) * work.outToken + column) = make_uint4(words1[0], words1[1], words1[2], words1[3]);
        }
    }
    if (work.lse != nullptr && quad == 0) {
        float* lse = work.lse + (i64)bh * work.tokens + start;
        if (row < rows) lse[row] = low.sum > 0 ? (low.m - kLift + __log2f(low.sum)) * kLn2 : NEGATIVE_INFINITY;
        if (row + 8 < rows) lse[row + 8] = high.sum > 0 ? (high.m - kLift + __log2f(high.sum)) * kLn2 : NEGATIVE_INFINITY;
    }
}

DEVICE float shared_float(u32 address) {
    float x;
    asm volatile("ld.shared.f32 %0, [%1];" : "=f"(x) : "r"(address) : "memory");
    return x;
}

DEVICE void consume(const Work& work, Barriers* barriers, u32 queryTile, u32 stages, float4* room, int which, int thread) {
    const int lane = thread % kWarp, warp = thread / kWarp;
    const int row = warp * 16 + lane / 4, quad = lane % 4;
    const u64 q = matrix_descriptor(queryTile, 16, 1024);
    const u64 k = matrix_descriptor(stages, 16, 1024);
    const u64 v = matrix_descriptor_64(stages + kTile8Bytes);
    const u32 full = shared_address(&barriers->stageFull[0]), empty = shared_address(&barriers->stageEmpty[0]);

    Ring ring;
    u32 tileParity = 0;
    for (int turn = 0;; turn ^= 1) {
        barrier_wait(shared_address(&barriers->tileFull[turn]), tileParity);
        const int tile = barriers->tile[turn];
        barrier_arrive(shared_address(&barriers->tileEmpty[turn]));
        if (tile >= work.tiles) return;
        const int bh = tile / work.groups, group = tile % work.groups;
        const int block = group * kQueryBlocks + which;

        float o[64];
        int s[32];
        u32 p[2][4];
        Row low, high;
        Sums sums;
        sums.at = room + thread;
        float f0 = 0, f1 = 0;
#pragma unroll
        for (int i = 0; i < 64; ++i) o[i] = 0;

        const float queryScale = block < work.blocks ? work.queryScales[(i64)bh * work.blocks + block] * work.scaleLog2 : 0;
        barrier_wait(shared_address(&barriers->queryFull[which]), turn);
        const int entries = work.entryCounts[tile];
        const u32* list = work.entries + (i64)tile * work.blocks;
        int held = -1, heldAt = 0, since = 0;                  // the stage whose P V is still to do, its entry; P Vs in o
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

            if (!(entry >> (kEntryKeyBits + which) & 1)) {     // for another query block
                if (lane == 0) barrier_arrive(empty + stage * 8);
                if (held >= 0 && i + 1 - heldAt > kHold) {
                    finish_held(o, p, v + held * (kStageBytes >> 4), empty + held * 8, lane);
                    ++since;
                    held = -1;
                }
                continue;
            }

            const int tokens = (int)(entry >> kEntryTokensBit) + 1;
            const float f = queryScale * shared_float(stages + stage * kStageBytes + 2 * kTile8Bytes);
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
                const bool moved = soften(s, low, high, f0, f1, tokens, f, quad * 2);
                wgmma_wait<0>();
                wgmma_pin(o);
                if (lane == 0) barrier_arrive(empty + held * 8);
                if (moved) rescale(o, f0, f1);
                ++since;
            } else {
                wgmma_pin(s);
                wgmma_fence();
                multiply_qk(s, q, k + stage * (kStageBytes >> 4));
                wgmma_commit();
                wgmma_wait<0>();
                wgmma_pin(s);
                if (soften(s, low, high, f0, f1, tokens, f, quad * 2)) rescale(o, f0, f1);
            }
            if (since >= kFlush) {
                sums.take(o, low, high);
                since = 0;
            }
            pack_weights(p, s);
            held = stage;
            heldAt = i;
        }
        if (lane == 0) barrier_arrive(shared_address(&barriers->queryEmpty[which]));
        if (held >= 0) finish_held(o, p, v + held * (kStageBytes >> 4), empty + held * 8, lane);
        sums.join(o, low, high);

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
            barrier_init(shared_address(&barriers.tileEmpty[i]), kQueryBlocks * kWarpgroup);
        }
        barrier_init_fence();
    }
    __syncthreads();

    const int warpgroup = __shfl_sync(kAllLanes, thread / kWarpgroup, 0);
    if (warpgroup == 0) {
        give_registers<kProducerRegisters>();
        if (thread < kWarp) produce(work, &barriers, queryTiles, stages, lane);
    } else {
        take_registers<kConsumerRegisters>();
        const int which = warpgroup - 1;
        float4* room = (float4*)(shared + (stages + kEightBitStages * kStageBytes + which * kSumBytes - base));
        consume(work, &barriers, queryTiles + which * kTile8Bytes, stages, room, which, thread % kWarpgroup);
    }
}
