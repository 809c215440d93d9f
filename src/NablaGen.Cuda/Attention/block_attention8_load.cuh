// How tiles reach the consumers of block_attention8_sm90.cu: what is told the kernel, the barriers, and the two warps of the producer.
#pragma once
#include "eight_bits.cuh"
#include "hopper.cuh"

constexpr u32 kKeyMask = (1u << kEntryKeyBits) - 1;
constexpr u32 kCopied = 2 * kTile8Bytes + 16;                  // K, V and their factors
constexpr int kStageBytes = 17 * 1024, kScaleAt = 2 * kTile8Bytes;

struct Barriers {
    u64 stageFull[kEightBitStages], stageEmpty[kEightBitStages];
    u64 queryFull[kQueryBlocks], queryEmpty[kQueryBlocks];
    u64 tileFull[2], tileEmpty[2];
    int tile[2], entries[2], block[2][kQueryBlocks];
    float queryScale[2][kQueryBlocks];
    u32 first[2][kWarp];         // the first entries of the tile
};

struct Work {
    const int* members;          // [batch · heads, groups, kQueryBlocks]
    const u32* entries;          // [batch · heads, groups, blocks]
    const int* entryCounts;      // [batch · heads, groups]
    const int* order;            // the same: tiles, as attention_order.cu has them
    const int* offsets;          // [blocks + 1]
    int* tileCounter;
    const u8 *queries, *keys;
    const float *queryScales, *statistics;
    u16* out;
    float* lse;
    const float* largestValue;   // FP8_ROWS: the largest |v|
    float* rowScales;            // FP8_ROWS: [batch, tokens]
    i64 outBatch, outHead, outToken;
    int heads, blocks, groups, tiles, tokens;
    float scaleLog2;             // softmax scale · log2(e)
};

// Draws tiles and has ready what the loader and the consumers need to begin one, a tile ahead of them: loads that wait for one another would leave
// them idle at each tile's begin.
DEVICE void draw_tiles(const Work& work, Barriers* barriers, int lane) {
    u32 parity = 0;
    int drawn = lane == 0 ? atomicAdd(work.tileCounter, 1) : 0;
    for (int turn = 0;; turn ^= 1) {
        drawn = __shfl_sync(kAllLanes, drawn, 0);
        const bool over = drawn >= work.tiles;
        const int tile = over ? drawn : work.order[drawn];
        const int entries = over ? 0 : work.entryCounts[tile];
        const int block = !over && lane < kQueryBlocks ? work.members[tile * kQueryBlocks + lane] : work.blocks;
        const u32 first = lane < entries ? work.entries[(i64)tile * work.blocks + lane] : 0;
        const float scale = block < work.blocks ? work.queryScales[(i64)(tile / work.groups) * work.blocks + block] * work.scaleLog2 : 0;
        if (lane == 0 && !over) drawn = atomicAdd(work.tileCounter, 1);

        barrier_wait(shared_address(&barriers->tileEmpty[turn]), parity ^ 1);
        barriers->first[turn][lane] = first;
        if (lane < kQueryBlocks) {
            barriers->queryScale[turn][lane] = scale;
            barriers->block[turn][lane] = block;
        }
        if (lane == 0) {
            barriers->tile[turn] = tile;
            barriers->entries[turn] = entries;
        }
        __syncwarp();
        if (lane == 0) barrier_arrive(shared_address(&barriers->tileFull[turn]));
        if (over) return;
        if (turn == 1) parity ^= 1;
    }
}

// Keeps the stages full.
DEVICE void load_tiles(const Work& work, Barriers* barriers, u32 queryTiles, u32 stages, int lane) {
    Ring<kEightBitStages> ring;
    u32 tileParity = 0;
    for (int turn = 0;; turn ^= 1) {
        barrier_wait(shared_address(&barriers->tileFull[turn]), tileParity);
        const int tile = barriers->tile[turn], entries = barriers->entries[turn];
        u32 chunk = barriers->first[turn][lane];
        const int block = lane < kQueryBlocks ? barriers->block[turn][lane] : 0;
        barrier_arrive(shared_address(&barriers->tileEmpty[turn]));
        if (tile >= work.tiles) return;
        const int bh = tile / work.groups;

        // Each tile is one phase of the query barriers; a turn of two tiles is one phase of the tile barriers.
        if (lane < kQueryBlocks) {
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
            const int key = (int)(chunk & kKeyMask), ahead = base + kWarp + lane, many = min(kWarp, entries - base);
            chunk = ahead < entries ? list[ahead] : 0;
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
