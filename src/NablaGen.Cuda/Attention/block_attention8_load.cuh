// How tiles reach the consumers of block_attention8_sm90.cu: what is told the kernel, the barriers, and the producer warp.
#pragma once
#include "eight_bits.cuh"
#include "hopper.cuh"

constexpr u32 kKeyMask = (1u << kEntryKeyBits) - 1;
constexpr u32 kCopied = 2 * kTile8Bytes + 16;                  // K, V and K's scale
constexpr int kStageBytes = 17 * 1024, kScaleAt = 2 * kTile8Bytes;

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
DEVICE void produce(const Work& work, Barriers* barriers, u32 queryTiles, u32 stages, int lane) {
    Ring<kEightBitStages> ring;
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
