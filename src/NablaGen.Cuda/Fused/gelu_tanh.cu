// GELU, tanh form: y = ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))), in float32, rounded once to bf16 (or fp16).
//
// x, y  bf16 (or fp16), contiguous, 16-byte aligned, may be the same memory; `vectors` is the number of elements / 8.
// Grid: any number of thread blocks of kWalkThreads threads, 8 elements a thread and turn.
#include "gelu.cuh"

DEVICE u32 gelu_pair(u32 x) { return pack_elements(gelu(low_element(x)), gelu(high_element(x))); }

extern "C" __global__ void __launch_bounds__(kWalkThreads) gelu_tanh(const uint4* x, uint4* y, i64 vectors) {
    for (i64 i = (i64)blockIdx.x * kWalkThreads + threadIdx.x; i < vectors; i += (i64)gridDim.x * kWalkThreads) {
        const uint4 v = x[i];
        y[i] = make_uint4(gelu_pair(v.x), gelu_pair(v.y), gelu_pair(v.z), gelu_pair(v.w));
    }
}
