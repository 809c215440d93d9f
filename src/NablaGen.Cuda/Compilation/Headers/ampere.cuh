// What sm_80 brought, for kernels whose tiles are 64 tokens of one head in shared memory: asynchronous copies (cp.async), loads of
// matrix fragments (ldmatrix) and products m16n8k16 (mma.sync).
//
// Macro: HEAD_DIM (64 or 128).
#pragma once
#include "common.cuh"

#ifndef HEAD_DIM
#define HEAD_DIM 128
#endif

constexpr int kChunks = HEAD_DIM / 8;                          // 16-byte pieces a row
constexpr int kRowBytes = HEAD_DIM * 2;
constexpr int kTileBytes = kBlock * kRowBytes;

struct Strides {
    i64 batch, head, token;
};

// Where the 16-byte piece (row, chunk) of a tile lies: the swizzle spreads a column's pieces over all banks. It is an exclusive or,
// so a step of 32 bytes along a row is one too.
DEVICE u32 piece(u32 tile, int row, int chunk) { return tile + row * kRowBytes + ((chunk ^ (row & 7)) << 4); }

// The address of a lane's fragment (within the first 32 bytes of its row), 16 columns `step` times on: the swizzle stays within 128 bytes.
DEVICE u32 along(u32 fragment, int step) { return (fragment ^ (step & 3) << 5) + (step >> 2) * 128; }

// ---- asynchronous copies -------------------------------------------------------------------------------------------------

// 8 bytes, or zeros.
DEVICE void copy_pair(u32 to, const void* from, bool there) {
    asm volatile("cp.async.ca.shared.global [%0], [%1], 8, %2;" ::"r"(to), "l"(from), "r"(there ? 8 : 0) : "memory");
}

// 64 rows from `source` on by Threads threads; rows from `rows` on become zeros.
template <int Threads> DEVICE void copy_tile(u32 tile, const u16* source, i64 tokenStride, int rows, int thread) {
    constexpr int kRowsAtOnce = Threads / kChunks;
    const int chunk = thread % kChunks, first = thread / kChunks;
#pragma unroll
    for (int i = 0; i < kBlock / kRowsAtOnce; ++i) {
        const int row = first + i * kRowsAtOnce;
        copy_piece(piece(tile, row, chunk), source + (row < rows ? row : 0) * tokenStride + chunk * 8, row < rows);
    }
}

// ---- products ------------------------------------------------------------------------------------------------------------

// Four 8 × 8 matrices; lanes 0..7 give the addresses of the first one's rows, 8..15 the second's, and so on.
DEVICE void load_matrices(u32 (&r)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}

DEVICE void load_matrices_transposed(u32 (&r)[4], u32 address) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(address) : "memory");
}

// d[16 × 8] += a[16 × 16] b[16 × 8]. Lane 4 g + c holds d of rows g and g + 8, columns 2 c and 2 c + 1.
DEVICE void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." ELEMENT_NAME "." ELEMENT_NAME ".f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// d = a b, where d need hold nothing yet.
DEVICE void multiply_first(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32." ELEMENT_NAME "." ELEMENT_NAME ".f32 "
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %10, %10, %10};"
                 : "=f"(d[0]), "=f"(d[1]), "=f"(d[2]), "=f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1), "f"(0.0f));
}
