// The gradients of gate_residual_norm, or of one of its halves, in one pass over memory. With inputs x, y, gate, gain and offset it gives
//
//     s = x + y · gate   ·   n = (s − mean) · inverse   ·   h = n · (base + gain) + offset
//
// and with g the gradient of s from elsewhere and u that of h, all in float32,
//
//     v = u · (base + gain)   ·   d = g + inverse · (v − mean(v) − n · mean(v · n))
//     dx = d   ·   dy = d · gate, rounded once   ·   dgain = Σ u · n   ·   doffset = Σ u   ·   dgate = Σ d · y
//
// The sums are over a strip of rows: sum_strips adds up the strips. Nothing is atomic, so the same inputs give the same bits.
//
// s, g, dx      float32 [batch, rows, COLUMNS]; g null: zeros; u, y, dy bf16 (or fp16), the same shape; all contiguous
// statistics    float32 pairs [batch, rows]: mean and inverse (1 / √(variance + eps)) of each row
// gain          LayerNorm's weight (base 0) or a modulation's scale (base 1); float32, batch b uses that at b · gainStride; null: 1
// gate          float32, as gain, with gateStride; null: 1
// sums          float32 [dgain, doffset, dgate; those there are][batch, strips, COLUMNS] or null
// All pointers 16-byte aligned. Grid (strips, batch), THREADS threads; strip i is rows [i, i + 1) · stripRows, none past the end.
// Macros: NORM 0: no h, d = g, and dx is not written. BRANCH 0: no y. strips.cuh has the others.
#include "strips.cuh"

#ifndef NORM
#define NORM 1
#endif
#ifndef BRANCH
#define BRANCH 1
#endif

extern "C" __global__ void __launch_bounds__(THREADS) gate_residual_norm_backward(
    const float* __restrict__ s, const float2* __restrict__ statistics, const u16* __restrict__ u, const float* __restrict__ gain,
    float base, i64 gainStride, const float* __restrict__ g, float* __restrict__ dx, const u16* __restrict__ y,
    const float* __restrict__ gate, i64 gateStride, u16* __restrict__ dy, float* __restrict__ sums, int rows, int stripRows) {
    __shared__ float2 partial[2][kWarps];
    __shared__ float room[kRoom];
    const int batch = blockIdx.y, thread = threadIdx.x % GROUP, group = threadIdx.x / GROUP;
    const int first = blockIdx.x * stripRows, last = min(first + stripRows, rows);

    Eight factor[kTurns], gates[kTurns], dgain[kTurns], doffset[kTurns], dgate[kTurns];
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int column = (thread + i * GROUP) * 8;
        const bool there = column < COLUMNS;
        fill(factor[i], 1), fill(gates[i], 1), fill(dgain[i], 0), fill(doffset[i], 0), fill(dgate[i], 0);
        if (NORM && there && gain != nullptr) {
            load_floats(factor[i], gain + batch * gainStride + column);
#pragma unroll
            for (int j = 0; j < 8; ++j) factor[i][j] += base;
        }
        if (BRANCH && there && gate != nullptr) load_floats(gates[i], gate + batch * gateStride + column);
    }

    int turn = 0;
    for (int row = first + group; row < last; row += kGroups, turn ^= 1) {
        const i64 at = (i64)batch * rows + row;
        Eight n[kTurns], v[kTurns], d[kTurns];
        float inverse = 0, sum = 0, product = 0;
        if (NORM) {
            const float2 moments = statistics[at];
            inverse = moments.y;
#pragma unroll
            for (int i = 0; i < kTurns; ++i) {
                const int column = (thread + i * GROUP) * 8;
                if (column >= COLUMNS) continue;
                load_floats(n[i], s + at * COLUMNS + column);
                load_elements(v[i], u + at * COLUMNS + column);
#pragma unroll
                for (int j = 0; j < 8; ++j) {
                    n[i][j] = (n[i][j] - moments.x) * inverse;
                    dgain[i][j] += v[i][j] * n[i][j];
                    doffset[i][j] += v[i][j];
                    v[i][j] *= factor[i][j];
                    sum += v[i][j];
                    product += v[i][j] * n[i][j];
                }
            }
        }
#pragma unroll
        for (int i = 0; i < kTurns; ++i) {     // before the barrier, so that the loads do not wait for it
            const int column = (thread + i * GROUP) * 8;
            fill(d[i], 0);
            if (g != nullptr && column < COLUMNS) load_floats(d[i], g + at * COLUMNS + column);
        }
        if (NORM) {
            const float2 means = row_sums(sum, product, partial, turn);
            const float mean = means.x / COLUMNS, slope = means.y / COLUMNS;
#pragma unroll
            for (int i = 0; i < kTurns; ++i) {
                const int column = (thread + i * GROUP) * 8;
                if (column >= COLUMNS) continue;
#pragma unroll
                for (int j = 0; j < 8; ++j) d[i][j] += inverse * (v[i][j] - mean - n[i][j] * slope);
                store_floats(d[i], dx + at * COLUMNS + column);
            }
        }
        if (BRANCH) {
#pragma unroll
            for (int i = 0; i < kTurns; ++i) {
                const int column = (thread + i * GROUP) * 8;
                if (column >= COLUMNS) continue;
                Eight branch;
                if (gate != nullptr) load_elements(branch, y + at * COLUMNS + column);
#pragma unroll
                for (int j = 0; j < 8; ++j) {
                    if (gate != nullptr) dgate[i][j] += d[i][j] * branch[j];
                    d[i][j] *= gates[i][j];
                }
                store_elements(d[i], dy + at * COLUMNS + column);
            }
        }
    }

    if (sums == nullptr) return;
    const i64 plane = (i64)gridDim.x * gridDim.y * COLUMNS;
    float* to = sums + ((i64)batch * gridDim.x + blockIdx.x) * COLUMNS;
    if (NORM) {
        store_strip(dgain, to, room);
        store_strip(doffset, to + plane, room);
    }
    if (BRANCH) store_strip(dgate, to + (NORM ? 2 : 0) * plane, room);
}
