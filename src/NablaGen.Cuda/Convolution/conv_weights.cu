// Lays a convolution's weights out as causal_conv3d_sm90.cu multiplies them: a piece for each phase, frame, chunk of input channels, tap and part
// of the output channels, in that order; within it COLUMNS rows of CHUNK input channels, as the 128-byte (CHUNK 64) or 64-byte swizzle has them
// in shared memory.
//
// w       bf16 (or fp16) [OUTPUTS, INPUTS, TAPS, 3, 3] (or 1 × 1: SIDE 1), contiguous
// packed  the same type; as many numbers, or 16/9 times as many with DOUBLES
// DOUBLES (SIDE 2, TAPS 1): phase 2 i + j is the output pixel in row i and column j over an input pixel. Of the nine weights those that meet the same
// input pixel are added in float32: rows 0 | 1 + 2 for i = 0, rows 0 + 1 | 2 for i = 1, columns alike.
// Grid: any; a thread makes every n-th number, n threads in all.
#include "common.cuh"

#ifndef INPUTS
#define INPUTS 96
#define OUTPUTS 96
#define COLUMNS 96
#define CHUNK 32
#define TAPS 3
#define SIDE 3
#endif

#ifdef DOUBLES
constexpr int kPhases = 4;
#else
constexpr int kPhases = 1;
#endif
constexpr int kSteps = SIDE * SIDE, kChunks = INPUTS / CHUNK;

DEVICE float element(const u16* w, int output, int input, int place) {
    return low_element(w[((i64)output * INPUTS + input) * (kPhases == 4 ? 9 : TAPS * kSteps) + place]);
}

extern "C" __global__ void __launch_bounds__(kWalkThreads) conv_weights(const u16* __restrict__ w, u16* __restrict__ packed) {
    constexpr i64 kCount = (i64)kPhases * TAPS * kSteps * INPUTS * OUTPUTS;
    for (i64 at = (i64)blockIdx.x * kWalkThreads + threadIdx.x; at < kCount; at += (i64)gridDim.x * kWalkThreads) {
        i64 rest = at / CHUNK;
        const int output = (int)(rest % OUTPUTS), row = output % COLUMNS;
        rest /= OUTPUTS;
        const int step = (int)(rest % kSteps);
        rest /= kSteps;
        const int chunk = (int)(rest % kChunks);
        rest /= kChunks;
        // Sixteen bytes, eight numbers, are what the swizzle moves.
        const int place = (int)(at % CHUNK), piece = place / 8 ^ (CHUNK == 64 ? row % 8 : row / 2 % 4);
        const int input = chunk * CHUNK + piece * 8 + place % 8;
#ifdef DOUBLES
        const int phase = (int)rest, i = step / 2, j = step % 2, up = phase / 2, left = phase % 2;
        float sum = 0;
        for (int y = i * (1 + up); y <= (i == 0 ? up : 2); ++y) {
            for (int x = j * (1 + left); x <= (j == 0 ? left : 2); ++x) sum += element(w, output, input, y * 3 + x);
        }
#else
        const float sum = element(w, output, input, (int)rest * kSteps + step);
#endif
        packed[at] = (u16)pack_elements(sum, 0);
    }
}
