// Adds the pooled term of a query block's dropped blocks to its attention (NABLA's +tail, Attention/PooledTail.cs): one more key for each query.
//
//     s = ((q − q̄_i) · k̃_i) · scale + logs_i      ·      out ← (out · exp(lse) + ṽ_i · exp(s)) / (exp(lse) + exp(s))
//
// q         bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// out       the same: the attention over the kept blocks, overwritten. Not touched where logs is −∞.
// lse       float32 [batch · heads, tokens]: natural log of Σ exp(logit) over the kept blocks; −∞ where none is kept
// pooledQ   float32 [batch · heads, blocks, HEAD_DIM]: q̄
// terms     float32 [batch · heads, blocks, 2 · HEAD_DIM]: k̃, then ṽ
// logs      float32 [batch · heads, blocks]
// keyMeans  float32, `keyMeanStride` floats a (batch, head), or null: where lse is of logits without q · keyMeans · scale, as in eight bits
// offsets   i32 [blocks + 1], first token of each block; 1 to 64 tokens a block
// Grid (blocks, batch · heads), kTailThreads threads, each a 16-byte piece of every kRowsAtOnce-th row. Macro: HEAD_DIM (64 or 128).
#include "ampere.cuh"

constexpr int kRowsAtOnce = kTailThreads / kChunks;

struct Work {
    const u16* q;
    u16* out;
    const float *lse, *pooledQ, *terms, *logs, *keyMeans;
    const int* offsets;
    Strides qStrides, outStrides;
    int keyMeanStride, heads, blocks, tokens;
    float scale;
};

// The sum over the lanes that share a row.
DEVICE float row_sum(float x) {
#pragma unroll
    for (int offset = kChunks / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(kAllLanes, x, offset);
    return x;
}

DEVICE void load_eight(float (&x)[8], const float* from) {
    const float4 a = *(const float4*)from, b = *(const float4*)(from + 4);
    x[0] = a.x, x[1] = a.y, x[2] = a.z, x[3] = a.w;
    x[4] = b.x, x[5] = b.y, x[6] = b.z, x[7] = b.w;
}

DEVICE void expand(float (&x)[8], const uint4& packed) {
    const u32 words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
        x[2 * i] = low_element(words[i]);
        x[2 * i + 1] = high_element(words[i]);
    }
}

extern "C" __global__ void __launch_bounds__(kTailThreads) tail_merge(const __grid_constant__ Work work) {
    const int block = blockIdx.x, bh = blockIdx.y, thread = threadIdx.x;
    const i64 line = (i64)bh * work.blocks + block;
    const float log = work.logs[line];
    if (log == NEGATIVE_INFINITY) return;

    const int chunk = thread % kChunks, first = thread / kChunks;
    const int start = work.offsets[block], rows = work.offsets[block + 1] - start;
    const int batch = bh / work.heads, head = bh % work.heads;
    float key[8], value[8], mean[8];
    load_eight(key, work.terms + line * 2 * HEAD_DIM + chunk * 8);
    load_eight(value, work.terms + line * 2 * HEAD_DIM + HEAD_DIM + chunk * 8);
    load_eight(mean, work.pooledQ + line * HEAD_DIM + chunk * 8);
    float part = 0;
#pragma unroll
    for (int i = 0; i < 8; ++i) part = fmaf(mean[i], key[i], part);
    const float offset = log - row_sum(part) * work.scale;
    if (work.keyMeans != nullptr) {
        load_eight(mean, work.keyMeans + (i64)bh * work.keyMeanStride + chunk * 8);
#pragma unroll
        for (int i = 0; i < 8; ++i) key[i] -= mean[i];
    }

    const u16* q = work.q + batch * work.qStrides.batch + head * work.qStrides.head + start * work.qStrides.token + chunk * 8;
    u16* out = work.out + batch * work.outStrides.batch + head * work.outStrides.head + start * work.outStrides.token + chunk * 8;
    const float* lse = work.lse + (i64)bh * work.tokens + start;
#pragma unroll 4
    for (int i = 0; i < kBlock / kRowsAtOnce; ++i) {
        // Every lane takes part in the sums; rows past the end are the last one again, and not stored.
        const int row = first + i * kRowsAtOnce, from = min(row, rows - 1);
        uint4* place = (uint4*)(out + from * work.outStrides.token);
        float x[8], y[8];
        expand(x, *(const uint4*)(q + from * work.qStrides.token));
        expand(y, *place);
        float product = 0;
#pragma unroll
        for (int c = 0; c < 8; ++c) product = fmaf(x[c], key[c], product);
        const float s = fmaf(row_sum(product), work.scale, offset), kept = lse[from], top = fmaxf(kept, s);
        const float a = exp2_approx((kept - top) * kLog2e), b = exp2_approx((s - top) * kLog2e), inverse = 1 / (a + b);
        const float old = a * inverse, term = b * inverse;
#pragma unroll
        for (int c = 0; c < 8; ++c) y[c] = fmaf(y[c], old, value[c] * term);
        if (row < rows) {
            *place = make_uint4(pack_elements(y[0], y[1]), pack_elements(y[2], y[3]), pack_elements(y[4], y[5]), pack_elements(y[6], y[7]));
        }
    }
}
