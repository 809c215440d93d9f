// The residual stream takes a gated branch and is normalised for the next one, in one pass over memory:
//
//     sum = x + y · gate (+ second)   ·   h = LayerNorm(sum), its optional affine step and modulation (layer_norm.cuh)
//
// x, sum        float32 [rows, COLUMNS], may be the same memory; y, h bf16 (or fp16) [rows, COLUMNS], may be too; all contiguous;
//               with FP8_ROWS h is fp8, and memory of its own; sum null: it is not kept
// second        as y, without a gate; null: none
// gate          float32, row r uses the one at (r / rowsPerBatch) · modulationStride; null: sum = x + y
// weight, bias  float32 [COLUMNS] or null, both or neither
// scale, shift  float32, as gate; null, both or neither
// statistics    float32 pairs [rows], what layer_norm.cuh says; or null
// rowScales     float32 [rows], with FP8_ROWS; else null
// All pointers 16-byte aligned. Grid (rows), THREADS threads: one row a thread block, held in registers.
// It saves reading x a second time: 12 bytes an element in place of 16.
#include "layer_norm.cuh"

extern "C" __global__ void __launch_bounds__(THREADS) gate_residual_norm(
    const float* x, float* sum, const u16* y, const u16* second, Normalized* h, const float* __restrict__ gate, const float* __restrict__ weight,
    const float* __restrict__ bias, const float* __restrict__ scale, const float* __restrict__ shift, float2* __restrict__ statistics,
    float* __restrict__ rowScales, int rowsPerBatch, i64 modulationStride, float eps) {
    __shared__ float partial[kWarps];
    const i64 row = blockIdx.x;
    const i64 batch = row / rowsPerBatch * modulationStride;
    const float4* from = (const float4*)(x + row * COLUMNS);
    float4* to = (float4*)(sum + row * COLUMNS);

    // All loads first: what is stored may be the same memory, so none would go past a store.
    float4 v[kTurns];
    uint2 b[kTurns], c[kTurns];
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
        v[i] = make_float4(0, 0, 0, 0);
        b[i] = c[i] = make_uint2(0, 0);
        if (past_end(at)) continue;
        v[i] = load_once(from + at);
        b[i] = load_once((const uint2*)(y + row * COLUMNS) + at);
        if (second != nullptr) c[i] = load_once((const uint2*)(second + row * COLUMNS) + at);
    }
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
        if (past_end(at)) continue;
        const float4 g = gate == nullptr ? make_float4(1, 1, 1, 1) : ((const float4*)(gate + batch))[at];
        v[i].x += low_element(b[i].x) * g.x;
        v[i].y += high_element(b[i].x) * g.y;
        v[i].z += low_element(b[i].y) * g.z;
        v[i].w += high_element(b[i].y) * g.w;
        if (second != nullptr) {
            v[i].x += low_element(c[i].x);
            v[i].y += high_element(c[i].x);
            v[i].z += low_element(c[i].y);
            v[i].w += high_element(c[i].y);
        }
        if (sum != nullptr) to[at] = v[i];
    }

    layer_norm_row(v, h + row * COLUMNS, weight, bias, scale == nullptr ? nullptr : scale + batch,
                   shift == nullptr ? nullptr : shift + batch, statistics == nullptr ? nullptr : statistics + row,
                   rowScales == nullptr ? nullptr : rowScales + row, eps, partial);
}
