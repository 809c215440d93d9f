// A mask that was kept as bits alone, whole again: what nabla_select writes, from its bits.
//
// bits    u32 [heads, blocks, ⌈blocks / 32⌉]: bit j % 32 of word j / 32 is set where key block j is kept; none past the last block
// mask    the same, a copy
// lists   u16 [heads, blocks, blocks] or null: the kept key blocks of each row, ascending
// counts  i32 [heads, blocks]: how many are kept
// Grid (⌈blocks / kExpandWarps⌉, heads), 32 · kExpandWarps threads, one warp a row.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(kExpandWarps * kWarp) expand_mask(
    const u32* __restrict__ bits, u32* __restrict__ mask, u16* __restrict__ lists, int* __restrict__ counts, int blocks) {
    const int lane = threadIdx.x % kWarp, row = blockIdx.x * kExpandWarps + threadIdx.x / kWarp;
    if (row >= blocks) return;
    const i64 line = (i64)blockIdx.y * blocks + row;
    const int words = (blocks + kWarp - 1) / kWarp;
    int count = 0;
    for (int base = 0; base < words; base += kWarp) {
        const bool there = base + lane < words;
        const u32 mine = there ? bits[line * words + base + lane] : 0;
        if (there) mask[line * words + base + lane] = mine;
        for (int i = 0; i < kWarp && base + i < words; ++i) {
            const u32 word = __shfl_sync(kAllLanes, mine, i);
            if (lists != nullptr && (word >> lane & 1) != 0) lists[line * blocks + count + __popc(word & ((1u << lane) - 1))] = (u16)((base + i) * kWarp + lane);
            count += __popc(word);
        }
    }
    if (lane == 0) counts[line] = count;
}
