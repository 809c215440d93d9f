// The weights of the blocks that a query block drops in its pooled term (NABLA's +tail, Attention/PooledTail.cs):
//
//     w[h, i, j] = softmax over the dropped j of scores[h, i, j]; 0 where key block j is kept
//     logs[h, i] = log Σ exp(scores[h, i, j] + log 64) over the dropped j; −∞ where nothing is dropped
//
// scores   float32 [heads, blocks, scoreStride]: nabla_scores' logits, which have log(n_j / 64) in them; the weights overwrite them
// mask     u32 [heads, blocks, ⌈blocks / 32⌉]: bit j % 32 of word j / 32 is set where key block j is kept
// logs     float32 [heads, blocks]
// Columns from `blocks` on are neither read nor written. Grid (⌈blocks / kTailWarps⌉, heads), 32 · kTailWarps threads, one warp a row.
#include "common.cuh"

extern "C" __global__ void __launch_bounds__(kTailWarps * kWarp) tail_weights(
    float* __restrict__ scores, const u32* __restrict__ mask, float* __restrict__ logs, int blocks, int scoreStride) {
    const int lane = threadIdx.x % kWarp, row = blockIdx.x * kTailWarps + threadIdx.x / kWarp;
    if (row >= blocks) return;
    const i64 line = (i64)blockIdx.y * blocks + row;
    const int words = (blocks + kWarp - 1) / kWarp;
    float* mine = scores + line * scoreStride;
    const u32* kept = mask + line * words;

    float top = NEGATIVE_INFINITY;
#pragma unroll 4
    for (int word = 0; word < words; ++word) {
        const int j = word * kWarp + lane;
        if (j < blocks && (kept[word] >> lane & 1) == 0) top = fmaxf(top, mine[j]);
    }
    top = warp_max(top);
    float total = 0;
#pragma unroll 4
    for (int word = 0; word < words; ++word) {
        const int j = word * kWarp + lane;
        if (j >= blocks) break;
        const float weight = (kept[word] >> lane & 1) == 0 ? exp2_approx((mine[j] - top) * kLog2e) : 0;
        mine[j] = weight;
        total += weight;
    }
    total = warp_sum(total);
    if (lane == 0) logs[line] = total > 0 ? top + __logf(total * kBlock) : NEGATIVE_INFINITY;
    if (total == 0) return;
    const float inverse = 1 / total;
#pragma unroll 4
    for (int j = lane; j < blocks; j += kWarp) mine[j] *= inverse;
}
