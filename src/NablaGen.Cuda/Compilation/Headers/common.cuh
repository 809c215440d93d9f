// Types and helpers that every kernel shares. NVRTC sees no system header, so all that is needed is here.
//
// Macros set by the launcher:
//   NABLAGEN_FP16   elements are IEEE half instead of bfloat16.
#pragma once
#include "launch.cuh"                         // what launchers must know too: LaunchConstants.cs

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef long long i64;

#define DEVICE __device__ __forceinline__

constexpr int kWarp = 32;
constexpr u32 kAllLanes = 0xffffffffu;
constexpr float kLog2e = 1.4426950408889634f;
constexpr float kLn2 = 0.6931471805599453f;

// The elements' type in PTX.
#ifdef NABLAGEN_FP16
#define ELEMENT_NAME "f16"
#else
#define ELEMENT_NAME "bf16"
#endif

#define NEGATIVE_INFINITY __int_as_float(0xff800000)
#define NOT_A_NUMBER __int_as_float(0x7fc00000)

// Two floats to two 16-bit elements, round to nearest even; `low` goes to the lower half (the lower address).
DEVICE u32 pack_elements(float low, float high) {
    u32 packed;
    asm("cvt.rn." ELEMENT_NAME "x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

// The two elements of a 32-bit word as floats, exactly.
DEVICE float low_element(u32 packed) {
#ifdef NABLAGEN_FP16
    float value;
    asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, l;}" : "=f"(value) : "r"(packed));
    return value;
#else
    return __uint_as_float(packed << 16);
#endif
}

DEVICE float high_element(u32 packed) {
#ifdef NABLAGEN_FP16
    float value;
    asm("{.reg .b16 l, h; mov.b32 {l, h}, %1; cvt.f32.f16 %0, h;}" : "=f"(value) : "r"(packed));
    return value;
#else
    return __uint_as_float(packed & 0xffff0000u);
#endif
}

// 2^x on the special function unit: error about 2 ulp, denormals flushed; 2^-inf = 0.
DEVICE float exp2_approx(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// 1 / x on the special function unit: error about 1 ulp, 0 beyond 2^126. A quotient to the last bit takes ten instructions and a branch.
DEVICE float reciprocal_approx(float x) {
    float y;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

// Loads of what is read once: it leaves the first-level cache to what is read again.
DEVICE float4 load_once(const float4* x) {
    float4 v;
    asm volatile("ld.global.L1::no_allocate.v4.f32 {%0, %1, %2, %3}, [%4];" : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w) : "l"(x) : "memory");
    return v;
}

DEVICE uint2 load_once(const uint2* x) {
    uint2 v;
    asm volatile("ld.global.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(v.x), "=r"(v.y) : "l"(x) : "memory");
    return v;
}

DEVICE float warp_sum(float x) {
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) x += __shfl_xor_sync(kAllLanes, x, offset);
    return x;
}

DEVICE float warp_max(float x) {
#pragma unroll
    for (int offset = kWarp / 2; offset > 0; offset /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, offset));
    return x;
}

// Sum and maximum over the four lanes that share a row of a matrix unit's accumulator.
DEVICE float quad_sum(float x) {
    x += __shfl_xor_sync(kAllLanes, x, 1);
    return x + __shfl_xor_sync(kAllLanes, x, 2);
}

DEVICE float quad_max(float x) {
    x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, 1));
    return fmaxf(x, __shfl_xor_sync(kAllLanes, x, 2));
}

// Transposes a 4 × 4 matrix of words held by four neighbouring lanes (lane c holds row c): afterwards lane c holds column c.
// It turns the accumulator's four-byte pieces of a row into sixteen-byte ones.
DEVICE void quad_transpose(u32 (&v)[4], int c) {
#pragma unroll
    for (int i = 0; i < 4; i += 2) {
        u32 other = __shfl_xor_sync(kAllLanes, (c & 1) ? v[i] : v[i + 1], 1);
        if (c & 1) v[i] = other; else v[i + 1] = other;
    }
#pragma unroll
    for (int i = 0; i < 2; ++i) {
        u32 other = __shfl_xor_sync(kAllLanes, (c & 2) ? v[i] : v[i + 2], 2);
        if (c & 2) v[i] = other; else v[i + 2] = other;
    }
}

DEVICE u32 shared_address(const void* pointer) { return (u32)__cvta_generic_to_shared(pointer); }

// ---- asynchronous copies to shared memory (from 8.0 on) ---------------------------------------------------------------------

DEVICE void copy_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int Pending> DEVICE void copy_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(Pending) : "memory"); }

// 16 bytes, or zeros.
DEVICE void copy_piece(u32 to, const void* from, bool there) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(there ? 16 : 0) : "memory");
}
