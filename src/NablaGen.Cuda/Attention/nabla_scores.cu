// Logits between pooled blocks (NABLA, step 1):
//
//     scores[h, i, j] = q̄_i · k̄_j · scale + log(n_j / 64)
//
// A product of bf16 operands would move blocks that lie at the threshold. So each operand is split in two bf16 parts, together
// good to 17 bits, and three of the four products are summed in float32: errors near 1e-5 of a logit's size at a third of the
// matrix units' bf16 speed.
//
// q, k     float32 [heads, blocks, HEAD_DIM], contiguous
// offsets  i32 [blocks + 1], first token of each block
// scores   float32 [heads, blocks, scoreStride], scoreStride even; what lies past a row's blocks is anything
// Grid (tiles of kScoreTile key blocks, as many query blocks, heads), kScoreThreads threads, each warp 32 query blocks times 64 key blocks. The head is
// taken 32 columns at a time. Loading and splitting are as much work for a small tile as the products are; a large one does half of it for each product,
// and two thread blocks of a multiprocessor hide it behind one another's products.
// Macro: HEAD_DIM (64 or 128).
#include "common.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif

constexpr int kSlice = 32;                        // columns of the head at a time
constexpr int kChunks = kSlice / 8;
constexpr int kPieces = kScoreTile * kChunks / kScoreThreads;
constexpr int kTileBytes = kScoreTile * kSlice * 2;

// Eight columns of a row: four, and those half a slice further on, so that neighbours read memory without gaps. The order of columns is the same in both tiles.
struct Piece {
    float4 a, b;
};

DEVICE u32 pack_bf16(float low, float high) {
    u32 packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

// Two neighbours as two bf16 words: the rounded values and what rounding took away.
DEVICE void split(float x, float y, u32& high, u32& low) {
    high = pack_bf16(x, y);
    low = pack_bf16(x - __uint_as_float(high << 16), y - __uint_as_float(high & 0xffff0000u));
}

// Where the 16-byte piece (row, chunk) of a tile lies: the swizzle spreads a column's pieces over all banks.
DEVICE u32 piece(u32 tile, int row, int chunk) { return tile + row * (kSlice * 2) + ((chunk ^ (row / 2 & 3)) << 4); }

DEVICE void store_piece(u32 address, const u32 (&w)[4]) {
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};"
                 ::"r"(address), "r"(w[0]), "r"(w[1]), "r"(w[2]), "r"(w[3]) : "memory");
}

// A thread's share of a slice; zeros past the last block.
DEVICE void fetch(Piece (&pieces)[kPieces], const float* rows, int first, int blocks, int thread) {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
        const int row = (i * kScoreThreads + thread) / kChunks, chunk = thread % kChunks;
        pieces[i].a = pieces[i].b = make_float4(0, 0, 0, 0);
        if (first + row < blocks) {
            const float4* from = (const float4*)(rows + (i64)(first + row) * HEAD_DIM) + chunk;
            pieces[i].a = from[0];
            pieces[i].b = from[kSlice / 8];
        }
    }
}

// The same to two tiles, the high parts and the low parts.
DEVICE void store_tile(u32 high, u32 low, const Piece (&pieces)[kPieces], int thread) {
#pragma unroll
    for (int i = 0; i < kPieces; ++i) {
        const int row = (i * kScoreThreads + thread) / kChunks, chunk = thread % kChunks;
        u32 h[4], l[4];
        split(pieces[i].a.x, pieces[i].a.y, h[0], l[0]);
        split(pieces[i].a.z, pieces[i].a.w, h[1], l[1]);
        split(pieces[i].b.x, pieces[i].b.y, h[2], l[2]);
        split(pieces[i].b.z, pieces[i].b.w, h[3], l[3]);
        store_piece(piece(high, row, chunk), h);
        store_piece(piece(low, row, chunk), l);
    }
}

DEVICE void load_matrices(u32 (&r)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}

DEVICE void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

extern "C" __global__ void __launch_bounds__(kScoreThreads, 2) nabla_scores(
    const float* __restrict__ q, const float* __restrict__ k, const int* __restrict__ offsets, float* __restrict__ scores,
    int blocks, int scoreStride, float scale) {
    __shared__ __align__(128) u8 shared[4 * kTileBytes];
    const u32 highQ = shared_address(shared), lowQ = highQ + kTileBytes, highK = lowQ + kTileBytes, lowK = highK + kTileBytes;
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp;
    const int keyBase = blockIdx.x * kScoreTile, queryBase = blockIdx.y * kScoreTile, head = blockIdx.z;
    const int rowBase = warp / 2 * 32, columnBase = warp % 2 * 64;
    const int rowQ = rowBase + lane % 16, chunkQ = lane / 16;
    const int rowK = columnBase + lane % 8 + lane / 16 * 8, chunkK = lane / 8 % 2;
    const float* fromQ = q + (i64)head * blocks * HEAD_DIM;
    const float* fromK = k + (i64)head * blocks * HEAD_DIM;
    float d[2][8][4] = {};
#pragma unroll 1
    for (int column = 0; column < HEAD_DIM; column += kSlice) {
        Piece ofQ[kPieces], ofK[kPieces];
        fetch(ofQ, fromQ + column, queryBase, blocks, thread);
        fetch(ofK, fromK + column, keyBase, blocks, thread);
        __syncthreads();
        store_tile(highQ, lowQ, ofQ, thread);
        store_tile(highK, lowK, ofK, thread);
        __syncthreads();
#pragma unroll
        for (int step = 0; step < kSlice / 16; ++step) {
            u32 high[2][4], low[2][4];
#pragma unroll
            for (int t = 0; t < 2; ++t) {
                load_matrices(high[t], piece(highQ, rowQ + t * 16, step * 2 + chunkQ));
                load_matrices(low[t], piece(lowQ, rowQ + t * 16, step * 2 + chunkQ));
            }
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                u32 bHigh[4], bLow[4];
                load_matrices(bHigh, piece(highK, rowK + j * 16, step * 2 + chunkK));
                load_matrices(bLow, piece(lowK, rowK + j * 16, step * 2 + chunkK));
#pragma unroll
                for (int n = 0; n < 2; ++n) {
#pragma unroll
                    for (int t = 0; t < 2; ++t) multiply(d[t][2 * j + n], low[t], bHigh[2 * n], bHigh[2 * n + 1]);
                }
#pragma unroll
                for (int n = 0; n < 2; ++n) {
#pragma unroll
                    for (int t = 0; t < 2; ++t) multiply(d[t][2 * j + n], high[t], bLow[2 * n], bLow[2 * n + 1]);
                }
#pragma unroll
                for (int n = 0; n < 2; ++n) {
#pragma unroll
                    for (int t = 0; t < 2; ++t) multiply(d[t][2 * j + n], high[t], bHigh[2 * n], bHigh[2 * n + 1]);
                }
            }
        }
    }

    float* out = scores + (i64)head * blocks * scoreStride;
#pragma unroll
    for (int j = 0; j < 8; ++j) {
        const int key = keyBase + columnBase + j * 8 + lane % 4 * 2;
        if (key >= blocks) continue;
        const bool pair = key + 1 < blocks;
        const int start = offsets[key], middle = offsets[key + 1], end = pair ? offsets[key + 2] : middle;
        const float bias0 = __logf((middle - start) / (float)kBlock), bias1 = pair ? __logf((end - middle) / (float)kBlock) : 0;
#pragma unroll
        for (int t = 0; t < 2; ++t) {
#pragma unroll
            for (int r = 0; r < 2; ++r) {
                const int query = queryBase + rowBase + t * 16 + lane / 4 + r * 8;
                if (query >= blocks) continue;
                // Past an odd number of blocks lies a row's padding.
                *(float2*)(out + (i64)query * scoreStride + key) = make_float2(fmaf(d[t][j][2 * r], scale, bias0), fmaf(d[t][j][2 * r + 1], scale, bias1));
            }
        }
    }
}
