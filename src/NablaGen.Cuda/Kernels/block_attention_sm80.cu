// Block-sparse attention for sm_80 and newer: out = softmax(q kᵀ · scale) v over each query block's own list of key blocks.
//
// One thread block a query block of 1 to 64 tokens; each warp takes ROW_TILES · 16 rows. Q stays in shared memory; K and V have
// one buffer each, filled by cp.async: V arrives while Q Kᵀ runs, the next K while P V runs. Several thread blocks a
// multiprocessor (48 KiB of shared memory each at head size 128) fill one another's waits. Products are mma.sync m16n8k16 with
// float32 sums; the running maximum is moved only when some logit exceeds it by more than 2^8.
//
// q, k, v  bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// out      the same; each row is written once, rounded from float32
// lists    u16 [batch · heads, blocks, listStride] ascending; `listHeadStride` 0 shares one head's lists among all
// counts   i32 [batch · heads, blocks], `countHeadStride` 0 likewise; offsets i32 [blocks + 1], first token of each block
// lse      float32 [batch · heads, tokens] or null: natural log of Σ exp(logit)
// A query block with an empty list gets zeros and −∞.
// Grid (blocks, batch · heads), 32 · WARPS threads, dynamic shared memory 3 · 64 · HEAD_DIM elements.
// Macros: HEAD_DIM (64 or 128), WARPS (2 or 4).
#include "ampere.cuh"

#ifndef WARPS
#define WARPS 2
#endif

constexpr int kThreads = WARPS * kWarp;
constexpr int kRowTiles = 4 / WARPS;                           // tiles of 16 rows a warp
constexpr float kSlack = 8.0f;

struct Work {
    const u16 *q, *k, *v;
    u16* out;
    float* lse;
    const u16* lists;
    const int* counts;
    const int* offsets;
    Strides qStrides, kStrides, vStrides, outStrides;
    i64 listHeadStride;
    int countHeadStride, listStride, heads, blocks, tokens;
    float scaleLog2;             // softmax scale · log2(e)
};

extern "C" __global__ void __launch_bounds__(kThreads, 8 / WARPS) block_attention_sm80(const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    const u32 tileQ = shared_address(shared), tileK = tileQ + kTileBytes, tileV = tileK + kTileBytes;
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp;
    const int block = blockIdx.x, bh = blockIdx.y;
    const int batch = bh / work.heads, head = bh % work.heads;
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    const int count = work.counts[bh * work.countHeadStride + block];
    const u16* list = work.lists + bh * work.listHeadStride + (i64)block * work.listStride;
    const u16* k = work.k + batch * work.kStrides.batch + head * work.kStrides.head;
    const u16* v = work.v + batch * work.vStrides.batch + head * work.vStrides.head;
    const float scale = work.scaleLog2;

    float o[kRowTiles][HEAD_DIM / 8][4], m[kRowTiles][2], l[kRowTiles][2];
#pragma unroll
    for (int t = 0; t < kRowTiles; ++t) {
#pragma unroll
        for (int j = 0; j < HEAD_DIM / 8; ++j) o[t][j][0] = o[t][j][1] = o[t][j][2] = o[t][j][3] = 0;
        m[t][0] = m[t][1] = NEGATIVE_INFINITY;
        l[t][0] = l[t][1] = 0;
    }

    int keyStart = 0, tokens = 0;
    if (count > 0) {
        const u16* q = work.q + batch * work.qStrides.batch + head * work.qStrides.head + start * work.qStrides.token;
        copy_tile<kThreads>(tileQ, q, work.qStrides.token, rows, thread);
        keyStart = work.offsets[list[0]];
        tokens = work.offsets[list[0] + 1] - keyStart;
        copy_tile<kThreads>(tileK, k + keyStart * work.kStrides.token, work.kStrides.token, tokens, thread);
        copy_commit();
    }
    const u32 fragmentQ = piece(tileQ, warp * kRowTiles * 16 + lane % 16, lane / 16);
    const u32 fragmentK = piece(tileK, lane % 8 + lane / 16 * 8, lane / 8 % 2);
    const u32 fragmentV = piece(tileV, lane % 16, lane / 16);

    for (int i = 0; i < count; ++i) {
        int nextStart = 0, nextTokens = 0;
        if (i + 1 < count) {
            const int next = list[i + 1];
            nextStart = work.offsets[next];
            nextTokens = work.offsets[next + 1] - nextStart;
        }
        copy_tile<kThreads>(tileV, v + keyStart * work.vStrides.token, work.vStrides.token, tokens, thread);
        copy_commit();
        copy_wait<1>();
        __syncthreads();

        float s[kRowTiles][8][4];
#pragma unroll
        for (int t = 0; t < kRowTiles; ++t) {
#pragma unroll
            for (int j = 0; j < 8; ++j) s[t][j][0] = s[t][j][1] = s[t][j][2] = s[t][j][3] = 0;
        }
#pragma unroll
        for (int step = 0; step < HEAD_DIM / 16; ++step) {
            u32 a[kRowTiles][4];
#pragma unroll
            for (int t = 0; t < kRowTiles; ++t) load_matrices(a[t], (fragmentQ ^ step << 5) + t * 16 * kRowBytes);
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                u32 b[4];
                load_matrices(b, (fragmentK ^ step << 5) + j * 16 * kRowBytes);
#pragma unroll
                for (int t = 0; t < kRowTiles; ++t) {
                    multiply(s[t][2 * j], a[t], b[0], b[1]);
                    multiply(s[t][2 * j + 1], a[t], b[2], b[3]);
                }
            }
        }
        __syncthreads();
        if (i + 1 < count) copy_tile<kThreads>(tileK, k + nextStart * work.kStrides.token, work.kStrides.token, nextTokens, thread);
        copy_commit();

        u32 p[kRowTiles][4][4];
#pragma unroll
        for (int t = 0; t < kRowTiles; ++t) {
            if (tokens < kBlock) {
#pragma unroll
                for (int j = 0; j < 8; ++j) {
#pragma unroll
                    for (int e = 0; e < 4; ++e) {
                        if (j * 8 + lane % 4 * 2 + (e & 1) >= tokens) s[t][j][e] = NEGATIVE_INFINITY;
                    }
                }
            }
            float top0 = NEGATIVE_INFINITY, top1 = NEGATIVE_INFINITY;
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                top0 = fmaxf(top0, fmaxf(s[t][j][0], s[t][j][1]));
                top1 = fmaxf(top1, fmaxf(s[t][j][2], s[t][j][3]));
            }
            if (__any_sync(kAllLanes, top0 * scale > m[t][0] + kSlack || top1 * scale > m[t][1] + kSlack)) {
                const float n0 = fmaxf(m[t][0], quad_max(top0) * scale), n1 = fmaxf(m[t][1], quad_max(top1) * scale);
                const float f0 = exp2_approx(m[t][0] - n0), f1 = exp2_approx(m[t][1] - n1);
                m[t][0] = n0;
                m[t][1] = n1;
                l[t][0] *= f0;
                l[t][1] *= f1;
#pragma unroll
                for (int j = 0; j < HEAD_DIM / 8; ++j) {
                    o[t][j][0] *= f0;
                    o[t][j][1] *= f0;
                    o[t][j][2] *= f1;
                    o[t][j][3] *= f1;
                }
            }
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                s[t][j][0] = exp2_approx(fmaf(s[t][j][0], scale, -m[t][0]));
                s[t][j][1] = exp2_approx(fmaf(s[t][j][1], scale, -m[t][0]));
                s[t][j][2] = exp2_approx(fmaf(s[t][j][2], scale, -m[t][1]));
                s[t][j][3] = exp2_approx(fmaf(s[t][j][3], scale, -m[t][1]));
                l[t][0] += s[t][j][0] + s[t][j][1];
                l[t][1] += s[t][j][2] + s[t][j][3];
                p[t][j / 2][j % 2 * 2] = pack_elements(s[t][j][0], s[t][j][1]);
                p[t][j / 2][j % 2 * 2 + 1] = pack_elements(s[t][j][2], s[t][j][3]);
            }
        }

        copy_wait<1>();
        __syncthreads();
#pragma unroll
        for (int step = 0; step < 4; ++step) {
#pragma unroll
            for (int j = 0; j < HEAD_DIM / 16; ++j) {
                u32 b[4];
                load_matrices_transposed(b, (fragmentV ^ j << 5) + step * 16 * kRowBytes);
#pragma unroll
                for (int t = 0; t < kRowTiles; ++t) {
                    multiply(o[t][2 * j], p[t][step], b[0], b[1]);
                    multiply(o[t][2 * j + 1], p[t][step], b[2], b[3]);
                }
            }
        }
        __syncthreads();
        keyStart = nextStart;
        tokens = nextTokens;
    }
    copy_wait<0>();

    u16* out = work.out + batch * work.outStrides.batch + head * work.outStrides.head + start * work.outStrides.token;
#pragma unroll
    for (int t = 0; t < kRowTiles; ++t) {
        const int row = (warp * kRowTiles + t) * 16 + lane / 4, quad = lane % 4;
        const float l0 = quad_sum(l[t][0]), l1 = quad_sum(l[t][1]);
        const float r0 = l0 > 0 ? 1 / l0 : 0, r1 = l1 > 0 ? 1 / l1 : 0;
#pragma unroll
        for (int j = 0; j < HEAD_DIM / 32; ++j) {
            u32 low[4], high[4];
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                low[i] = pack_elements(o[t][j * 4 + i][0] * r0, o[t][j * 4 + i][1] * r0);
                high[i] = pack_elements(o[t][j * 4 + i][2] * r1, o[t][j * 4 + i][3] * r1);
            }
            quad_transpose(low, quad);
            quad_transpose(high, quad);
            const int column = j * 32 + quad * 8;
            if (row < rows) {
                *(uint4*)(out + row * work.outStrides.token + column) = make_uint4(low[0], low[1], low[2], low[3]);
            }
            if (row + 8 < rows) {
                *(uint4*)(out + (row + 8) * work.outStrides.token + column) = make_uint4(high[0], high[1], high[2], high[3]);
            }
        }
        if (work.lse != nullptr && quad == 0) {
            float* lse = work.lse + (i64)bh * work.tokens + start;
            if (row < rows) lse[row] = l0 > 0 ? (m[t][0] + __log2f(l0)) * kLn2 : NEGATIVE_INFINITY;
            if (row + 8 < rows) lse[row + 8] = l1 > 0 ? (m[t][1] + __log2f(l1)) * kLn2 : NEGATIVE_INFINITY;
        }
    }
}
