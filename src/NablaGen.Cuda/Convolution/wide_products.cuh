// Warpgroup products of 32 to 192 columns, both operands in shared memory with the reduced dimension contiguous:
// d[64 × N] += A[64 × 16] B[N × 16]ᵀ. See hopper.cuh for which thread holds what.
#pragma once
#include "hopper.cuh"

#define REGISTERS_0 "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15"
#define REGISTERS_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define REGISTERS_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define REGISTERS_48 ", %48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define REGISTERS_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79"
#define REGISTERS_80 ", %80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define REGISTERS_TO_64 REGISTERS_0 REGISTERS_16
#define REGISTERS_TO_128 REGISTERS_TO_64 REGISTERS_32 REGISTERS_48
#define SUMS_4(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3])
#define SUMS_16(i) SUMS_4(i), SUMS_4(i + 4), SUMS_4(i + 8), SUMS_4(i + 12)
#define SUMS_32(i) SUMS_16(i), SUMS_16(i + 16)

#define WIDE_PRODUCT(columns, a_at, b_at, one_at, registers, ...)                                                                       \
    DEVICE void wgmma_wide(float (&d)[columns / 2], u64 a, u64 b) {                                                                     \
        asm volatile(                                                                                                                   \
            "{.reg .pred p; setp.ne.b32 p, %" one_at ", 0; wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." ELEMENT_NAME          \
            "." ELEMENT_NAME " {" registers "}, %" a_at ", %" b_at ", p, 1, 1, 0, 0;}"                                                  \
            : __VA_ARGS__                                                                                                               \
            : "l"(a), "l"(b), "n"(1));                                                                                                  \
    }

WIDE_PRODUCT(32, "16", "17", "18", REGISTERS_0, SUMS_16(0))
WIDE_PRODUCT(64, "32", "33", "34", REGISTERS_TO_64, SUMS_32(0))
WIDE_PRODUCT(96, "48", "49", "50", REGISTERS_TO_64 REGISTERS_32, SUMS_32(0), SUMS_16(32))
WIDE_PRODUCT(128, "64", "65", "66", REGISTERS_TO_128, SUMS_32(0), SUMS_32(32))
WIDE_PRODUCT(160, "80", "81", "82", REGISTERS_TO_128 REGISTERS_64, SUMS_32(0), SUMS_32(32), SUMS_16(64))
WIDE_PRODUCT(192, "96", "97", "98", REGISTERS_TO_128 REGISTERS_64 REGISTERS_80, SUMS_32(0), SUMS_32(32), SUMS_32(64))
