// The residual stream takes a gated branch: sum = x + y · gate, in float32.
//
// x, sum float32 [rows, columns], may be the same memory; y bf16 (or fp16) [rows, columns]; both contiguous
// gate   float32, row r uses the one at (r / rowsPerBatch) · gateStride; null: sum = x + y
// columns is a multiple of 8, pointers 16-byte aligned. Grid: any number of thread blocks of kWalkThreads threads, 8 elements a thread and
// turn.
#include "common.cuh"

DEVICE void add(float4& x, u32 y0, u32 y1, float4 g) {
    x.x += low_element(y0) * g.x;
    x.y += high_element(y0) * g.y;
    x.z += low_element(y1) * g.z;
    x.w += high_element(y1) * g.w;
}

extern "C" __global__ void __launch_bounds__(kWalkThreads) gate_residual(
    const float* x, float* sum, const u16* __restrict__ y, const float* __restrict__ gate, i64 rows, int columns, int rowsPerBatch,
    i64 gateStride) {
    const int vectors = columns / 8;
    const i64 total = rows * vectors;
    for (i64 i = (i64)blockIdx.x * kWalkThreads + threadIdx.x; i < total; i += (i64)gridDim.x * kWalkThreads) {
        const i64 row = i / vectors;
        const int column = (int)(i - row * vectors) * 8;
        const float4* stream = (const float4*)x + i * 2;
        float4* to = (float4*)sum + i * 2;
        const uint4 branch = ((const uint4*)y)[i];
        float4 a = stream[0], b = stream[1], g = make_float4(1, 1, 1, 1), h = g;
        if (gate != nullptr) {
            const float4* from = (const float4*)(gate + row / rowsPerBatch * gateStride + column);
            g = from[0];
            h = from[1];
        }
        add(a, branch.x, branch.y, g);
        add(b, branch.z, branch.w, h);
        to[0] = a;
        to[1] = b;
    }
}
