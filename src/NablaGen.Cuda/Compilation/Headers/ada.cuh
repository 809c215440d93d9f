// Eight-bit products m16n8k32 by mma.sync: int8 (sm_80 and newer) and fp8 (E4M3, sm_89 and newer).
//
// Lane 4 g + c of a warp holds of A (16 × 32), in word h + 2 k, row g + 8 h and columns 16 k + 4 c to + 3; of B (32 × 8), in word k, column g
// and rows 16 k + 4 c to + 3; of the result rows g and g + 8, columns 2 c and 2 c + 1.
#pragma once
#include "common.cuh"

// d[4 · tile] to + 3 (+)= a b, with exact int32 sums.
template <bool Accumulate, int N>
DEVICE void multiply_int8(int (&d)[N], int tile, const u32 (&a)[4], u32 b0, u32 b1) {
    if (Accumulate) {
        asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+r"(d[4 * tile]), "+r"(d[4 * tile + 1]), "+r"(d[4 * tile + 2]), "+r"(d[4 * tile + 3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
        asm volatile("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, %10};"
                     : "=r"(d[4 * tile]), "=r"(d[4 * tile + 1]), "=r"(d[4 * tile + 2]), "=r"(d[4 * tile + 3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "r"(0));
    }
}

// The same of fp8 numbers. The sums are float32 by their type, but Ada's tensor cores add with about 14 bits.
template <bool Accumulate, int N>
DEVICE void multiply_fp8(float (&d)[N], int tile, const u32 (&a)[4], u32 b0, u32 b1) {
    if (Accumulate) {
        asm volatile("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                     : "+f"(d[4 * tile]), "+f"(d[4 * tile + 1]), "+f"(d[4 * tile + 2]), "+f"(d[4 * tile + 3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
        asm volatile("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, %10};"
                     : "=f"(d[4 * tile]), "=f"(d[4 * tile + 1]), "=f"(d[4 * tile + 2]), "=f"(d[4 * tile + 3])
                     : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));
    }
}
