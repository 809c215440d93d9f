// The transposed block mask: which query blocks attend to each key block.
//
//     bit i % 32 of transposed[h, j, i / 32] = bit j % 32 of bits[h, i, j / 32]
//
// bits, transposed   u32 [heads, blocks, ⌈blocks / 32⌉]; bits past the last block are zeros in both
// Grid (words, ⌈words / kTransposeWords⌉, heads), a warp for each of kTransposeWords words. A warp turns a square of 32 × 32 bits: each lane reads one word, and each of 32 votes
// collects one column.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(kTransposeWords * kWarp) transpose_mask(const u32* bits, u32* transposed, int blocks) {
    const int words = (blocks + 31) / 32, lane = threadIdx.x % kWarp;
    const int across = blockIdx.x, down = blockIdx.y * kTransposeWords + threadIdx.x / kWarp;
    if (down >= words) return;
    const i64 from = (i64)blockIdx.z * blocks * words;
    const int query = down * 32 + lane, key = across * 32 + lane;
    const u32 word = query < blocks ? bits[from + (i64)query * words + across] : 0;
    u32 column = 0;
#pragma unroll
    for (int i = 0; i < 32; ++i) {
        const u32 vote = __ballot_sync(kAllLanes, word >> i & 1);
        if (lane == i) column = vote;
    }
    if (key < blocks) transposed[from + (i64)key * words + down] = column;
}
