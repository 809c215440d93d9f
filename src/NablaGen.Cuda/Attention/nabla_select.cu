// From pooled logits to the mask (NABLA, steps 2 and 3).
//
// For each row P = softmax(scores). Sorted ascending and cumulated, the blocks where the sum reaches 1 − thr are kept; that is
// {j : S(P_j) ≥ 1 − thr} with S(x) = Σ {P_i : P_i ≤ x}, so no sort is needed. A bisection on the bits of e = exp(score − max),
// which order as the numbers do, narrows (low, high] with S(low) < 1 − thr ≤ S(high) until at most 32 values are left in it;
// then one lane a value computes S itself. Equal values are kept or dropped together, and the largest is always kept. Blocks
// inside the sliding window |Δt| ≤ windowT, |Δh| ≤ windowH, |Δw| ≤ windowW are kept too.
//
// scores   float32 [heads, blocks, scoreStride]
// mask     u32 [heads, blocks, ⌈blocks / 32⌉]: bit j % 32 of word j / 32 is set where key block j is kept
// lists    u16 [heads, blocks, blocks] or null: the kept key blocks of each row, ascending
// counts   i32 [heads, blocks]: how many are kept
// dropped  1 − thr: the mass that may be left out; 0 or less keeps all
// byHead   f32 [heads] or null: the same for each head, in dropped's stead
// least    how many of a row's largest values are kept whatever they carry, at most `blocks`; more where values equal the last of them
// windowT  −1: no window. gridHeight, gridWidth: the frame in blocks (block = (t · gridHeight + h) · gridWidth + w).
// With BY_COUNT the largest are kept by their number instead (RoLa): dropped is then blocks − count + ½, each block weighs 1, and in place of the
// softmax stands the score as a share of the way from the row's least to its largest, so that far differences do not end in equal zeros. Equal
// scores at the border are all kept.
// Grid (⌈blocks / WARPS⌉, heads), 32 · WARPS threads, one warp a row, dynamic shared memory WARPS · rowStride floats with
// rowStride = blocks rounded up to 4, at least 32. Macros: WARPS, BY_COUNT.
#include "common.cuh"

#ifndef WARPS
#define WARPS 8
#endif
#ifdef BY_COUNT
constexpr bool kByCount = true;
#else
constexpr bool kByCount = false;
#endif

// What a block weighs, by its value.
DEVICE float weight(float value) { return kByCount ? 1 : value; }

extern "C" __global__ void __launch_bounds__(WARPS * kWarp) nabla_select(
    const float* __restrict__ scores, u32* __restrict__ mask, u16* __restrict__ lists, int* __restrict__ counts, int blocks,
    int scoreStride, int rowStride, float dropped, const float* __restrict__ byHead, int least, int windowT, int windowH, int windowW, int gridHeight,
    int gridWidth) {
    extern __shared__ float4 shared[];
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int row = blockIdx.x * WARPS + warp;
    if (row >= blocks) return;
    const i64 line = (i64)blockIdx.y * blocks + row;
    float* e = (float*)shared + warp * rowStride;

    float top = NEGATIVE_INFINITY, bottom = -NEGATIVE_INFINITY;
#pragma unroll 8
    for (int j = lane; j < blocks; j += kWarp) {
        const float score = scores[line * scoreStride + j];
        e[j] = score;
        top = fmaxf(top, score);
        bottom = fminf(bottom, score);
    }
    top = warp_max(top);
    bottom = -warp_max(-bottom);
    float total = 0;
#pragma unroll 4
    for (int j = lane; j < blocks; j += kWarp) {
        const float value = !kByCount ? exp2_approx((e[j] - top) * kLog2e) : e[j] == top ? 1 : fminf((e[j] - bottom) / (top - bottom), 0.99999994f);
        e[j] = value;
        total += value;
    }
    if (lane < rowStride - blocks) e[blocks + lane] = -NEGATIVE_INFINITY;     // padding: above every bound
    total = warp_sum(total);
    __syncwarp();

    // Kept are the values whose bits are above `low`.
    const float target = (byHead != nullptr ? byHead[blockIdx.y] : dropped) * (kByCount ? 1 : total);
    int low = -1;
    if (target > 0) {
        int high = __float_as_int(1.0f), atLow = 0, atHigh = blocks;
        float sumAtLow = 0;
        low = kByCount ? -1 : __float_as_int(exp2_approx((bottom - top) * kLog2e)) - 1;
        while (high - low > 1 && atHigh - atLow > kWarp) {
            const int middle = low + (high - low) / 2;
            float sum = 0;
            int at = 0;
#pragma unroll 4
            for (int j = lane; j < rowStride / 4; j += kWarp) {
                const float4 four = ((const float4*)e)[j];
                if (__float_as_int(four.x) <= middle) sum += weight(four.x), ++at;
                if (__float_as_int(four.y) <= middle) sum += weight(four.y), ++at;
                if (__float_as_int(four.z) <= middle) sum += weight(four.z), ++at;
                if (__float_as_int(four.w) <= middle) sum += weight(four.w), ++at;
            }
            sum = warp_sum(sum);
            at = __reduce_add_sync(kAllLanes, at);
            if (sum >= target) {
                high = middle;
                atHigh = at;
            } else {
                low = middle;
                atLow = at;
                sumAtLow = sum;
            }
        }
        if (high - low > 1) {
            // One candidate a lane: the values in (low, high].
            float mine = 0;
            int found = 0;
            for (int base = 0; base < blocks; base += kWarp) {
                const float value = base + lane < blocks ? e[base + lane] : -NEGATIVE_INFINITY;
                const bool candidate = __float_as_int(value) > low && __float_as_int(value) <= high;
                u32 candidates = __ballot_sync(kAllLanes, candidate);
                while (candidates != 0) {
                    const float taken = __shfl_sync(kAllLanes, value, __ffs(candidates) - 1);
                    if (lane == found) mine = taken;
                    candidates &= candidates - 1;
                    ++found;
                }
            }
            float sum = sumAtLow;
            for (int i = 0; i < found; ++i) {
                const float other = __shfl_sync(kAllLanes, mine, i);
                if (other <= mine) sum += weight(other);
            }
            // The largest candidate that is still dropped, if any, is the bound; the largest of all is never dropped.
            const bool drop = lane < found && sum < target && __float_as_int(mine) < __float_as_int(1.0f);
            low = max(low, __reduce_max_sync(kAllLanes, drop ? __float_as_int(mine) : -1));
        }
    }

    if (least > 1) {
        // The highest bound above which there are enough values; −1 has all above it.
        auto above = [&](int bound) {
            int at = 0;
            for (int j = lane; j < blocks; j += kWarp) at += __float_as_int(e[j]) > bound;
            return __reduce_add_sync(kAllLanes, at);
        };
        if (above(low) < least) {
            int enough = -1;
            while (low - enough > 1) {
                const int middle = enough + (low - enough) / 2;
                if (above(middle) >= least) enough = middle; else low = middle;
            }
            low = enough;
        }
    }

    const int frame = gridHeight * gridWidth, words = (blocks + kWarp - 1) / kWarp;
    const int rowT = row / frame, rowH = row % frame / gridWidth, rowW = row % gridWidth;
    u32 word = 0;
    int count = 0;
    for (int base = 0; base < blocks; base += kWarp) {
        const int j = base + lane;
        bool keep = j < blocks && __float_as_int(e[j]) > low;
        if (windowT >= 0 && j < blocks) {
            const int t = j / frame, h = j % frame / gridWidth, w = j % gridWidth;
            keep |= abs(t - rowT) <= windowT && abs(h - rowH) <= windowH && abs(w - rowW) <= windowW;
        }
        const u32 kept = __ballot_sync(kAllLanes, keep);
        if (lists != nullptr && keep) lists[line * blocks + count + __popc(kept & ((1u << lane) - 1))] = (u16)j;
        count += __popc(kept);
        // The words leave 32 at a time.
        const int index = base / kWarp;
        if (index % kWarp == lane) word = kept;
        if (index % kWarp == kWarp - 1 || index == words - 1) {
            const int at = index / kWarp * kWarp + lane;
            if (at < words) mask[line * words + at] = word;
        }
    }
    if (lane == 0) counts[line] = count;
}
