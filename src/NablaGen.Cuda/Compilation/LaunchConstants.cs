using System.Globalization;
using System.Reflection;
using System.Text;
using NablaGen.Cuda.Attention;

namespace NablaGen.Cuda.Compilation;

/// <summary>
/// The numbers that a kernel and its launcher must agree on. This is where they are written: kernels get them as the header
/// <see cref="HeaderName"/>, in which <c>PlanThreads</c> is <c>kPlanThreads</c>. Sizes that vary from call to call are macros instead.
/// </summary>
internal static class LaunchConstants
{
    /// <summary>The name under which kernels include <see cref="Header"/>.</summary>
    public const string HeaderName = "launch.cuh";

    /// <summary>Tokens in a full NABLA block.</summary>
    public const int Block = BlockOffsets.BlockSize;

    /// <summary>Threads of the kernels that walk over all elements.</summary>
    public const int WalkThreads = 256;

    /// <summary>Threads of sum_strips.</summary>
    public const int SumThreads = 512;

    /// <summary>Threads of pool_blocks.</summary>
    public const int PoolThreads = 128;

    /// <summary>Threads of nabla_scores.</summary>
    public const int ScoreThreads = 256;

    /// <summary>Query blocks of a thread block of nabla_scores.</summary>
    public const int ScoreQueries = 128;

    /// <summary>Key blocks of a thread block of nabla_scores.</summary>
    public const int ScoreKeys = 64;

    /// <summary>Its dynamic shared memory: two stages of 32 columns in two bf16 parts, and a number for each key block.</summary>
    public const int ScoreSharedBytes = 2 * 32 * 4 * (ScoreQueries + ScoreKeys) + 4 * ScoreKeys;

    /// <summary>Threads of mask_counts.</summary>
    public const int CountThreads = 128;

    /// <summary>Rows of tail_weights in a thread block, one a warp.</summary>
    public const int TailWarps = 8;

    /// <summary>Threads of tail_merge.</summary>
    public const int TailThreads = 128;

    /// <summary>Threads of block_masses.</summary>
    public const int MassThreads = 64;

    /// <summary>Rows of expand_mask in a thread block, one a warp.</summary>
    public const int ExpandWarps = 8;

    /// <summary>Words of a mask's row that a thread block of transpose_mask takes, one a warp.</summary>
    public const int TransposeWords = 8;

    /// <summary>Threads of attention_plan.</summary>
    public const int PlanThreads = 128;

    /// <summary>Threads of attention_order.</summary>
    public const int OrderThreads = 256;

    /// <summary>Query blocks that share a stream of key blocks in attention_plan and the Hopper kernels.</summary>
    public const int QueryBlocks = 3;

    /// <summary>Query blocks among which attention_groups looks for those that share a stream.</summary>
    public const int GroupRows = 84;

    /// <summary>Threads of attention_groups.</summary>
    public const int GroupThreads = 256;

    /// <summary>Bits 0 to this − 1 of an entry of the plan are its key block.</summary>
    public const int EntryKeyBits = 22;

    /// <summary>The bit of an entry from which on its tokens − 1 stand; one bit a query block lies between.</summary>
    public const int EntryTokensBit = EntryKeyBits + QueryBlocks;

    /// <summary>Key blocks (K and V) that block_attention_sm90 has in flight at head size 128.</summary>
    public const int WideHeadStages = 5;

    /// <summary>The same at head size 64.</summary>
    public const int NarrowHeadStages = 8;

    /// <summary>Threads of a warpgroup, Hopper's unit of matrix products.</summary>
    public const int Warpgroup = 128;

    /// <summary>Threads of the Hopper attention kernels: a warpgroup of the producer and one a query block.</summary>
    public const int HopperThreads = Warpgroup * (1 + QueryBlocks);

    /// <summary>Threads of block_attention_sm80.</summary>
    public const int AmpereThreads = 64;

    /// <summary>Channels of the low-rank branch that its kernels have.</summary>
    public const int LowRank = 64;

    /// <summary>Threads of the low-rank branch's kernels.</summary>
    public const int LowRankThreads = 128;

    /// <summary>Threads of the gradients' kernels of attention.</summary>
    public const int GradientThreads = 128;

    /// <summary>Threads of attention_statistics.</summary>
    public const int StatisticThreads = 1024;

    /// <summary>The most tokens of a head that attention_statistics looks at.</summary>
    public const int StatisticTokens = 1024;

    /// <summary>Floats that it leaves of a head: K's mean, what V is divided by, V's mean.</summary>
    public const int HeadStatistics = 3 * 128;

    /// <summary>Threads of attention_quantize.</summary>
    public const int QuantizeThreads = 256;

    /// <summary>Bytes from one key block's tiles of the eight-bit attention to the next: K's, V's, their factors.</summary>
    public const int KeyPieceBytes = 2 * 64 * 128 + 128;

    /// <summary>Key blocks that block_attention8_sm90 has in flight.</summary>
    public const int EightBitStages = 6;

    /// <summary>Its dynamic shared memory: to align, three tiles of Q, the stages, and float32 sums of three query blocks.</summary>
    public const int EightBitSharedBytes = 1024 + 24 * 1024 + EightBitStages * 17 * 1024 + 3 * 32 * 1024;

    /// <summary>Threads of block_attention8_sm89.</summary>
    public const int AdaThreads = 128;

    /// <summary>Its dynamic shared memory: two stages of K's and V's tiles, so that three thread blocks fit the 100 KiB of an Ada multiprocessor.</summary>
    public const int AdaSharedBytes = 2 * 2 * 64 * 128;

    /// <summary>Threads of causal_conv3d_sm90: a warpgroup of the producers, two that multiply.</summary>
    public const int ConvThreads = 3 * Warpgroup;

    /// <summary>Pixels in a row of its tiles.</summary>
    public const int ConvWide = 32;

    /// <summary>The most input frames of one launch of it.</summary>
    public const int ConvFrames = 6;

    /// <summary>Threads of text_attention_sm90: three warpgroups that multiply.</summary>
    public const int TextThreads = 3 * Warpgroup;

    /// <summary>Tiles of Q that a warpgroup of it has.</summary>
    public const int TextAhead = 2;

    /// <summary>The constants as CUDA C++.</summary>
    public static string Header { get; } = Write();

    private static string Write()
    {
        var text = new StringBuilder("// Made from LaunchConstants.cs.\n#pragma once\n");
        foreach (var field in typeof(LaunchConstants).GetFields(BindingFlags.Public | BindingFlags.Static).Where(field => field.FieldType == typeof(int)))
        {
            text.Append(CultureInfo.InvariantCulture, $"constexpr int k{field.Name} = {field.GetRawConstantValue()};\n");
        }

        return text.ToString();
    }
}
