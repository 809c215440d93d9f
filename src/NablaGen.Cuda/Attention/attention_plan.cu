// The order of work of the Hopper attention kernel.
//
// The kQueryBlocks query blocks of a group of attention_groups.cu share one stream of key blocks: the union of what they keep. An entry of the stream
// says which of them want it:
//
//     key block, kEntryKeyBits bits · from there one bit a query block · from bit kEntryTokensBit on its tokens − 1
//
// The entries of one class (the same set of query blocks) keep ascending order; the classes are spread evenly over the stream,
// entry r of a class of n standing at (2r + 1) / 2n of its length, so that each query block finds work at an even pace
// whatever the masks.
//
// mask    u32 [heads, blocks, words], words = ⌈blocks / 32⌉, bit j % 32 of word j / 32 set where key block j is kept, no bit set
//         past the last block; `maskHeadStride` 0 shares one head's mask among all
// members i32 [heads, groups, kQueryBlocks], of attention_groups.cu; from `blocks` on there is no such query block
// offsets i32 [blocks + 1], first token of each block; at most 65,535 blocks
// entries u32 [heads, groups, blocks], counts of entries i32 [heads, groups], groups = ⌈blocks / kQueryBlocks⌉
// Grid (groups, heads), kPlanThreads threads. Also sets the attention kernel's tile counter to zero.
#include "common.cuh"

constexpr int kWarps = kPlanThreads / kWarp;
constexpr int kClasses = 1 << kQueryBlocks;

// The key blocks, of the 32 of one word, that exactly the query blocks of `which` want.
DEVICE u32 kept_by(const u32 (&rows)[kQueryBlocks], int which) {
    u32 result = kAllLanes;
#pragma unroll
    for (int q = 0; q < kQueryBlocks; ++q) result &= which >> q & 1 ? rows[q] : ~rows[q];
    return result;
}

// product / total and what remains, exactly: float32 is off by one at most, as the quotient is at most 2 · 65,535. One reciprocal serves all products
// with the same total.
DEVICE u32 divide(u32 product, u32 total, float reciprocal, int& rest) {
    const u32 quotient = (u32)((float)product * reciprocal);
    rest = (int)(product - quotient * total);
    const int off = rest < 0 ? -1 : rest >= (int)total ? 1 : 0;
    rest -= off * (int)total;
    return quotient + off;
}

extern "C" __global__ void __launch_bounds__(kPlanThreads) attention_plan(
    const u32* __restrict__ mask, const int* __restrict__ members, const int* __restrict__ offsets, u32* __restrict__ entries, int* __restrict__ entryCounts,
    int* __restrict__ tileCounter, int blocks, i64 maskHeadStride) {
    __shared__ int warpTotals[kWarps][kClasses];
    __shared__ uint2 queue[kWarps][2 * kWarp];
    const int group = blockIdx.x, groups = gridDim.x, head = blockIdx.y;
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp;
    if (group == 0 && head == 0 && thread == 0) *tileCounter = 0;

    const int words = (blocks + 31) / 32;
    const u32* rows[kQueryBlocks];
#pragma unroll
    for (int q = 0; q < kQueryBlocks; ++q) {
        const int block = members[((i64)head * groups + group) * kQueryBlocks + q];
        rows[q] = block < blocks ? mask + head * maskHeadStride + (i64)block * words : nullptr;
    }

    // Each warp owns a contiguous run of words. It counts its classes; the runs' totals give every warp its first ranks.
    const int run = (words + kWarps - 1) / kWarps;
    const int first = warp * run, last = min(words, first + run);
    int ranks[kClasses], totals[kClasses];
#pragma unroll
    for (int c = 1; c < kClasses; ++c) ranks[c] = 0;
    for (int word = first + lane; word < last; word += kWarp) {
        u32 wanted[kQueryBlocks];
#pragma unroll
        for (int q = 0; q < kQueryBlocks; ++q) wanted[q] = rows[q] != nullptr ? rows[q][word] : 0;
#pragma unroll
        for (int c = 1; c < kClasses; ++c) ranks[c] += __popc(kept_by(wanted, c));
    }
#pragma unroll
    for (int c = 1; c < kClasses; ++c) {
        const int total = __reduce_add_sync(kAllLanes, ranks[c]);
        if (lane == 0) warpTotals[warp][c] = total;
    }
    __syncthreads();
    int sum = 0;
#pragma unroll
    for (int c = 1; c < kClasses; ++c) {
        ranks[c] = totals[c] = 0;
#pragma unroll
        for (int w = 0; w < kWarps; ++w) {
            if (w == warp) ranks[c] = totals[c];
            totals[c] += warpTotals[w][c];
        }
        sum += totals[c];
    }
    if (thread == 0) entryCounts[(i64)head * groups + group] = sum;

    // Few of a word's lanes have an entry, and an entry's place is much work: so entries are put side by side first, and 32 of them are placed at once.
    u32* out = entries + ((i64)head * groups + group) * blocks;
    uint2* waiting = queue[warp];
    int count = 0;
    auto place = [&](int many) {
        __syncwarp();
        if (lane < many) {
            const uint2 entry = waiting[lane];
            const int mine = entry.x >> kEntryKeyBits, rank = (int)entry.y;
            int total = 1;
#pragma unroll
            for (int c = 1; c < kClasses; ++c) total = c == mine ? totals[c] : total;
            // Entries of class c before this one: those r with (2r + 1) / totals[c] < (2 rank + 1) / total, ties by class. In its own class that counts
            // the entry itself, too.
            int position = -1;
            const float reciprocal = __fdividef(1.0f, (float)total);
#pragma unroll
            for (int c = 1; c < kClasses; ++c) {
                int rest;
                const u32 product = (u32)(2 * rank + 1) * (u32)totals[c];         // below blocks² / 2, or 0
                const u32 most = divide(product, (u32)total, reciprocal, rest);   // 2r + 1 ≤ most, or < where it is a tie to lose
                position += rest == 0 && c > mine ? most / 2 : (most + 1) / 2;
            }
            const int key = entry.x & ((1u << kEntryKeyBits) - 1);
            out[position] = entry.x | (u32)(offsets[key + 1] - offsets[key] - 1) << kEntryTokensBit;
        }
        __syncwarp();
    };
    // Lane c has the rank of the next entry of class c.
    int next = 0;
#pragma unroll
    for (int c = 1; c < kClasses; ++c) next = lane == c ? ranks[c] : next;
    for (int word = first; word < last; ++word) {
        u32 wanted[kQueryBlocks];
        u32 any = 0;
        int mine = 0;
#pragma unroll
        for (int q = 0; q < kQueryBlocks; ++q) {
            wanted[q] = rows[q] != nullptr ? rows[q][word] : 0;
            any |= wanted[q];
            mine |= (wanted[q] >> lane & 1) << q;
        }
        const u32 before = (1u << lane) - 1;
        const int rank = __shfl_sync(kAllLanes, next, mine) + __popc(kept_by(wanted, mine) & before);
        if (mine != 0) waiting[count + __popc(any & before)] = make_uint2((u32)(word * 32 + lane) | (u32)mine << kEntryKeyBits, (u32)rank);
        if (lane < kClasses) next += __popc(kept_by(wanted, lane));
        count += __popc(any);
        if (count >= kWarp) {
            place(kWarp);
            count -= kWarp;
            const uint2 left = waiting[kWarp + lane];
            __syncwarp();
            if (lane < count) waiting[lane] = left;
        }
    }
    place(count);
}
