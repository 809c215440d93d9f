// The low-rank branch's first pass (RoLa): what all keys and values come to,
//
//     sums[chunk, b · heads + h] = Σ over the chunk's tokens of k'ᵀ v,    k' = turn(SiLU(W k))
//
// where k is the key as it was before RoPE (the rotation is taken back on the way) and `turn` rotates pairs of channels by the branch's angles.
// k' is rounded to an element before the product; sums are float32. Nothing but K, V and the sums touches the device's memory.
//
// k, v       bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// weight     elements [kLowRank, HEAD_DIM], contiguous
// table      float32 [tokens, HEAD_DIM / 2, 2]: cosine and sine of the keys' angles
// rankTable  float32 [tokens, kLowRank / 2, 2]: the branch's
// sums       float32 [gridDim.y, batch · heads, kLowRank, HEAD_DIM]
// Grid (batch · heads, chunks): heads side by side share what the cache holds of the tables. Chunk c takes the tiles of 64 tokens c, c + chunks, …
// kLowRankThreads threads, dynamic shared memory 2 · kTileBytes + kWeightBytes + 64 · kRankBytes. Macro: HEAD_DIM (64 or 128).
#include "low_rank.cuh"

struct Work {
    const u16 *k, *v, *weight;
    const float *table, *rankTable;
    float* sums;
    Strides kStrides, vStrides;
    int heads, tokens;
};

extern "C" __global__ void __launch_bounds__(kLowRankThreads, 3) low_rank_sum(const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    constexpr u32 kKeys = 0, kValues = kTileBytes, kWeight = 2 * kTileBytes, kFew = kWeight + kWeightBytes;
    const u32 base = shared_address(shared);
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp;
    const int batch = blockIdx.x / work.heads, head = blockIdx.x % work.heads;
    const Head k = head_of(work.k, work.kStrides, batch, head), v = head_of(work.v, work.vStrides, batch, head);
    load_weight(shared, kWeight, work.weight);
    __syncthreads();

    // A warp's 16 rows of the sum. Its operands are transposed: k' lies token by token.
    float sum[HEAD_DIM / 8][4] = {};
    const u32 few = base + kFew + (lane / 16 * 8 + lane % 8) * kRankBytes + (((warp * 2 + lane / 8 % 2) ^ (lane % 8)) << 4);
    const u32 values = base + piece(kValues, lane % 16, lane / 16);
    for (int first = blockIdx.y * kBlock; first < work.tokens; first += gridDim.y * kBlock) {
        copy_tile<kLowRankThreads>(base + kValues, v.tensor + first * v.tokenStride, v.tokenStride, min(kBlock, work.tokens - first), thread);
        copy_commit();
        load_plain(shared, kKeys, k, work.table, first, work.tokens, warp, lane);
        u32 p[kRank / 8][2];
        project(p, base, kKeys, kWeight, work.rankTable, first, work.tokens, warp, lane);
        // A key past the last one is zero, and so is its SiLU.
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const int row = warp * kRows + lane / 4 + 8 * h;
#pragma unroll
            for (int j = 0; j < kRank / 8; ++j) {
                *(u32*)(shared + kFew + row * kRankBytes + ((j ^ (row & 7)) << 4) + lane % 4 * 4) = p[j][h];
            }
        }
        copy_wait<0>();
        __syncthreads();
#pragma unroll
        for (int step = 0; step < kBlock / 16; ++step) {
            u32 a[4];
            load_matrices_transposed(a, few + step * 16 * kRankBytes);
#pragma unroll
            for (int j = 0; j < HEAD_DIM / 16; ++j) {
                u32 b[4];
                load_matrices_transposed(b, along(values, j) + step * 16 * kRowBytes);
                multiply(sum[2 * j], a, b[0], b[1]);
                multiply(sum[2 * j + 1], a, b[2], b[3]);
            }
        }
        __syncthreads();                                       // the next tile takes the place of this one
    }

    float* to = work.sums + ((i64)blockIdx.y * gridDim.x + blockIdx.x) * kRank * HEAD_DIM + (warp * 16 + lane / 4) * HEAD_DIM + lane % 4 * 2;
#pragma unroll
    for (int j = 0; j < HEAD_DIM / 8; ++j) {
        *(float2*)(to + j * 8) = make_float2(sum[j][0], sum[j][1]);
        *(float2*)(to + 8 * HEAD_DIM + j * 8) = make_float2(sum[j][2], sum[j][3]);
    }
}
