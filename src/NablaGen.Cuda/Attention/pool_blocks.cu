// Means of Q and K over each block of tokens (NABLA, step 1).
//
//     pooled[h, i, d] = (1 / n_i) Σ x[h, start_i + r, d], r < n_i, in float32
//
// q, k     bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// pooled   float32 [batch · heads, blocks, HEAD_DIM], contiguous
// offsets  i32 [blocks + 1], first token of each block; 1 to 64 tokens a block
// Grid (blocks, batch · heads, 2): z = 0 pools q, 1 pools k; a grid of depth 1 pools q alone. kPoolThreads threads, each a 16-byte column
// piece of every 8th (16th at HEAD_DIM 64) row, all loads in flight at once. Macro: HEAD_DIM (64 or 128).
#include "common.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif

constexpr int kChunks = HEAD_DIM / 8;
constexpr int kRowsAtOnce = kPoolThreads / kChunks;

struct Source {
    const u16* x;
    float* pooled;
    i64 batch, head, token;
};

struct Work {
    Source q, k;
    const int* offsets;
    int heads, blocks;
};

extern "C" __global__ void __launch_bounds__(kPoolThreads) pool_blocks(const __grid_constant__ Work work) {
    __shared__ float sums[kRowsAtOnce][HEAD_DIM + 4];
    const Source source = blockIdx.z == 0 ? work.q : work.k;
    const int block = blockIdx.x, bh = blockIdx.y, thread = threadIdx.x;
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    const int chunk = thread % kChunks, first = thread / kChunks;
    const u16* x = source.x + bh / work.heads * source.batch + bh % work.heads * source.head + start * source.token + chunk * 8;

    uint4 loaded[kBlock / kRowsAtOnce];
#pragma unroll
    for (int i = 0; i < kBlock / kRowsAtOnce; ++i) {
        const int row = first + i * kRowsAtOnce;
        loaded[i] = row < rows ? *(const uint4*)(x + row * source.token) : make_uint4(0, 0, 0, 0);
    }
    float sum[8] = {};
#pragma unroll
    for (int i = 0; i < kBlock / kRowsAtOnce; ++i) {
        const u32 words[4] = {loaded[i].x, loaded[i].y, loaded[i].z, loaded[i].w};
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            sum[2 * j] += low_element(words[j]);
            sum[2 * j + 1] += high_element(words[j]);
        }
    }
    float* mine = &sums[first][chunk * 8];
    *(float4*)mine = make_float4(sum[0], sum[1], sum[2], sum[3]);
    *(float4*)(mine + 4) = make_float4(sum[4], sum[5], sum[6], sum[7]);
    __syncthreads();
    if (thread < HEAD_DIM) {
        float total = 0;
#pragma unroll
        for (int i = 0; i < kRowsAtOnce; ++i) total += sums[i][thread];
        source.pooled[((i64)bh * work.blocks + block) * HEAD_DIM + thread] = total / rows;
    }
}
