// What the gradients of the norms share: a thread block walks over a strip of a batch's rows, a row by GROUP threads, and keeps the sums
// over the strip's rows in registers, since a thread always has the same columns. One warp has a narrow row to itself, so that no row
// waits for another; a wide row takes the thread block.
//
// Macros: COLUMNS (a multiple of 8), GROUP (threads a row, a multiple of 32), THREADS (a multiple of GROUP; GROUP itself above 32).
#pragma once
#include "common.cuh"

#ifndef COLUMNS
#define COLUMNS 1536
#endif
#ifndef GROUP
#define GROUP 192
#endif
#ifndef THREADS
#define THREADS GROUP
#endif

constexpr int kGroups = THREADS / GROUP;
constexpr int kWarps = GROUP / kWarp;
constexpr int kPieces = COLUMNS / 8;        // of eight columns; thread i of a row has pieces i, i + GROUP, ...
constexpr int kTurns = (kPieces + GROUP - 1) / GROUP;
constexpr int kRoom = kGroups > 1 ? kGroups * COLUMNS : 1;

typedef float Eight[8];

DEVICE void load_floats(Eight& v, const float* from) {
    const float4 a = ((const float4*)from)[0], b = ((const float4*)from)[1];
    v[0] = a.x, v[1] = a.y, v[2] = a.z, v[3] = a.w, v[4] = b.x, v[5] = b.y, v[6] = b.z, v[7] = b.w;
}

DEVICE void store_floats(const Eight& v, float* to) {
    ((float4*)to)[0] = make_float4(v[0], v[1], v[2], v[3]);
    ((float4*)to)[1] = make_float4(v[4], v[5], v[6], v[7]);
}

DEVICE void load_elements(Eight& v, const u16* from) {
    const uint4 a = *(const uint4*)from;
    v[0] = low_element(a.x), v[1] = high_element(a.x), v[2] = low_element(a.y), v[3] = high_element(a.y);
    v[4] = low_element(a.z), v[5] = high_element(a.z), v[6] = low_element(a.w), v[7] = high_element(a.w);
}

DEVICE void store_elements(const Eight& v, u16* to) {
    *(uint4*)to = make_uint4(pack_elements(v[0], v[1]), pack_elements(v[2], v[3]), pack_elements(v[4], v[5]), pack_elements(v[6], v[7]));
}

DEVICE void fill(Eight& v, float value) {
#pragma unroll
    for (int j = 0; j < 8; ++j) v[j] = value;
}

// The sums of two numbers over the threads of a row, the same bits in each. `turn` is 0 and 1 by turns from row to row: with two buffers
// one barrier a row is enough.
DEVICE float2 row_sums(float a, float b, float2 (&partial)[2][kWarps], int turn) {
    a = warp_sum(a);
    b = warp_sum(b);
    if (kWarps == 1) return make_float2(a, b);
    if (threadIdx.x % kWarp == 0) partial[turn][threadIdx.x / kWarp] = make_float2(a, b);
    __syncthreads();
    a = b = 0;
#pragma unroll
    for (int i = 0; i < kWarps; ++i) {
        a += partial[turn][i].x;
        b += partial[turn][i].y;
    }
    return make_float2(a, b);
}

// Adds up what the groups have summed, and stores it. `room` is shared memory.
DEVICE void store_strip(const Eight (&sums)[kTurns], float* __restrict__ to, float (&room)[kRoom]) {
    const int thread = threadIdx.x % GROUP, group = threadIdx.x / GROUP;
    if (kGroups > 1) __syncthreads();      // the room may still be read
#pragma unroll
    for (int i = 0; i < kTurns; ++i) {
        const int piece = thread + i * GROUP;
        if (piece < kPieces) store_floats(sums[i], (kGroups > 1 ? room + group * COLUMNS : to) + piece * 8);
    }
    if (kGroups == 1) return;
    __syncthreads();
    for (int column = threadIdx.x; column < COLUMNS; column += THREADS) {
        float total = 0;
#pragma unroll
        for (int i = 0; i < kGroups; ++i) total += room[i * COLUMNS + column];
        to[column] = total;
    }
}
