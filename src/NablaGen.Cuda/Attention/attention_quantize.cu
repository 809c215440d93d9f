// Q, K and V in eight bits, block by block, for block_attention8_sm90.cu:
//
//     q8 = round(q / a), a = max|q| / 127 over the block      ·      k8 the same of k − mean
//     v8 = fp8((v − mu) / (b · c)), mu and c by column from attention_statistics.cu, b = max(1, max|(v − mu) / c| / 448) over the block
//
// q8 and k8 are int8 to nearest even; where a block is all zeros its scale is 1. Rows past a ragged block's end are zeros. b is 1 unless a number is
// 2^kHeadroom times as far from mu as those that the statistics saw; the attention multiplies the weights by b. As fp8 is a floating format the
// headroom costs a number no precision until it is 2^−10 of those. NaN or infinity in a block becomes its scale or its b, so it shows in the output of
// all that attend to the block.
//
// q, k, v     bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// offsets     i32 [blocks + 1], first token of each block; 1 to 64 tokens a block
// statistics  float32 [batch · heads, 3, 128] of attention_statistics
// queries     [batch · heads, blocks] tiles of 8 KiB (eight_bits.cuh); queryScales float32 [batch · heads, blocks]: a
// keys        [batch · heads, blocks] pieces of kKeyPieceBytes: k8's tile, v8's tile, float32 a, log2(b) + kLift, 1 / b
// largestValue  float32: the largest |v|, mu in it; attention_statistics.cu has set it to 0
// Grid (blocks, batch · heads, 3): z = 0 queries, 1 keys, 2 values; kQuantizeThreads threads. HEAD_DIM is 128.
#include "eight_bits.cuh"

struct Source {
    const u16* x;
    i64 batch, head, token;
};

struct Work {
    Source q, k, v;
    const int* offsets;
    const float* statistics;
    u8 *queries, *keys;
    float *queryScales, *largestValue;
    int heads, blocks;
};

constexpr int kWarps = kQuantizeThreads / kWarp;
constexpr int kRows = kQuantizeThreads / 16;                   // rows at once, 16 threads a row with 8 columns each
constexpr int kTurns = kBlock / kRows;
static_assert(kTurns == 4, "four tokens of V a thread");

// Eight elements of a row as floats.
DEVICE void spread(float (&value)[8], const uint4& read) {
    const u32 words[4] = {read.x, read.y, read.z, read.w};
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        value[2 * j] = low_element(words[j]);
        value[2 * j + 1] = high_element(words[j]);
    }
}

extern "C" __global__ void __launch_bounds__(kQuantizeThreads, 5) attention_quantize(const __grid_constant__ Work work) {
    __shared__ __align__(16) u8 tile[kTile8Bytes];
    __shared__ float tops[2][kWarps];
    const int block = blockIdx.x, bh = blockIdx.y, thread = threadIdx.x, piece = thread % 16;
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    const Source source = blockIdx.z == 0 ? work.q : blockIdx.z == 1 ? work.k : work.v;
    const u16* x = source.x + bh / work.heads * source.batch + bh % work.heads * source.head + start * source.token + piece * 8;
    const float* statistics = work.statistics + (i64)bh * kHeadStatistics + piece * 8;
    const bool values = blockIdx.z == 2;
    const i64 at = (i64)bh * work.blocks + block;

    // Of V a thread has the four tokens that share a word of its tile.
    const auto row_of = [&](int i) {
        const int at = thread / 16;
        return values ? at / 4 * 16 + at % 4 * 2 + i / 2 * 8 + i % 2 : at + i * kRows;
    };
    uint4 read[kTurns];                                        // as they are: as floats they would take twice the registers
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int row = row_of(i);
        read[i] = row < rows ? *(const uint4*)(x + row * source.token) : make_uint4(0, 0, 0, 0);
    }

    // The largest over all threads, in two steps with a barrier between them.
    const auto put = [&](float top, int row) {
        top = warp_larger(top);
        if (thread % kWarp == 0) tops[row][thread / kWarp] = top;
    };
    const auto largest = [&](int row) {
        float top = tops[row][0];
#pragma unroll
        for (int i = 1; i < kWarps; ++i) top = larger(top, tops[row][i]);
        return top;
    };

    if (values) {
        float factor[8], mean[8], top = 0, most = 0;
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            factor[j] = reciprocal_approx(statistics[128 + j]);
            mean[j] = statistics[256 + j];
        }
        u32 there = 0;                                         // the bytes of a word whose tokens the block has
#pragma unroll
        for (int i = 0; i < kTurns; ++i) {
            if (row_of(i) >= rows) continue;
            there |= 0xffu << i * 8;
            float value[8];
            spread(value, read[i]);
#pragma unroll
            for (int j = 0; j < 8; ++j) {
                top = larger(top, fabsf((value[j] - mean[j]) * factor[j]));
                most = larger(most, fabsf(value[j]));
            }
            // Unpacked once more below, or ptxas would keep all floats in registers until then.
            asm volatile("" : "+r"(read[i].x), "+r"(read[i].y), "+r"(read[i].z), "+r"(read[i].w));
        }
        put(top, 0);
        put(most, 1);
        __syncthreads();
        top = largest(0);
        // Of infinity, too, b is NaN: infinity would be lost where its weight is zero.
        const float b = top <= kFp8Largest ? 1 : top < -NEGATIVE_INFINITY ? top / kFp8Largest : NOT_A_NUMBER, inverse = 1 / b;
#pragma unroll
        for (int j = 0; j < 8; ++j) {
            const float by = factor[j] * inverse;
            float x[kTurns];
#pragma unroll
            for (int i = 0; i < kTurns; ++i) {
                const u32 words[4] = {read[i].x, read[i].y, read[i].z, read[i].w};
                x[i] = ((j & 1 ? high_element(words[j / 2]) : low_element(words[j / 2])) - mean[j]) * by;
            }
            // Words change places within a row by the column's piece, so that the lanes of a warp write to different banks.
            *(u32*)(tile + (tile8_token(piece * 8 + j, row_of(0)) ^ piece << 2)) = pack_fp8(x[0], x[1], x[2], x[3]) & there;
        }
        __syncthreads();
        float* key = (float*)(work.keys + at * kKeyPieceBytes);
        uint4* to = (uint4*)key + kTile8Bytes / 16;
        for (int i = thread; i < kTile8Bytes / 16; i += kQuantizeThreads) {
            const int by = i / 32;                             // the piece of column i / 4
            const uint4 w = ((const uint4*)tile)[i ^ by >> 2];
            const uint4 u = by & 1 ? make_uint4(w.y, w.x, w.w, w.z) : w;
            to[i] = by & 2 ? make_uint4(u.z, u.w, u.x, u.y) : u;
        }
        if (thread == 0) {
            most = largest(1);
            key[2 * kTile8Bytes / 4 + 1] = kLift + __log2f(b);
            key[2 * kTile8Bytes / 4 + 2] = inverse;
            // The bits of positive numbers have the numbers' order, and NaN's are above them. Few blocks have a larger one than those before them.
            if (!(most <= *(volatile float*)work.largestValue)) atomicMax((int*)work.largestValue, __float_as_int(most));
        }
        return;
    }

    float top = 0, mean[8] = {};
#pragma unroll
    for (int j = 0; j < 8; ++j) mean[j] = blockIdx.z == 1 ? statistics[j] : 0;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        if (thread / 16 + i * kRows >= rows) continue;
        float value[8];
        spread(value, read[i]);
#pragma unroll
        for (int j = 0; j < 8; ++j) top = larger(top, fabsf(value[j] - mean[j]));
    }
    put(top, 0);
    __syncthreads();
    top = largest(0);
    const float scale = top == 0 ? 1 : top / 127, inverse = top == 0 ? 1 : 127 / top;

    u8* to = blockIdx.z == 0 ? work.queries + at * kTile8Bytes : work.keys + at * kKeyPieceBytes;
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        float n[8];
        spread(n, read[i]);
        const bool there = thread / 16 + i * kRows < rows;
#pragma unroll
        for (int j = 0; j < 8; ++j) n[j] = there ? (n[j] - mean[j]) * inverse : 0;
        *(uint2*)(to + tile8_piece(thread / 16 + i * kRows, piece)) =
            make_uint2(pack_int8(n[0], n[1], n[2], n[3]), pack_int8(n[4], n[5], n[6], n[7]));
    }
    if (thread == 0) {
        if (blockIdx.z == 0) work.queryScales[at] = scale;
        else *(float*)(to + 2 * kTile8Bytes) = scale;
    }
}
