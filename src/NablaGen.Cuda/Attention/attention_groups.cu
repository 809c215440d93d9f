// Which query blocks share a stream of key blocks in the Hopper attention kernels: kQueryBlocks whose masks are alike, so that few of a stream's entries
// are for some of them alone, and all of them have about as many.
//
// Two masks' distance is the number of key blocks that one of them has and the other has not. Of the kGroupRows query blocks of a thread block, groups
// begin as neighbours; then each two groups exchange a member each, the pair that lessens the distances within both the most, while there is one, for
// at most kSweeps times around. The sum of the distances within a group is twice the entries that are not for all of it.
//
// mask     u32 [heads, blocks, words], as attention_plan.cu has it, with its `maskHeadStride`; at most 65,535 blocks
// members  i32 [heads, groups, kQueryBlocks], groups = ⌈blocks / kQueryBlocks⌉: ascending query blocks of each group, each block once; in what the last
//          one has over, numbers from `blocks` on
// Grid (⌈blocks / kGroupRows⌉, heads), kGroupThreads threads.
#include "common.cuh"

constexpr int kSweeps = 3;
constexpr int kWords = 32;                                       // words that are looked at together
constexpr int kTile = 4;                                       // a thread has kTile × kTile distances
constexpr int kTiles = kGroupRows / kTile;
constexpr int kGroups = kGroupRows / kQueryBlocks;             // even: each round of a sweep has all of them in pairs
static_assert(kQueryBlocks == 3 && kGroups % 2 == 0 && kGroups <= 2 * kWarp, "a lane has two groups of three");
static_assert(kGroupRows % kTile == 0 && kTiles * (kTiles + 1) / 2 <= kGroupThreads, "a thread has one tile of distances");

// The tile of distances, in the triangle at and above the diagonal, that thread `index` has; none where there are no more.
DEVICE bool find_tile(int index, int& row, int& column) {
    row = 0;
    while (row < kTiles && index >= kTiles - row) index -= kTiles - row++;
    column = row + index;
    return row < kTiles;
}

// One pair of groups: exchanges the members x of a and y of b that lessen the distances most. False where none does.
DEVICE bool exchange(u16* a, u16* b, const u16 (&distances)[kGroupRows][kGroupRows]) {
    const int a0 = a[0], a1 = a[1], a2 = a[2], b0 = b[0], b1 = b[1], b2 = b[2];
    const int across[3][3] = {
        {distances[a0][b0], distances[a0][b1], distances[a0][b2]},
        {distances[a1][b0], distances[a1][b1], distances[a1][b2]},
        {distances[a2][b0], distances[a2][b1], distances[a2][b2]},
    };
    const int a01 = distances[a0][a1], a02 = distances[a0][a2], a12 = distances[a1][a2];
    const int b01 = distances[b0][b1], b02 = distances[b0][b2], b12 = distances[b1][b2];
    const int fromA[3] = {a01 + a02, a01 + a12, a02 + a12}, fromB[3] = {b01 + b02, b01 + b12, b02 + b12};
    int best = 0, which = 0;
#pragma unroll
    for (int x = 0; x < 3; ++x) {
#pragma unroll
        for (int y = 0; y < 3; ++y) {
            // x goes to b's others, y to a's.
            const int toB = across[x][0] + across[x][1] + across[x][2] - across[x][y];
            const int toA = across[0][y] + across[1][y] + across[2][y] - across[x][y];
            const int change = toA + toB - fromA[x] - fromB[y];
            if (change < best) {
                best = change;
                which = x * 3 + y;
            }
        }
    }
    if (best == 0) return false;
    const int x = which / 3, y = which % 3;
    const u16 moved = a[x];
    a[x] = b[y];
    b[y] = moved;
    return true;
}

extern "C" __global__ void __launch_bounds__(kGroupThreads) attention_groups(
    const u32* __restrict__ mask, int* __restrict__ members, int blocks, i64 maskHeadStride) {
    __shared__ __align__(16) u32 bits[kWords][kGroupRows];
    __shared__ u16 distances[kGroupRows][kGroupRows], grouped[kGroupRows];
    const int first = blockIdx.x * kGroupRows, head = blockIdx.y, thread = threadIdx.x;
    const int rows = min(kGroupRows, blocks - first), words = (blocks + 31) / 32;
    const u32* from = mask + head * maskHeadStride + (i64)first * words;

    int tileRow, tileColumn;
    const bool has = find_tile(thread, tileRow, tileColumn);
    int distance[kTile][kTile] = {};
    for (int word = 0; word < words; word += kWords) {
        __syncthreads();
        for (int i = thread; i < kGroupRows * kWords; i += kGroupThreads) {
            const int row = i / kWords, at = word + i % kWords;
            bits[i % kWords][row] = row < rows && at < words ? from[(i64)row * words + at] : 0;
        }
        __syncthreads();
        if (!has) continue;
        const int many = min(kWords, words - word);
        for (int i = 0; i < many; ++i) {
            const uint4 a = *(const uint4*)&bits[i][tileRow * kTile], b = *(const uint4*)&bits[i][tileColumn * kTile];
            const u32 left[kTile] = {a.x, a.y, a.z, a.w}, right[kTile] = {b.x, b.y, b.z, b.w};
#pragma unroll
            for (int x = 0; x < kTile; ++x) {
#pragma unroll
                for (int y = 0; y < kTile; ++y) distance[x][y] += __popc(left[x] ^ right[y]);
            }
        }
    }
    if (has) {
#pragma unroll
        for (int x = 0; x < kTile; ++x) {
#pragma unroll
            for (int y = 0; y < kTile; ++y) {
                // What is past the last block wants nothing, so it is at home anywhere.
                const int row = tileRow * kTile + x, column = tileColumn * kTile + y;
                const u16 value = row < rows && column < rows ? distance[x][y] : 0;
                distances[row][column] = distances[column][row] = value;
            }
        }
    }
    for (int i = thread; i < kGroupRows; i += kGroupThreads) grouped[i] = i;
    __syncthreads();

    // A round pairs all groups, as in a tournament: the last one with `round`, others so that their numbers' sum is twice that, around a circle.
    const int groups = (rows + kQueryBlocks - 1) / kQueryBlocks;
    if (thread < kWarp) {
        for (int sweep = 0; sweep < kSweeps; ++sweep) {
            bool changed = false;
            for (int round = 0; round < kGroups - 1; ++round) {
                const int a = thread == 0 ? kGroups - 1 : (round + thread) % (kGroups - 1);
                const int b = (round + kGroups - 1 - thread) % (kGroups - 1);
                if (thread < kGroups / 2 && a < groups && b < groups) {
                    changed |= exchange(grouped + a * kQueryBlocks, grouped + b * kQueryBlocks, distances);
                }
                __syncwarp();
            }
            if (!__any_sync(kAllLanes, changed)) break;
        }
    }
    __syncthreads();

    for (int group = thread; group < groups; group += kGroupThreads) {
        const int a = grouped[group * 3], b = grouped[group * 3 + 1], c = grouped[group * 3 + 2];
        int* to = members + ((i64)head * ((blocks + kQueryBlocks - 1) / kQueryBlocks) + first / kQueryBlocks + group) * kQueryBlocks;
        const int least = min(min(a, b), c), most = max(max(a, b), c);
        to[0] = first + least;
        to[1] = first + a + b + c - least - most;
        to[2] = first + most;
    }
}
