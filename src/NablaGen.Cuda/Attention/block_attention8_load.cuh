// How tiles reach the consumers of block_attention8_sm90.cu: what is told the kernel, the barriers, and the producer warp.
#pragma once
#include "eight_bits.cuh"
#include "hopper.cuh"

constexpr u32 kKeyMask = (1u << kEntryKeyBits) - 1;
constexpr int kStageBytes = 17 * 1024;                         // K, V, eight columns of ones for V, K's scale
constexpr int kOnesAt = 2 * kTile8Bytes, kScaleAt = kOnesAt + 8 * 64;

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

// V's columns of ones, in all stages: 1 in fp8 is 0x38. To be followed by a barrier of all threads.
DEVICE void write_ones(u32 stages, int thread) {
    for (int i = thread; i < kEightBitStages * 128; i += kHopperThreads) {
        asm volatile("st.shared.u32 [%0], %1;" ::"r"(stages + i / 128 * kStageBytes + kOnesAt + i % 128 * 4), "r"(0x38383838) : "memory");
    }
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

// Q's tile of a query block, when the tile before is done with. Each tile is one phase of the query barriers; a turn of two tiles is one phase of
// the tile barriers.
DEVICE void fetch_query(const Work& work, Barriers* barriers, u32 queryTiles, int tile, int entries, int turn, int which) {
    const int bh = tile / work.groups, block = tile % work.groups * kQueryBlocks + which;
    const u32 full = shared_address(&barriers->queryFull[which]);
    barrier_wait(shared_address(&barriers->queryEmpty[which]), turn ^ 1);
    if (block < work.blocks && entries > 0) {
        barrier_expect(full, kTile8Bytes);
        copy_bytes(queryTiles + which * kTile8Bytes, work.queries + ((i64)bh * work.blocks + block) * kTile8Bytes, kTile8Bytes, full);
    } else {
        barrier_arrive(full);
    }
}

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
        const int bh = tile / work.groups;

        const int entries = work.entryCounts[tile];
        if (lane < kQueryBlocks) fetch_query(work, barriers, queryTiles, tile, entries, turn, lane);
        __syncwarp();

        const u32* list = work.entries + (i64)tile * work.blocks;
        const u8* keys = work.keys + (i64)bh * work.blocks * kKeyPieceBytes;
        for (int base = 0; base < entries; base += kWarp) {
            const u32 word = base + lane < entries ? list[base + lane] : 0;
            const int many = min(kWarp, entries - base);
            for (int i = 0; i < many; ++i) {
                const u32 entry = __shfl_sync(kAllLanes, word, i);
                if (lane == 0) {
                    const u32 at = entry & kKeyMask;
                    const u32 full = shared_address(&barriers->stageFull[ring.stage]);
                    barrier_wait(shared_address(&barriers->stageEmpty[ring.stage]), ring.parity ^ 1);
                    barrier_expect(full, 2 * kTile8Bytes + 16);
                    const u32 to = stages + ring.stage * kStageBytes;
                    copy_bytes(to, keys + (i64)at * kKeyPieceBytes, 2 * kTile8Bytes, full);
                    copy_bytes(to + kScaleAt, keys + (i64)at * kKeyPieceBytes + 2 * kTile8Bytes, 16, full);
                }
                __syncwarp();
                ring.advance();
            }
        }
        if (turn == 1) tileParity ^= 1;
    }
}
