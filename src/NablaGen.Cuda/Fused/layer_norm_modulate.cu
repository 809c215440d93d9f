// LayerNorm over the last dimension, an optional affine step and an optional modulation, in one pass over memory. Maths, macros and
// rounding: layer_norm.cuh.
//
// x             float32 [rows, COLUMNS]; y bf16 (or fp16; with FP8_ROWS fp8) [rows, COLUMNS]; both contiguous
// weight, bias  float32 [COLUMNS] or null, both or neither
// scale, shift  float32, row r uses those at (r / rowsPerBatch) · modulationStride; null, both or neither
// statistics    float32 pairs [rows], what layer_norm.cuh says; or null
// rowScales     float32 [rows], with FP8_ROWS; else null
// All pointers 16-byte aligned. Grid (rows), THREADS threads: one row a thread block, held in registers.
#include "layer_norm.cuh"

extern "C" __global__ void __launch_bounds__(THREADS) layer_norm_modulate(
    const float* __restrict__ x, Normalized* __restrict__ y, const float* __restrict__ weight, const float* __restrict__ bias,
    const float* __restrict__ scale, const float* __restrict__ shift, float2* __restrict__ statistics, float* __restrict__ rowScales,
    int rowsPerBatch, i64 modulationStride, float eps) {
    __shared__ float partial[kWarps];
    const i64 row = blockIdx.x;
    const float4* from = (const float4*)(x + row * COLUMNS);

    float4 v[kTurns];
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int at = threadIdx.x + i * THREADS;
        v[i] = past_end(at) ? make_float4(0, 0, 0, 0) : load_once(from + at);
    }

    const i64 batch = row / rowsPerBatch * modulationStride;
    layer_norm_row(v, y + row * COLUMNS, weight, bias, scale == nullptr ? nullptr : scale + batch,
                   shift == nullptr ? nullptr : shift + batch, statistics == nullptr ? nullptr : statistics + row,
                   rowScales == nullptr ? nullptr : rowScales + row, eps, partial);
}
