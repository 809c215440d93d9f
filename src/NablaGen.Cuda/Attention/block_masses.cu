// What each key block carries of the softmax of each query block, exactly, where pooled logits estimate it (NABLA's masks from a dense step):
//
//     scores[h, i, j] = log( (1 / n_i) Σ exp(q_r · k_c · scale − lse_r) ),  r in query block i, c in key block j
//
// The softmax of a row of scores is the row's masses, so nabla_select takes them in the stead of nabla_scores' logits.
//
// One thread block a query block of 1 to 64 tokens, two warps of 32 rows. Q stays in shared memory; the key blocks pass through two buffers that
// cp.async fills, the next one beside the products of this one.
//
// q, k     bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// lse      float32 [batch · heads, tokens]: natural log of Σ exp(logit) over all keys
// offsets  i32 [blocks + 1], first token of each block
// scores   float32 [heads of this launch, blocks, scoreStride]; −∞ where a block carries nothing that float32 can hold
// Grid (blocks, heads of this launch, from firstHead on), kMassThreads threads, dynamic shared memory 3 · 64 · HEAD_DIM elements and 16 bytes.
// Macro: HEAD_DIM (64 or 128).
#include "ampere.cuh"

constexpr int kWarps = kMassThreads / kWarp;
constexpr int kWarpRows = kBlock / kWarps;
constexpr int kSteps = HEAD_DIM / 16;
static_assert(kWarpRows == 32, "a warp takes two fragments of 16 rows");

struct Work {
    const u16 *q, *k;
    const float* lse;
    const int* offsets;
    float* scores;
    Strides qStrides, kStrides;
    int firstHead, heads, blocks, tokens, scoreStride;
    float scaleLog2;             // softmax scale · log2(e)
};

// s = q kᵀ of a warp's 32 rows and 64 keys.
DEVICE void products(float (&s)[2][8][4], u32 fragmentQ, u32 fragmentK) {
#pragma unroll
    for (int step = 0; step < kSteps; ++step) {
        u32 a[2][4], b[4][4];
#pragma unroll
        for (int t = 0; t < 2; ++t) load_matrices(a[t], along(fragmentQ, step) + t * 16 * kRowBytes);
#pragma unroll
        for (int j = 0; j < 4; ++j) load_matrices(b[j], along(fragmentK, step) + j * 16 * kRowBytes);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
#pragma unroll
            for (int t = 0; t < 2; ++t) {
                if (step == 0) {
                    multiply_first(s[t][2 * j], a[t], b[j][0], b[j][1]);
                    multiply_first(s[t][2 * j + 1], a[t], b[j][2], b[j][3]);
                } else {
                    multiply(s[t][2 * j], a[t], b[j][0], b[j][1]);
                    multiply(s[t][2 * j + 1], a[t], b[j][2], b[j][3]);
                }
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(kMassThreads, 4) block_masses(const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    const u32 tileQ = shared_address(shared), tileK = tileQ + kTileBytes;
    float* parts = (float*)(shared + 3 * kTileBytes);          // each warp's sum, of this key block and of the one before
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp;
    const int block = blockIdx.x, bh = work.firstHead + blockIdx.y;
    const int batch = bh / work.heads, head = bh % work.heads;
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    const u16* q = work.q + batch * work.qStrides.batch + head * work.qStrides.head + start * work.qStrides.token;
    const u16* k = work.k + batch * work.kStrides.batch + head * work.kStrides.head;
    float* scores = work.scores + ((i64)blockIdx.y * work.blocks + block) * work.scoreStride;
    const u32 fragmentQ = piece(tileQ, warp * kWarpRows + lane % 16, lane / 16);
    const u32 fragmentK = piece(tileK, lane % 8 + lane / 16 * 8, lane / 8 % 2);

    // Rows past the block's end weigh nothing.
    float shift[2][2];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        const int row = warp * kWarpRows + i / 2 * 16 + i % 2 * 8 + lane / 4;
        shift[i / 2][i % 2] = row < rows ? work.lse[(i64)bh * work.tokens + start + row] * kLog2e : -NEGATIVE_INFINITY;
    }

    const auto copy_keys = [&](int key) {
        const int first = work.offsets[key];
        copy_tile<kMassThreads>(tileK + key % 2 * kTileBytes, k + first * work.kStrides.token, work.kStrides.token, work.offsets[key + 1] - first, thread);
        copy_commit();
    };
    const auto store = [&](int key) {
        float sum = 0;
#pragma unroll
        for (int i = 0; i < kWarps; ++i) sum += parts[key % 2 * kWarps + i];
        scores[key] = __logf(sum / rows);
    };

    copy_tile<kMassThreads>(tileQ, q, work.qStrides.token, rows, thread);
    copy_keys(0);
    for (int key = 0; key < work.blocks; ++key) {
        copy_wait<0>();
        __syncthreads();                                       // this tile is there, and all are done with the other one and its sums
        if (key + 1 < work.blocks) copy_keys(key + 1);
        if (thread == 0 && key > 0) store(key - 1);
        float s[2][8][4];
        products(s, fragmentQ, fragmentK + key % 2 * kTileBytes);
        const int keys = work.offsets[key + 1] - work.offsets[key], column = lane % 4 * 2;
        float sum = 0;
#pragma unroll
        for (int t = 0; t < 2; ++t) {
#pragma unroll
            for (int n = 0; n < 8; ++n) {
#pragma unroll
                for (int e = 0; e < 4; ++e) {
                    const float weight = exp2_approx(fmaf(s[t][n][e], work.scaleLog2, -shift[t][e / 2]));
                    if (n * 8 + column + (e & 1) < keys) sum += weight;
                }
            }
        }
        sum = warp_sum(sum);
        if (lane == 0) parts[key % 2 * kWarps + warp] = sum;
    }
    __syncthreads();
    if (thread == 0) store(work.blocks - 1);
}
