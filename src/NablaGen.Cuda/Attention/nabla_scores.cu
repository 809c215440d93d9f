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
// Grid (tiles of kScoreKeys key blocks, tiles of kScoreQueries query blocks, heads), kScoreThreads threads, each warp a 32 × 32 piece. The head is taken 32
// columns at a time: while one slice is multiplied the next one comes, is split, and is stored into the other of two stages.
// Dynamic shared memory: kScoreSharedBytes. Macro: HEAD_DIM (64 or 128).
#include "common.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif

constexpr int kSlice = 32;                        // columns of the head at a time
constexpr int kChunks = kSlice / 8;
constexpr int kQueryPieces = kScoreQueries * kChunks / kScoreThreads, kKeyPieces = kScoreKeys * kChunks / kScoreThreads;
constexpr int kQueryBytes = kScoreQueries * kSlice * 2, kKeyBytes = kScoreKeys * kSlice * 2;
constexpr int kStageBytes = 2 * (kQueryBytes + kKeyBytes);
static_assert(2 * kStageBytes + kScoreKeys * 4 == kScoreSharedBytes, "shared memory");

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

// Four numbers, or zeros; asked for here and now, where the compiler would wait until they are needed.
DEVICE float4 load_now(const float4* from, bool there) {
    float4 x = make_float4(0, 0, 0, 0);
    asm volatile("{.reg .pred p; setp.ne.u32 p, %5, 0; @p ld.global.nc.v4.f32 {%0, %1, %2, %3}, [%4];}"
                 : "+f"(x.x), "+f"(x.y), "+f"(x.z), "+f"(x.w) : "l"(from), "r"((u32)there));
    return x;
}

// A thread's share of a slice; zeros past the last block.
template <int N> DEVICE void fetch(Piece (&pieces)[N], const float* rows, int first, int blocks, int thread) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
        const int row = first + (i * kScoreThreads + thread) / kChunks;
        const float4* from = (const float4*)(rows + (i64)row * HEAD_DIM) + thread % kChunks;
        pieces[i].a = load_now(from, row < blocks);
        pieces[i].b = load_now(from + kSlice / 8, row < blocks);
    }
}

// The same to two tiles, the high parts and the low parts.
template <int N> DEVICE void store_tile(u32 high, u32 low, const Piece (&pieces)[N], int thread) {
#pragma unroll
    for (int i = 0; i < N; ++i) {
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
    extern __shared__ __align__(128) u8 shared[];
    float* biases = (float*)(shared + 2 * kStageBytes);
    const u32 stages = shared_address(shared);
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp;
    const int keyBase = blockIdx.x * kScoreKeys, queryBase = blockIdx.y * kScoreQueries, head = blockIdx.z;
    const int rowBase = warp / 2 * 32, columnBase = warp % 2 * 32;
    const int rowQ = rowBase + lane % 16, chunkQ = lane / 16;
    const int rowK = columnBase + lane % 8 + lane / 16 * 8, chunkK = lane / 8 % 2;
    const float* fromQ = q + (i64)head * blocks * HEAD_DIM;
    const float* fromK = k + (i64)head * blocks * HEAD_DIM;
    Piece ofQ[kQueryPieces], ofK[kKeyPieces];
    const auto ask = [&](int column) {
        fetch(ofQ, fromQ + column, queryBase, blocks, thread);
        fetch(ofK, fromK + column, keyBase, blocks, thread);
    };
    const auto keep = [&](u32 stage) {
        store_tile(stage, stage + kQueryBytes, ofQ, thread);
        store_tile(stage + 2 * kQueryBytes, stage + 2 * kQueryBytes + kKeyBytes, ofK, thread);
    };

    ask(0);
    if (thread < kScoreKeys) {
        const int key = keyBase + thread;
        biases[thread] = key < blocks ? __logf((offsets[key + 1] - offsets[key]) / (float)kBlock) : 0;
    }
    keep(stages);
    __syncthreads();
    float d[2][4][4] = {};
#pragma unroll
    for (int column = 0; column < HEAD_DIM; column += kSlice) {
        const u32 stage = stages + column / kSlice % 2 * kStageBytes;
        const u32 highQ = stage, lowQ = highQ + kQueryBytes, highK = lowQ + kQueryBytes, lowK = highK + kKeyBytes;
        if (column + kSlice < HEAD_DIM) ask(column + kSlice);
#pragma unroll
        for (int step = 0; step < kSlice / 16; ++step) {
            u32 high[2][4], low[2][4];
#pragma unroll
            for (int t = 0; t < 2; ++t) {
                load_matrices(high[t], piece(highQ, rowQ + t * 16, step * 2 + chunkQ));
                load_matrices(low[t], piece(lowQ, rowQ + t * 16, step * 2 + chunkQ));
            }
#pragma unroll
            for (int j = 0; j < 2; ++j) {
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
        if (column + kSlice < HEAD_DIM) {
            // The stage that was read a slice ago: the barrier between has seen all warps done with it.
            keep(stages + (column / kSlice + 1) % 2 * kStageBytes);
            __syncthreads();
        }
    }

    float* out = scores + (i64)head * blocks * scoreStride;
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        const int column = columnBase + j * 8 + lane % 4 * 2, key = keyBase + column;
        if (key >= blocks) continue;
        const float2 bias = *(const float2*)(biases + column);
#pragma unroll
        for (int t = 0; t < 2; ++t) {
#pragma unroll
            for (int r = 0; r < 2; ++r) {
                const int query = queryBase + rowBase + t * 16 + lane / 4 + r * 8;
                if (query >= blocks) continue;
                // Past an odd number of blocks lies a row's padding.
                *(float2*)(out + (i64)query * scoreStride + key) = make_float2(fmaf(d[t][j][2 * r], scale, bias.x), fmaf(d[t][j][2 * r + 1], scale, bias.y));
            }
        }
    }
}
