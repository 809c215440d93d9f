// From pooled logits to the mask (NABLA, steps 2 and 3).
//
// For each row P = softmax(scores). Sorted ascending and cumulated, the blocks where the sum reaches 1 − thr are kept; that is
// {j : S(P_j) ≥ 1 − thr} with S(x) = Σ {P_i : P_i ≤ x}, so no sort is needed. A bisection on the bits of e = exp(score − max),
// which order as the numbers do, narrows (low, high] with S(low) < 1 − thr ≤ S(high) until at most 32 values are left in it;
// then one lane a value computes S itself. It begins at (1 − thr) / blocks, for so little comes to less than 1 − thr however often it is there.
// Equal values are kept or dropped together, and the largest is always kept. Blocks
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
// Grid (⌈blocks / WARPS⌉, heads), 32 · WARPS threads, one warp a row. With VALUES, blocks ≤ 32 · VALUES, a lane holds its VALUES numbers of the row in
// registers; without, they are in WARPS · rowStride floats of dynamic shared memory, rowStride = blocks rounded up to 32.
// Macros: WARPS, VALUES, BY_COUNT.
#include "common.cuh"

#ifndef WARPS
#define WARPS 8
#endif
#ifdef BY_COUNT
constexpr bool kByCount = true;
#else
constexpr bool kByCount = false;
#endif
#ifdef VALUES
#define EACH_VALUE _Pragma("unroll") for (int i = 0; i < VALUES; ++i)
#else
#define EACH_VALUE _Pragma("unroll 8") for (int i = 0; i < values; ++i)
#endif

// What a block weighs, by its value.
DEVICE float weight(float value) { return kByCount ? 1 : value; }

#ifdef VALUES
constexpr int kThreadBlocks = VALUES <= 24 ? 4 : VALUES <= 40 ? 3 : 2;
#else
constexpr int kThreadBlocks = 1;
#endif

extern "C" __global__ void __launch_bounds__(WARPS * kWarp, kThreadBlocks) nabla_select(
    const float* __restrict__ scores, u32* __restrict__ mask, u16* __restrict__ lists, int* __restrict__ counts, int blocks,
    int scoreStride, int rowStride, float dropped, const float* __restrict__ byHead, int least, int windowT, int windowH, int windowW, int gridHeight,
    int gridWidth) {
    __shared__ float candidates[WARPS][kWarp];
    const int lane = threadIdx.x % kWarp, warp = threadIdx.x / kWarp;
    const int row = blockIdx.x * WARPS + warp;
    if (row >= blocks) return;
    const i64 line = (i64)blockIdx.y * blocks + row;
    const float* from = scores + line * scoreStride + lane;
    // Value i of a lane is that of block 32 i + lane.
#ifdef VALUES
    constexpr int values = VALUES;
    float e[VALUES];
#define VALUE(i) e[i]
#else
    extern __shared__ float shared[];
    const int values = rowStride / kWarp;
    float* e = shared + warp * rowStride + lane;
#define VALUE(i) e[(i) * kWarp]
#endif

    const int own = (blocks - lane + kWarp - 1) / kWarp;
    EACH_VALUE VALUE(i) = i < own ? from[i * kWarp] : NEGATIVE_INFINITY;
    float top = NEGATIVE_INFINITY;
    EACH_VALUE top = fmaxf(top, VALUE(i));
    top = warp_max(top);
    float parts[2] = {};
    if (kByCount) {
        float bottom = top;
        EACH_VALUE if (i < own) bottom = fminf(bottom, VALUE(i));
        bottom = -warp_max(-bottom);
        EACH_VALUE VALUE(i) = VALUE(i) == top ? 1 : fminf((VALUE(i) - bottom) / (top - bottom), 0.99999994f);
    } else {
        EACH_VALUE {
            // The row's largest is 1 exactly.
            VALUE(i) = exp2_approx((VALUE(i) - top) * kLog2e);
            parts[i % 2] += VALUE(i);
        }
    }
    const float total = warp_sum(parts[0] + parts[1]);
    // Padding, which weighed nothing so far, lies above every bound.
    EACH_VALUE if (i >= own) VALUE(i) = -NEGATIVE_INFINITY;

    // Kept are the values whose bits are above `low`.
    const float target = (byHead != nullptr ? byHead[blockIdx.y] : dropped) * (kByCount ? 1 : total);
    int low = -1;
    if (target > 0) {
        // How many of a lane's values are up to each bound, too: what lies between is its candidates.
        int high = __float_as_int(1.0f), atLow = 0, atHigh = blocks, mineAtLow = 0, mineAtHigh = own;
        float sumAtLow = 0;
        // Nobody has counted what lies below the first bound, but with BY_COUNT there is nothing.
        bool isCounted = kByCount;
        low = kByCount ? -1 : min(__float_as_int(target * (0.99f / blocks)), high - 1);
        while (high - low > 1 && (!isCounted || atHigh - atLow > kWarp)) {
            const int middle = low + (high - low) / 2;
            // As floats, for which addition and comparison are faster; numbers up to 2^24 are exact.
            const float bound = __int_as_float(middle);
            float sums[2] = {}, ats[2] = {};
            EACH_VALUE {
                const float value = VALUE(i);
                if (value <= bound) sums[i % 2] += weight(value), ats[i % 2] += 1;
            }
            const float sum = warp_sum(sums[0] + sums[1]);
            const int mine = (int)(ats[0] + ats[1]), at = __reduce_add_sync(kAllLanes, mine);
            if (sum >= target) {
                high = middle;
                atHigh = at;
                mineAtHigh = mine;
            } else {
                low = middle;
                atLow = at;
                mineAtLow = mine;
                sumAtLow = sum;
                isCounted = true;
            }
        }
        if (high - low > 1) {
            // One candidate a lane: the values in (low, high].
            const int found = atHigh - atLow;
            int place = mineAtHigh - mineAtLow;
#pragma unroll
            for (int offset = 1; offset < kWarp; offset *= 2) {
                const int before = __shfl_up_sync(kAllLanes, place, offset);
                if (lane >= offset) place += before;
            }
            place -= mineAtHigh - mineAtLow;
            const float above = low < 0 ? -1 : __int_as_float(low), upTo = __int_as_float(high);
            EACH_VALUE {
                const float value = VALUE(i);
                if (value > above && value <= upTo) candidates[warp][place++] = value;
            }
            __syncwarp();
            const float mine = candidates[warp][lane];
            float sum = sumAtLow;
            for (int i = 0; i < found; ++i) {
                const float other = candidates[warp][i];
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
            EACH_VALUE at += i < own && __float_as_int(VALUE(i)) > bound;
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
    int count = 0;
#ifdef VALUES
#pragma unroll
#endif
    for (int base = 0; base < values; base += kWarp) {
        // Lane w has word base + w.
        u32 word = 0;
#pragma unroll
        for (int w = 0; w < kWarp; ++w) {
            if (base + w >= values) break;
            const u32 kept = __ballot_sync(kAllLanes, __float_as_int(VALUE(base + w)) > low);
            if (w == lane) word = kept;
        }
        // Padding lies above every bound.
        const int left = blocks - (base + lane) * kWarp;
        word &= left <= 0 ? 0 : left < kWarp ? (1u << left) - 1 : kAllLanes;
        const int last = min(kWarp, words - base);
        if (windowT >= 0) {
            for (int w = 0; w < last; ++w) {
                const int j = (base + w) * kWarp + lane, t = j / frame, h = j % frame / gridWidth, x = j % gridWidth;
                const u32 near = __ballot_sync(kAllLanes, j < blocks && abs(t - rowT) <= windowT && abs(h - rowH) <= windowH && abs(x - rowW) <= windowW);
                if (w == lane) word |= near;
            }
        }
        if (lists != nullptr) {
            for (int w = 0; w < last; ++w) {
                const u32 kept = __shfl_sync(kAllLanes, word, w);
                if (kept >> lane & 1) lists[line * blocks + count + __popc(kept & ((1u << lane) - 1))] = (u16)((base + w) * kWarp + lane);
                count += __popc(kept);
            }
        } else {
            count += __reduce_add_sync(kAllLanes, __popc(word));
        }
        if (lane < last) mask[line * words + base + lane] = word;
    }
    if (lane == 0) counts[line] = count;
}
