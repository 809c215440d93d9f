// What both passes of the low-rank branch (RoLa) begin with: a head's queries or keys, 16 tokens a warp, turned back by their rotary angles,
// projected to RANK channels, SiLU, turned by the branch's own angles.
//
// Shared memory holds tiles as ampere.cuh lays them out. Macro: HEAD_DIM (64 or 128). The rank is 64.
#pragma once
#include "ampere.cuh"

constexpr int kRank = kLowRank;
constexpr int kRankBytes = kRank * 2;                          // a row of the projected tile
constexpr int kWeightBytes = kRank * kRowBytes;
constexpr int kRows = kBlock / (kLowRankThreads / kWarp);      // tokens a warp
constexpr int kSteps = HEAD_DIM / 16;

// One head of Q, K or V.
struct Head {
    const u16* tensor;
    i64 tokenStride;
};

DEVICE Head head_of(const u16* tensor, const Strides& strides, int batch, int head) {
    return {tensor + batch * strides.batch + head * strides.head, strides.token};
}

// The branch's weight matrix to shared memory. [kRank, HEAD_DIM]
DEVICE void load_weight(u8* shared, u32 tile, const u16* weight) {
    for (int i = threadIdx.x; i < kRank * kChunks; i += kLowRankThreads) {
        const int row = i / kChunks, chunk = i % kChunks;
        *(uint4*)(shared + piece(tile, row, chunk)) = ((const uint4*)weight)[i];
    }
}

DEVICE u32 turn_back(u32 pair, float c, float s) {
    const float x = low_element(pair), y = high_element(pair);
    return pack_elements(x * c + y * s, y * c - x * s);
}

// A warp's rows of a tile, turned back; zeros from token `tokens` on. Only this warp reads them.
DEVICE void load_plain(u8* shared, u32 tile, const Head& head, const float* table, int first, int tokens, int warp, int lane) {
    constexpr int kRowsAtOnce = kWarp / kChunks;
    const int chunk = lane % kChunks;
    uint4 v[kRows / kRowsAtOnce];
#pragma unroll
    for (int i = 0; i < kRows / kRowsAtOnce; ++i) {
        const int token = first + warp * kRows + i * kRowsAtOnce + lane / kChunks;
        v[i] = token < tokens ? ((const uint4*)(head.tensor + token * head.tokenStride))[chunk] : make_uint4(0, 0, 0, 0);
    }
#pragma unroll
    for (int i = 0; i < kRows / kRowsAtOnce; ++i) {
        const int row = warp * kRows + i * kRowsAtOnce + lane / kChunks;
        const float4* angles = (const float4*)(table + (i64)min(first + row, tokens - 1) * HEAD_DIM) + chunk * 2;
        const float4 a = angles[0], b = angles[1];
        *(uint4*)(shared + piece(tile, row, chunk)) =
            make_uint4(turn_back(v[i].x, a.x, a.y), turn_back(v[i].y, a.z, a.w), turn_back(v[i].z, b.x, b.y), turn_back(v[i].w, b.z, b.w));
    }
    __syncwarp();
}

// SiLU of the projection, turned: p[j] holds what a matrix unit's accumulator does, columns 8 j on of the warp's rows, as pairs of elements:
// p[j][0] of row lane / 4, p[j][1] of the row 8 below.
DEVICE void project(
    u32 (&p)[kRank / 8][2], u32 shared, u32 tile, u32 weight, const float* rankTable, int first, int tokens, int warp, int lane) {
    float s[kRank / 8][4] = {};
    const u32 rows = shared + piece(tile, warp * kRows + lane % 16, lane / 16);
    const u32 columns = shared + piece(weight, lane % 8 + lane / 16 * 8, lane / 8 % 2);
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
        u32 a[4];
        load_matrices(a, along(rows, step));
#pragma unroll
        for (int j = 0; j < kRank / 16; ++j) {
            u32 b[4];
            load_matrices(b, along(columns, step) + j * 16 * kRowBytes);
            multiply(s[2 * j], a, b[0], b[1]);
            multiply(s[2 * j + 1], a, b[2], b[3]);
        }
    }
    const int row = first + warp * kRows + lane / 4;
#pragma unroll
    for (int h = 0; h < 2; ++h) {
        const float2* angles = (const float2*)rankTable + (i64)min(row + 8 * h, tokens - 1) * (kRank / 2) + lane % 4;
#pragma unroll
        for (int j = 0; j < kRank / 8; ++j) {
            const float2 angle = angles[j * 4];
            const float x = s[j][2 * h], y = s[j][2 * h + 1];
            const float u = x / (1 + exp2_approx(-x * kLog2e)), w = y / (1 + exp2_approx(-y * kLog2e));
            p[j][h] = pack_elements(u * angle.x - w * angle.y, u * angle.y + w * angle.x);
        }
    }
}
