// The gradients of rms_norm_rope (without its means over blocks), in one pass over memory. With g the gradient of y, all in float32:
//
//     inverse = 1 / √(mean(x²) + eps)   ·   n = x · inverse
//     r[2i] + j r[2i + 1] = (g[2i] + j g[2i + 1]) · (cos − j sin)[token, i]      the rotation undone, per head
//     v = r · weight   ·   dx = inverse · (v − n · mean(v · n)), rounded once   ·   dweight = Σ r · round(n)
//
// The rounding of n to 16 bits has slope 1. The sum is over a strip of rows: sum_strips adds up the strips. Nothing is atomic, so the same
// inputs give the same bits.
//
// x, g, dx  bf16 (or fp16) [batch, tokens, COLUMNS = heads · HEAD_DIM], contiguous
// weight    float32 [COLUMNS]
// table     float32 [tokens, HEAD_DIM / 2, 2]: cosine and sine of each token's angles; null: no rotation
// sums      float32 [batch, strips, COLUMNS]
// All 16-byte aligned. Grid (strips, batch), THREADS threads; strip i is tokens [i, i + 1) · stripRows, none past the end.
// Macros: HEAD_DIM (64 or 128); strips.cuh has the others.
#include "strips.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif

extern "C" __global__ void __launch_bounds__(THREADS) rms_norm_rope_backward(
    const u16* __restrict__ x, const u16* __restrict__ g, u16* __restrict__ dx, const float* __restrict__ weight,
    const float* __restrict__ table, float* __restrict__ sums, int tokens, int stripRows, float eps) {
    __shared__ float2 partial[2][kWarps];
    __shared__ float room[kRoom];
    const int batch = blockIdx.y, thread = threadIdx.x % GROUP, group = threadIdx.x / GROUP;
    const int first = blockIdx.x * stripRows, last = min(first + stripRows, tokens);

    Eight w[kTurns], dweight[kTurns];
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int piece = thread + i * GROUP;
        fill(w[i], 0), fill(dweight[i], 0);
        if (piece < kPieces) load_floats(w[i], weight + piece * 8);
    }

    int turn = 0;
    for (int token = first + group; token < last; token += kGroups, turn ^= 1) {
        const i64 at = ((i64)batch * tokens + token) * COLUMNS;
        Eight values[kTurns], r[kTurns];
        float product = 0, squares = 0;
#pragma unroll
        for (int i = 0; i < kTurns; ++i) {
            const int piece = thread + i * GROUP;
            if (piece >= kPieces) continue;
            load_elements(values[i], x + at + piece * 8);
            load_elements(r[i], g + at + piece * 8);
            if (table != nullptr) {
                Eight angles;
                load_floats(angles, table + (i64)token * HEAD_DIM + piece % (HEAD_DIM / 8) * 8);
#pragma unroll
                for (int j = 0; j < 8; j += 2) {
                    const float c = angles[j], s = angles[j + 1], a = r[i][j], b = r[i][j + 1];
                    r[i][j] = a * c + b * s;
                    r[i][j + 1] = b * c - a * s;
                }
            }
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                squares += values[i][j] * values[i][j];
                product += r[i][j] * w[i][j] * values[i][j];
            }
        }
        const float2 totals = row_sums(product, squares, partial, turn);
        const float inverse = 1 / __fsqrt_rn(totals.y / COLUMNS + eps);
        const float slope = totals.x / COLUMNS * inverse;
#pragma unroll
        for (int i = 0; i < kTurns; ++i) {
            const int piece = thread + i * GROUP;
            if (piece >= kPieces) continue;
            Eight d;
#pragma unroll
            for (int j = 0; j < 8; j += 2) {
                const float a = values[i][j] * inverse, b = values[i][j + 1] * inverse;
                const u32 rounded = pack_elements(a, b);
                dweight[i][j] += r[i][j] * low_element(rounded);
                dweight[i][j + 1] += r[i][j + 1] * high_element(rounded);
                d[j] = inverse * (r[i][j] * w[i][j] - a * slope);
                d[j + 1] = inverse * (r[i][j + 1] * w[i][j + 1] - b * slope);
            }
            store_elements(d, dx + at + piece * 8);
        }
    }

    store_strip(dweight, sums + ((i64)batch * gridDim.x + blockIdx.x) * COLUMNS, room);
}
