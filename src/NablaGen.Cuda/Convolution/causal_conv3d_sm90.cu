// Convolutions of a video's frames for Hopper, as matrix products whose left operand is never written out:
//
//     y[t, p] = b + Σ over frames k, rows i, columns j of W[k, i, j] x[t + k, p + (i, j) − padding]   (+ addend[t, p])
//
// A thread block takes 32 × 4 TILES pixels of one frame and COLUMNS output channels. A producer warp brings one box of pixels with their
// border, CHUNK channels deep, through the copy engine, which fills what lies outside of the frame with zeros; it serves all SIDE² taps of
// a frame: a tap is the same box from another pixel on. That works because a swizzled matrix is addressed by its bytes in shared memory, so
// that it may begin at any row and its groups of eight rows (eight pixels of a row of the picture) may lie any number of rows apart. A second
// warp brings the taps' weights, which conv_weights.cu has laid out as shared memory wants them. Two warpgroups multiply, each TILES squares
// of 8 × 8 pixels, and sum in float32.
//
// Input frames each have a map of their own, so that those before a chunk need not be copied next to it; of those that would lie
// before the video's first (`missing`) the products are left out.
//
// x       bf16 (or fp16) [height, width, INPUTS] a frame, through 5-D maps (channel, column, row, 1, 1), zeros past the ends
// y       the same type, [frames, height, width, OUTPUTS], contiguous, 16-byte aligned; rounded once
// addend  as y, or null; bias [OUTPUTS] of that type
// weights of conv_weights.cu
// DOUBLES: nearest-neighbour doubling of height and width before a convolution of 3 × 3 (TAPS 1). Each of the four places of an output pixel over
// its input pixel sees 2 × 2 of these with weights that are sums of the nine: SIDE is 2, y has twice the rows and columns.
// Grid: at most one thread block a multiprocessor; each takes every gridDim.x-th tile.
// Macros: INPUTS, OUTPUTS, COLUMNS (divides OUTPUTS), CHUNK (64 or 32, divides INPUTS), TAPS, SIDE, TILES (2 or 4), BOX_STAGES, WEIGHT_STAGES, DOUBLES.
#include "wide_products.cuh"

#ifndef INPUTS
#define INPUTS 96
#define OUTPUTS 96
#define COLUMNS 96
#define CHUNK 32
#define TAPS 3
#define SIDE 3
#define TILES 4
#define BOX_STAGES 3
#define WEIGHT_STAGES 8
#endif

constexpr int kRow = CHUNK * 2;                                // bytes of a pixel in shared memory
constexpr int kChunks = INPUTS / CHUNK;
constexpr int kSteps = SIDE * SIDE;
constexpr int kHigh = 4 * TILES;
constexpr int kPitch = kConvWide + SIDE - 1;                   // pixels in a row of the box
constexpr int kBoxBytes = kPitch * (kHigh + SIDE - 1) * kRow;
constexpr int kBoxStride = (kBoxBytes + 1023) & ~1023;
constexpr int kWeightBytes = COLUMNS * kRow;
constexpr int kParts = OUTPUTS / COLUMNS;
constexpr int kReaders = 2 * kWarpgroup / kWarp;               // warps that give a stage back
#ifdef DOUBLES
constexpr int kPhases = 4, kScale = 2;
#else
constexpr int kPhases = 1, kScale = 1;
#endif

struct Barriers {
    u64 boxFull[BOX_STAGES], boxEmpty[BOX_STAGES];
    u64 weightsFull[WEIGHT_STAGES], weightsEmpty[WEIGHT_STAGES];
};

struct Frames {
    TensorMap maps[kConvFrames];
};

struct Work {
    u16* y;
    const u16* addend;
    const u8* weights;
    const u16* bias;
    int width, height, missing, tilesWide, tilesHigh, tiles;
};

// Where a tile lies. Neighbours in order share pixels, so they meet in the second-level cache.
struct Place {
    int part, phase, x, y, frame, first;
    DEVICE Place(const Work& work, int tile) {
        part = tile % kParts;
        tile /= kParts;
        phase = tile % kPhases;
        tile /= kPhases;
        x = tile % work.tilesWide * kConvWide;
        tile /= work.tilesWide;
        y = tile % work.tilesHigh * kHigh;
        frame = tile / work.tilesHigh;
        first = max(0, work.missing - frame);                  // the first of the frames seen that is there
    }
};

// Asks for what a tile will add, so that it is in the second-level cache when the sums are done.
DEVICE void fetch_addend(const Work& work, const Place& at) {
    const int wide = min(kConvWide, work.width - at.x), high = min(kHigh, work.height - at.y);
    for (int row = 0; row < high; ++row) {
        const i64 pixel = ((i64)at.frame * work.height + at.y + row) * work.width + at.x;
        prefetch_bytes(work.addend + pixel * OUTPUTS, wide * OUTPUTS * 2);
    }
}

DEVICE void produce_boxes(const Frames& frames, const Work& work, Barriers* barriers, u32 boxes) {
    Ring<BOX_STAGES> ring;
    for (int tile = blockIdx.x; tile < work.tiles; tile += gridDim.x) {
        const Place at(work, tile);
        const int x = at.x - (SIDE == 2 ? 1 - at.phase % 2 : SIDE / 2), y = at.y - (SIDE == 2 ? 1 - at.phase / 2 : SIDE / 2);
        if (work.addend != nullptr) fetch_addend(work, at);
        for (int tap = at.first; tap < TAPS; ++tap) {
            const TensorMap* map = &frames.maps[at.frame + tap - work.missing];
            for (int chunk = 0; chunk < kChunks; ++chunk) {
                const u32 full = shared_address(&barriers->boxFull[ring.stage]);
                barrier_wait(shared_address(&barriers->boxEmpty[ring.stage]), ring.parity ^ 1);
                barrier_expect(full, kBoxBytes);
                copy_box(boxes + ring.stage * kBoxStride, map, full, chunk * CHUNK, x, y, 0, 0);
                ring.advance();
            }
        }
    }
}

DEVICE void produce_weights(const Work& work, Barriers* barriers, u32 stages) {
    Ring<WEIGHT_STAGES> ring;
    for (int tile = blockIdx.x; tile < work.tiles; tile += gridDim.x) {
        const Place at(work, tile);
        const int first = at.first * kChunks * kSteps, last = TAPS * kChunks * kSteps;
        const u8* weights = work.weights + ((i64)(at.phase * last + first) * kParts + at.part) * kWeightBytes;
        for (int step = first; step < last; ++step) {
            const u32 full = shared_address(&barriers->weightsFull[ring.stage]);
            barrier_wait(shared_address(&barriers->weightsEmpty[ring.stage]), ring.parity ^ 1);
            barrier_expect(full, kWeightBytes);
            copy_bytes(stages + ring.stage * kWeightBytes, weights, kWeightBytes, full);
            weights += kParts * kWeightBytes;
            ring.advance();
        }
    }
}

// Four neighbouring lanes hold the sums of a pixel: adds bias and addend, rounds, and writes sixteen bytes a lane.
DEVICE void store(const Work& work, const Place& at, const float (&d)[COLUMNS / 2], int half, int x, int y, int quad) {
    if (kScale == 2) {
        x = 2 * x + at.phase % 2;
        y = 2 * y + at.phase / 2;
    }
    const bool inside = x < work.width * kScale && y < work.height * kScale;
    const i64 pixel = ((i64)at.frame * work.height * kScale + y) * work.width * kScale + x;
    const i64 channel = pixel * OUTPUTS + at.part * COLUMNS + quad * 8;
    const u16* bias = work.bias + at.part * COLUMNS + quad * 2;
    const bool adds = inside && work.addend != nullptr;
    uint4 more[COLUMNS / 32];
#pragma unroll
    for (int i = 0; i < COLUMNS / 32; ++i) more[i] = adds ? *(const uint4*)(work.addend + channel + i * 32) : make_uint4(0, 0, 0, 0);
#pragma unroll
    for (int i = 0; i < COLUMNS / 32; ++i) {
        u32 v[4] = {more[i].x, more[i].y, more[i].z, more[i].w};
        quad_transpose(v, quad);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const int first = 4 * (4 * i + j) + 2 * half;
            const u32 b = *(const u32*)(bias + 8 * (4 * i + j));
            v[j] = pack_elements(d[first] + low_element(b) + low_element(v[j]), d[first + 1] + high_element(b) + high_element(v[j]));
        }
        quad_transpose(v, quad);
        if (inside) *(uint4*)(work.y + channel + i * 32) = make_uint4(v[0], v[1], v[2], v[3]);
    }
}

DEVICE void consume(const Work& work, Barriers* barriers, u32 boxes, u32 stages, int which, int thread) {
    const int warp = thread / kWarp, lane = thread % kWarp;
    constexpr u64 kKind = (CHUNK == 64 ? 1ull : 2ull) << 62 | 1ull << 16;
    constexpr u64 kBoxKind = kKind | (u64)(kPitch * kRow >> 4) << 32, kWeightKind = kKind | (u64)(8 * kRow >> 4) << 32;
    Ring<BOX_STAGES> box;
    Ring<WEIGHT_STAGES> weights;
    for (int tile = blockIdx.x; tile < work.tiles; tile += gridDim.x) {
        const Place at(work, tile);
        float d[TILES][COLUMNS / 2];
#pragma unroll
        for (int m = 0; m < TILES; ++m) {
#pragma unroll
            for (int i = 0; i < COLUMNS / 2; ++i) d[m][i] = 0;
        }

        // A stage is given back when the products after it have begun.
        int boxRead = -1, weightsRead = -1;
        for (int turn = at.first * kChunks; turn < TAPS * kChunks; ++turn) {
            barrier_wait(shared_address(&barriers->boxFull[box.stage]), box.parity);
            const u32 corner = (boxes + box.stage * kBoxStride + which * (kConvWide / 2) * kRow) >> 4;
            for (int row = 0; row < SIDE; ++row) {
#pragma unroll 1
                for (int column = 0; column < SIDE; ++column) {
                    barrier_wait(shared_address(&barriers->weightsFull[weights.stage]), weights.parity);
                    const u64 a = kBoxKind | (corner + ((row * kPitch + column) * kRow >> 4));
                    const u64 b = kWeightKind | ((stages + weights.stage * kWeightBytes) >> 4);
                    wgmma_fence();
#pragma unroll
                    for (int k = 0; k < CHUNK / 16; ++k) {
#pragma unroll
                        for (int m = 0; m < TILES; ++m) wgmma_wide(d[m], a + ((m / 2 * 8 * kPitch + m % 2 * 8) * kRow >> 4) + k * 2, b + k * 2);
                    }
                    wgmma_commit();
                    wgmma_wait<1>();
                    if (lane == 0 && weightsRead >= 0) {
                        barrier_arrive(shared_address(&barriers->weightsEmpty[weightsRead]));
                        if (row + column == 0) barrier_arrive(shared_address(&barriers->boxEmpty[boxRead]));
                    }
                    weightsRead = weights.stage;
                    weights.advance();
                }
            }
            boxRead = box.stage;
            box.advance();
        }
        wgmma_wait<0>();
#pragma unroll
        for (int m = 0; m < TILES; ++m) wgmma_pin(d[m]);
        if (lane == 0) {
            barrier_arrive(shared_address(&barriers->weightsEmpty[weightsRead]));
            barrier_arrive(shared_address(&barriers->boxEmpty[boxRead]));
        }

#pragma unroll
        for (int m = 0; m < TILES; ++m) {
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                store(work, at, d[m], half, at.x + which * (kConvWide / 2) + m % 2 * 8 + lane / 4, at.y + m / 2 * 8 + 2 * warp + half, lane % 4);
            }
        }
    }
}

extern "C" __global__ void __launch_bounds__(kConvThreads, 1) causal_conv3d_sm90(
    const __grid_constant__ Frames frames, const __grid_constant__ Work work) {
    extern __shared__ __align__(1024) u8 shared[];
    __shared__ Barriers barriers;
    const u32 boxes = (shared_address(shared) + 1023) & ~1023u;
    const u32 stages = boxes + BOX_STAGES * kBoxStride;
    if (threadIdx.x == 0) {
        for (int i = 0; i < BOX_STAGES; ++i) {
            barrier_init(shared_address(&barriers.boxFull[i]), 1);
            barrier_init(shared_address(&barriers.boxEmpty[i]), kReaders);
        }
        for (int i = 0; i < WEIGHT_STAGES; ++i) {
            barrier_init(shared_address(&barriers.weightsFull[i]), 1);
            barrier_init(shared_address(&barriers.weightsEmpty[i]), kReaders);
        }
        barrier_init_fence();
    }
    __syncthreads();

    const int warpgroup = __shfl_sync(kAllLanes, threadIdx.x / kWarpgroup, 0);
    if (warpgroup == 0) {
        give_registers<24>();
        if (threadIdx.x == 0) produce_boxes(frames, work, &barriers, boxes);
        if (threadIdx.x == kWarp) produce_weights(work, &barriers, stages);
    } else {
        take_registers<240>();
        consume(work, &barriers, boxes, stages, warpgroup - 1, threadIdx.x % kWarpgroup);
    }
}
