// What the gradients' kernels share: the walk over a row of the mask, and the way out.
#pragma once
#include "ampere.cuh"

constexpr int kSums = kBlock * 8;                              // bytes of a block's pairs (lse · log2(e), Σ out · gradient)

// A block's first token and how many it has; none past the end of the row.
struct Span {
    int start, tokens;
};

// The set bits of a row of the mask, one after the other.
struct Partners {
    const u32* row;
    const int* offsets;
    int words, word;
    u32 left;

    DEVICE Span next() {
        while (left == 0) {
            if (++word >= words) return {0, 0};
            left = row[word];
        }
        const int block = word * 32 + __ffs(left) - 1;
        left &= left - 1;
        return {offsets[block], offsets[block + 1] - offsets[block]};
    }
};

// Writes this lane's rows of a matrix unit's accumulator, `row` and `row + 8`, as far as the block has them.
DEVICE void store_gradient(u16* out, i64 tokenStride, const float* sum, float scale, int row, int rows, int quad) {
#pragma unroll
    for (int j = 0; j < HEAD_DIM / 32; ++j) {
        u32 low[4], high[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            const int at = (j * 4 + i) * 4;
            low[i] = pack_elements(sum[at] * scale, sum[at + 1] * scale);
            high[i] = pack_elements(sum[at + 2] * scale, sum[at + 3] * scale);
        }
        quad_transpose(low, quad);
        quad_transpose(high, quad);
        u16* to = out + row * tokenStride + j * 32 + quad * 8;
        if (row < rows) *(uint4*)to = make_uint4(low[0], low[1], low[2], low[3]);
        if (row + 8 < rows) *(uint4*)(to + 8 * tokenStride) = make_uint4(high[0], high[1], high[2], high[3]);
    }
}
