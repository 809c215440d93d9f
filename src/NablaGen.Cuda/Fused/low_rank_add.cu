// The low-rank branch's second pass (RoLa): its output, gated, is added to what the sparse attention gave, row by row and in place:
//
//     o = q' sums,    q' = turn(SiLU(W q)) rounded to an element
//     out = sparse + sigmoid(x · gate + bias[h]) · √(mean(sparse²) + sparseEps) · o / √(mean(o²) + branchEps)
//
// q is turned back as k is in low_rank_sum.cu. All in float32 but the operands of the two products; out is rounded once.
//
// q           bf16 (or fp16), strides in elements (batch, head, token), rows 16-byte aligned, columns contiguous
// out         the same: the sparse output, which is overwritten
// x           the same: the self-attention's input, a head's channels of it
// weight      elements [kLowRank, HEAD_DIM]; gate elements [HEAD_DIM]; bias elements [heads]
// sums        elements [batch · heads, kLowRank, HEAD_DIM]: Σ k'ᵀ v times any factor, whose square is in branchEps
// table       float32 [tokens, HEAD_DIM / 2, 2]; rankTable float32 [tokens, kLowRank / 2, 2]
// Grid (batch · heads, chunks): chunk c takes the tiles of 64 tokens c, c + chunks, … A warp has 16 of a tile's rows to itself.
// kLowRankThreads threads, dynamic shared memory kTileBytes + 2 · kWeightBytes + 4 · HEAD_DIM. Macro: HEAD_DIM (64 or 128).
#include "low_rank.cuh"

struct Work {
    const u16 *q, *x, *weight, *gate, *bias, *sums;
    u16* out;
    const float *table, *rankTable;
    Strides qStrides, xStrides, outStrides;
    int heads, tokens;
    float sparseEps, branchEps;
};

// The four words of 16 bytes.
DEVICE void words_of(u32 (&words)[4], uint4 v) {
    words[0] = v.x;
    words[1] = v.y;
    words[2] = v.z;
    words[3] = v.w;
}

extern "C" __global__ void __launch_bounds__(kLowRankThreads, 3) low_rank_add(const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    constexpr u32 kQueries = 0, kWeight = kTileBytes, kSums = kWeight + kWeightBytes, kGate = kSums + kWeightBytes;
    constexpr int kParts = HEAD_DIM / 32;
    const u32 base = shared_address(shared);
    const int thread = threadIdx.x, lane = thread % kWarp, warp = thread / kWarp, quad = lane % 4;
    const int batch = blockIdx.x / work.heads, head = blockIdx.x % work.heads;
    const Head q = head_of(work.q, work.qStrides, batch, head), x = head_of(work.x, work.xStrides, batch, head);
    u16* out = work.out + batch * work.outStrides.batch + head * work.outStrides.head;
    float* gate = (float*)(shared + kGate);
    load_weight(shared, kWeight, work.weight);
    load_weight(shared, kSums, work.sums + (i64)blockIdx.x * kRank * HEAD_DIM);
    for (int i = thread; i < HEAD_DIM; i += kLowRankThreads) gate[i] = low_element(work.gate[i]);
    const float bias = low_element(work.bias[head]);
    __syncthreads();

    const u32 sums = base + piece(kSums, lane % 16, lane / 16);
    for (int first = blockIdx.y * kBlock; first < work.tokens; first += gridDim.y * kBlock) {
        load_plain(shared, kQueries, q, work.table, first, work.tokens, warp, lane);
        u32 p[kRank / 8][2];
        project(p, base, kQueries, kWeight, work.rankTable, first, work.tokens, warp, lane);
        float o[HEAD_DIM / 8][4] = {};
#pragma unroll
        for (int step = 0; step < kRank / 16; ++step) {
            const u32 a[4] = {p[2 * step][0], p[2 * step][1], p[2 * step + 1][0], p[2 * step + 1][1]};
#pragma unroll
            for (int j = 0; j < HEAD_DIM / 16; ++j) {
                u32 b[4];
                load_matrices_transposed(b, along(sums, j) + step * 16 * kRowBytes);
                multiply(o[2 * j], a, b[0], b[1]);
                multiply(o[2 * j + 1], a, b[2], b[3]);
            }
        }

        // Two rows a lane, with three others: of each 32 columns, a lane reads and writes 8 side by side.
#pragma unroll
        for (int h = 0; h < 2; ++h) {
            const int token = first + warp * kRows + lane / 4 + 8 * h;
            const bool there = token < work.tokens;
            const i64 at = min(token, work.tokens - 1);
            const uint4* given = (const uint4*)(x.tensor + at * x.tokenStride) + quad;
            uint4* row = (uint4*)(out + at * work.outStrides.token) + quad;
            u32 sparse[kParts][4];
            float open = 0, squares = 0, branch = 0;
#pragma unroll
            for (int j = 0; j < kParts; ++j) {
                u32 in[4];
                words_of(in, given[j * 4]);
                words_of(sparse[j], row[j * 4]);
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    const float* weights = gate + j * 32 + quad * 8 + i * 2;
                    open += low_element(in[i]) * weights[0] + high_element(in[i]) * weights[1];
                    const float a = low_element(sparse[j][i]), b = high_element(sparse[j][i]);
                    squares += a * a + b * b;
                }
            }
#pragma unroll
            for (int j = 0; j < HEAD_DIM / 8; ++j) branch += o[j][2 * h] * o[j][2 * h] + o[j][2 * h + 1] * o[j][2 * h + 1];
            open = quad_sum(open) + bias;
            squares = quad_sum(squares) / HEAD_DIM + work.sparseEps;
            branch = quad_sum(branch) / HEAD_DIM + work.branchEps;
            const float factor = __fsqrt_rn(squares / branch) / (1 + exp2_approx(-open * kLog2e));
#pragma unroll
            for (int j = 0; j < kParts; ++j) {
                quad_transpose(sparse[j], quad);
#pragma unroll
                for (int i = 0; i < 4; ++i) {
                    sparse[j][i] = pack_elements(
                        low_element(sparse[j][i]) + factor * o[j * 4 + i][2 * h], high_element(sparse[j][i]) + factor * o[j * 4 + i][2 * h + 1]);
                }
                quad_transpose(sparse[j], quad);
                if (there) row[j * 4] = make_uint4(sparse[j][0], sparse[j][1], sparse[j][2], sparse[j][3]);
            }
        }
        __syncwarp();                                          // the next queries take the place of these
    }
}
