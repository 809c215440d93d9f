// RMSNorm over all heads, rotary position embedding and, for NABLA, the mean over each block of tokens, in one pass over Q or K:
//
//     n = round(x / √(mean(x²) + eps)) · weight          rounded to bf16 after the norm, as the reference's `type_as` does
//     y[2i], y[2i + 1] = (n[2i] + j n[2i + 1]) · (cos + j sin)[token, i]    per head, in float32, rounded once
//     pooled[h, block, d] = mean over the block of y as it is stored
//
// x, y    bf16 (or fp16) [batch, tokens, COLUMNS = heads · HEAD_DIM], may be the same memory; rowStride elements from one token to the next
// weight  float32 [COLUMNS]; ROUND_PRODUCT rounds n · weight too, as a bf16 weight would have it
// table   float32 [tokens, HEAD_DIM / 2, 2]: cosine and sine of each token's angles (computed in float64 once a run), with ROTATE alone
// pooled  float32 [batch · heads, blocks, HEAD_DIM], with POOL alone; offsets i32 [blocks + 1], first token of each block (1 to 64 tokens)
// Grid z = 1 does the same, with nextWeight and nextPooled, to what lies nextColumns elements on in x and y: Q and K of one product in one launch.
// All 16-byte aligned. Grid (blocks, batch, 1 or 2), THREADS threads; each thread holds the same pieces of 8 columns of
// ROWS tokens at a time, so that one reduction serves ROWS rows and the block's mean stays in registers.
// Macros: COLUMNS (up to 10,240), HEAD_DIM (64 or 128), THREADS (a multiple of 32), ROWS; ROTATE, POOL, ROUND_PRODUCT where there is that step.
#include "common.cuh"

#ifndef COLUMNS
#define COLUMNS 5120
#endif
#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif
#ifndef THREADS
#define THREADS 320
#endif
#ifndef ROWS
#define ROWS (COLUMNS <= 5120 ? 4 : 2)                         // 40 KiB of shared memory hold the next ones
#endif

constexpr int kWarps = THREADS / kWarp;
constexpr int kPieces = COLUMNS / 8;
constexpr int kTurns = (kPieces + THREADS - 1) / THREADS;
constexpr int kHeads = COLUMNS / HEAD_DIM;
constexpr int kLanesARow = kWarp / ROWS;
constexpr int kAnglePieces = HEAD_DIM / 4;                     // of a token's cosines and sines

// A pair of elements, turned by (cosine, sine) where there is a rotation.
DEVICE u32 rotate(float2 v, float c, float s) {
#ifdef ROTATE
    return pack_elements(v.x * c - v.y * s, v.x * s + v.y * c);
#else
    return pack_elements(v.x, v.y);
#endif
}

// A pair of normalised elements: round, times weight, round again if asked.
DEVICE float2 scale_pair(u32 packed, float inverse, float2 weight) {
    const u32 n = pack_elements(low_element(packed) * inverse, high_element(packed) * inverse);
    const float2 v = make_float2(low_element(n) * weight.x, high_element(n) * weight.y);
#ifdef ROUND_PRODUCT
    const u32 r = pack_elements(v.x, v.y);
    return make_float2(low_element(r), high_element(r));
#else
    return v;
#endif
}

// Whether a row has a piece; where threads share it evenly, all pieces are there.
DEVICE bool there(int piece) { return kPieces % THREADS == 0 || piece < kPieces; }

// Sums of ROWS numbers over a warp, each step on half of them; lane kLanesARow · r gets that of row r.
DEVICE float row_sums(float (&x)[ROWS], int lane) {
    int offset = kWarp / 2;
#pragma unroll
    for (int n = ROWS / 2; n > 0; n /= 2, offset /= 2) {
        const bool upper = (lane & offset) != 0;
#pragma unroll
        for (int r = 0; r < n; ++r) {
            const float other = __shfl_xor_sync(kAllLanes, upper ? x[r] : x[r + n], offset);
            x[r] = (upper ? x[r + n] : x[r]) + other;
        }
    }
    float sum = x[0];
#pragma unroll
    for (; offset > 0; offset /= 2) sum += __shfl_xor_sync(kAllLanes, sum, offset);
    return sum;
}

extern "C" __global__ void __launch_bounds__(THREADS, THREADS <= 384 ? 2 : 1) rms_norm_rope(
    const u16* x, u16* y, const float* __restrict__ weight, const float* __restrict__ table, const int* __restrict__ offsets,
    float* __restrict__ pooled, int tokens, float eps, i64 rowStride, i64 nextColumns,
    const float* __restrict__ nextWeight, float* __restrict__ nextPooled) {
    if (blockIdx.z == 1) {
        x += nextColumns;
        y += nextColumns;
        weight = nextWeight;
        pooled = nextPooled;
    }
    __shared__ float partial[2][ROWS][kWarps];
    __shared__ uint4 next[ROWS][kPieces];
#ifdef ROTATE
    __shared__ float4 angles[2][ROWS][kAnglePieces];
#endif
    const int block = blockIdx.x, batch = blockIdx.y, thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp;
    const int start = offsets[block], rows = offsets[block + 1] - start;
    const i64 base = ((i64)batch * tokens + start) * rowStride;

    float2 w[kTurns][4];
    float mean[kTurns][8];
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int piece = thread + i * THREADS;
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            w[i][j] = there(piece) ? ((const float2*)weight)[piece * 4 + j] : make_float2(0, 0);
            mean[i][2 * j] = mean[i][2 * j + 1] = 0;
        }
    }

    // The next rows come while these are worked on. Each thread reads only what it has copied itself.
    const auto copy = [&](int first) {
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            const uint4* from = (const uint4*)(x + base + (i64)(first + r) * rowStride);
#pragma unroll
            for (int i = 0; i < kTurns; ++i) {
                const int piece = thread + i * THREADS;
                if (there(piece)) copy_piece(shared_address(&next[r][piece]), from + piece, first + r < rows);
            }
        }
    };
    // Their angles too, which all threads read: behind the barrier that all have passed after reading those before the last.
    const auto copy_angles = [&](int first, int buffer) {
#ifdef ROTATE
#pragma unroll
        for (int t = 0; t < (ROWS * kAnglePieces + THREADS - 1) / THREADS; ++t) {
            const int i = t * THREADS + thread, r = i / kAnglePieces, piece = i % kAnglePieces;
            if (i >= ROWS * kAnglePieces) break;
            copy_piece(shared_address(&angles[buffer][r][piece]), table + (i64)(start + first + r) * HEAD_DIM + piece * 4, first + r < rows);
        }
#endif
    };

    copy(0);
    copy_angles(0, 0);
    copy_commit();
    int turn = 0;
    for (int first = 0; first < rows; first += ROWS, turn ^= 1) {
        uint4 v[ROWS][kTurns];
        copy_wait<0>();
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
#pragma unroll
            for (int i = 0; i < kTurns; ++i) {
                const int piece = thread + i * THREADS;
                v[r][i] = there(piece) ? next[r][piece] : make_uint4(0, 0, 0, 0);
            }
        }
        float squares[ROWS] = {};
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
#pragma unroll
            for (int i = 0; i < kTurns; ++i) {
                const u32 words[4] = {v[r][i].x, v[r][i].y, v[r][i].z, v[r][i].w};
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                    const float a = low_element(words[j]), b = high_element(words[j]);
                    squares[r] = b * b + (a * a + squares[r]);
                }
            }
        }
        const float sum = row_sums(squares, lane);
        if (lane % kLanesARow == 0) partial[turn][lane / kLanesARow][warp] = sum;
        if (first + ROWS < rows) copy(first + ROWS);
        __syncthreads();               // two buffers by turns, so that one barrier a turn is enough
        if (first + ROWS < rows) copy_angles(first + ROWS, turn ^ 1);
        copy_commit();
        // A lane reckons one row's factor, from where all get it: the root and the quotient to the last bit are as much work as four elements.
        float total = 0;
#pragma unroll
        for (int i = 0; i < kWarps; ++i) total += partial[turn][lane % ROWS][i];
        const float factor = 1 / __fsqrt_rn(total / COLUMNS + eps);
#pragma unroll
        for (int r = 0; r < ROWS; ++r) {
            if (first + r >= rows) break;
            const float inverse = __shfl_sync(kAllLanes, factor, r);
            uint4* to = (uint4*)(y + base + (i64)(first + r) * rowStride);
            float4 a, b;
#pragma unroll
            for (int i = 0; i < kTurns; ++i) {
                const int piece = thread + i * THREADS;
                if (!there(piece)) continue;
#ifdef ROTATE
                // All pieces of a thread stand at the same place in their heads where that many threads are whole heads.
                if (i == 0 || THREADS % (HEAD_DIM / 8) != 0) {
                    const float4* at = angles[turn][r] + piece % (HEAD_DIM / 8) * 2;
                    a = at[0];
                    b = at[1];
                }
#endif
                const uint4 out = make_uint4(rotate(scale_pair(v[r][i].x, inverse, w[i][0]), a.x, a.y), rotate(scale_pair(v[r][i].y, inverse, w[i][1]), a.z, a.w),
                                             rotate(scale_pair(v[r][i].z, inverse, w[i][2]), b.x, b.y), rotate(scale_pair(v[r][i].w, inverse, w[i][3]), b.z, b.w));
                to[piece] = out;
#ifdef POOL
                const u32 words[4] = {out.x, out.y, out.z, out.w};
#pragma unroll
                for (int j = 0; j < 4; ++j) {
                    mean[i][2 * j] += low_element(words[j]);
                    mean[i][2 * j + 1] += high_element(words[j]);
                }
#endif
            }
        }
    }

#ifdef POOL
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int piece = thread + i * THREADS;
        if (!there(piece)) continue;
        const int head = piece * 8 / HEAD_DIM, column = piece * 8 % HEAD_DIM;
        float4* to = (float4*)(pooled + (((i64)batch * kHeads + head) * gridDim.x + block) * HEAD_DIM + column);
        const float n = 1.0f / rows;
        to[0] = make_float4(mean[i][0] * n, mean[i][1] * n, mean[i][2] * n, mean[i][3] * n);
        to[1] = make_float4(mean[i][4] * n, mean[i][5] * n, mean[i][6] * n, mean[i][7] * n);
    }
#endif
}
