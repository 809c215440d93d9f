using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// Softmax attention over the key blocks that a mask keeps, in eight bits: Q Kᵀ in int8 with K's mean taken out and a scale a block, P V in fp8
/// (E4M3) with V's mean taken out (the output gets it back) and the rest scaled by column, and by block where it has outliers. Compute capability
/// 8.9 and newer, and head size 128. Holds a workspace of about a byte for each element of Q, K and V, so keep one for a run; not for several
/// threads at once. Contracts: attention_statistics.cu, attention_quantize.cu, block_attention8_sm90.cu, block_attention8_sm89.cu.
/// </summary>
/// <remarks>On normal data the output is within 5% (‖y − exact‖ / ‖exact‖) of the exact one; <see cref="BlockAttention"/> is within 0.4%.</remarks>
public sealed class EightBitAttention : IDisposable
{
    /// <summary>The one head size it has.</summary>
    public const int HeadSize = 128;

    /// <summary>The oldest compute capability that it runs on, times ten.</summary>
    public const int LeastCapability = 89;

    /// <summary>Floats from the mean of one head's keys to the next head's.</summary>
    public const int KeyMeanStride = LaunchConstants.HeadStatistics;

    /// <summary>About how many bytes of workspace it takes for each element of Q.</summary>
    public const int BytesAnElement = 3;

    private const int TileBytes = BlockOffsets.BlockSize * HeadSize;
    private const int Alignment = 256;

    private readonly CudaDevice _device;
    private readonly HopperEightBitAttention? _hopper;
    private readonly AdaEightBitAttention? _ada;
    private readonly Workspace _workspace;

    /// <summary>The kernels on a device; they are compiled at first use.</summary>
    /// <param name="device">Where they run.</param>
    /// <param name="kernel">Which kernel, for tests and measurements.</param>
    /// <exception cref="CudaException">The device cannot run that kernel.</exception>
    public EightBitAttention(CudaDevice device, EightBitKernel kernel = EightBitKernel.Best)
    {
        if (WhyNot(device, kernel) is { } reason)
        {
            throw new CudaException($"The eight-bit attention {reason}.");
        }

        _device = device;
        if (kernel == EightBitKernel.Ada || !device.HasHopperKernels)
        {
            _ada = new AdaEightBitAttention(device);
        }
        else
        {
            _hopper = new HopperEightBitAttention(device);
        }

        _workspace = new Workspace(device);
    }

    /// <summary>Why a device cannot run a kernel, as "needs …"; null where it can.</summary>
    /// <param name="device">The device.</param>
    /// <param name="kernel">The kernel.</param>
    /// <exception cref="CudaException">There is no run-time compiler to ask.</exception>
    public static string? WhyNot(CudaDevice device, EightBitKernel kernel = EightBitKernel.Best) => kernel switch
    {
        EightBitKernel.Hopper => device.HasHopperKernels ? null : $"needs compute capability 9.0, and {device.Name} has {device.Capability}",
        EightBitKernel.Best when device.HasHopperKernels => null,
        _ when device.Capability.Number < LeastCapability => $"needs compute capability 8.9 or newer, and {device.Name} has {device.Capability}",
        _ => device.HasFp8Products ? null : $"needs NVRTC 12.4 or newer, and this is {device.Compiler}",
    };

    /// <summary>Puts quantisation and attention on the stream.</summary>
    /// <param name="q">Q.</param>
    /// <param name="k">K, of Q's shape and type.</param>
    /// <param name="v">V, of Q's shape and type.</param>
    /// <param name="output">Gets the result; Q's shape and type, any strides.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="mask">What is kept; a query block that keeps nothing gets zeros.</param>
    /// <param name="scale">Factor of the logits; by default 1/√(head size).</param>
    /// <param name="logSumExp">
    /// Device address of float32 [batch · heads, tokens] for the natural log of Σ exp(logit), or 0. The logits are those without K's mean, which this returns.
    /// </param>
    /// <param name="stream">The stream.</param>
    /// <returns>
    /// Device address of what was taken out of K, about its mean: float32 [batch · heads, <see cref="KeyMeanStride"/>], of which the first 128 are it;
    /// valid until the next call.
    /// </returns>
    public nint Run(
        AttentionTensor q, AttentionTensor k, AttentionTensor v, AttentionTensor output, BlockOffsets offsets, DeviceBlockMask mask,
        float? scale = null, nint logSumExp = 0, nint stream = 0)
    {
        output.Require("output", offsets);
        output.RequireLike(q, "output");
        return Run(q, k, v, new Target(output), offsets, mask, scale, logSumExp, stream);
    }

    /// <summary>
    /// The same in fp8 (E4M3), as rows of all heads with one scale: 161/128 of the largest magnitude in V, / 448. Rounding weights and V by a sixteenth each
    /// makes no number larger than that allows. <paramref name="codes"/> and <paramref name="rowScales"/> are device addresses.
    /// </summary>
    /// <param name="q">As above.</param>
    /// <param name="k">As above.</param>
    /// <param name="v">As above.</param>
    /// <param name="codes">Gets fp8 [batch, tokens, heads · 128], contiguous; a multiple of 16.</param>
    /// <param name="rowScales">Gets float32 [batch, tokens].</param>
    /// <param name="offsets">As above.</param>
    /// <param name="mask">As above.</param>
    /// <param name="scale">As above.</param>
    /// <param name="stream">As above.</param>
    /// <returns>As above.</returns>
    public nint RunToFp8(
        AttentionTensor q, AttentionTensor k, AttentionTensor v, nint codes, nint rowScales, BlockOffsets offsets, DeviceBlockMask mask,
        float? scale = null, nint stream = 0)
    {
        if (codes == 0 || codes % 16 != 0 || rowScales == 0)
        {
            throw new ArgumentException("The codes, a multiple of 16, and the rows' scales need addresses.");
        }

        var row = (long)q.Heads * q.HeadSize;
        var rows = q with { Pointer = codes, BatchStride = row * q.Tokens, HeadStride = q.HeadSize, TokenStride = row };
        return Run(q, k, v, new Target(rows, rowScales), offsets, mask, scale, 0, stream);
    }

    private nint Run(
        AttentionTensor q, AttentionTensor k, AttentionTensor v, Target target, BlockOffsets offsets, DeviceBlockMask mask, float? scale, nint logSumExp,
        nint stream)
    {
        mask.Require(q.Rows, offsets.Blocks);
        if (mask.Device != _device)
        {
            throw new ArgumentException($"The mask lies on device {mask.Device.Ordinal}, the attention runs on {_device.Ordinal}.");
        }

        var factor = scale ?? (float)(1 / Math.Sqrt(HeadSize));
        if (!(factor > 0) || float.IsInfinity(factor))
        {
            throw new ArgumentException($"The softmax scale is {factor}; it must be positive.");
        }

        var tiles = Quantize(q, k, v, offsets, stream);
        _hopper?.Run(tiles, target, offsets, mask, factor, logSumExp, stream);
        _ada?.Run(tiles, target, offsets, mask, factor, logSumExp, stream);
        return tiles.Statistics;
    }

    /// <summary>Frees the workspace.</summary>
    public void Dispose()
    {
        _hopper?.Dispose();
        _workspace.Dispose();
    }

    /// <summary>Puts statistics and quantisation on the stream.</summary>
    /// <returns>Where the tiles are; valid until the next call.</returns>
    internal Tiles Quantize(AttentionTensor q, AttentionTensor k, AttentionTensor v, BlockOffsets offsets, nint stream)
    {
        var tiles = Look(q, k, v, offsets, stream);
        Fill(tiles, q, k, v, offsets, stream);
        return tiles;
    }

    /// <summary>Puts the statistics on the stream, and makes room for the tiles.</summary>
    internal Tiles Look(AttentionTensor q, AttentionTensor k, AttentionTensor v, BlockOffsets offsets, nint stream)
    {
        q.Require("q", offsets);
        k.Require("k", offsets);
        v.Require("v", offsets);
        k.RequireLike(q, "k");
        v.RequireLike(q, "v");
        if (q.HeadSize != HeadSize)
        {
            throw new ArgumentException($"Head size {q.HeadSize}; the eight-bit attention has {HeadSize}.");
        }

        long pairs = (long)q.Rows * offsets.Blocks;
        ReadOnlySpan<long> sizes =
        [
            q.Rows * (long)LaunchConstants.HeadStatistics * sizeof(float), pairs * TileBytes, pairs * LaunchConstants.KeyPieceBytes, pairs * sizeof(float), sizeof(float),
        ];
        Span<nint> at = stackalloc nint[sizes.Length];
        long total = 0;
        for (var i = 0; i < sizes.Length; i++)
        {
            at[i] = (nint)total;
            total += (sizes[i] + Alignment - 1) / Alignment * Alignment;
        }

        var start = _workspace.Take(total);
        var tiles = new Tiles(start, start + at[1], start + at[2], start + at[3], start + at[4]);
        var work = new StatisticsWork
        {
            K = k.Pointer,
            V = v.Pointer,
            Result = tiles.Statistics,
            LargestValue = tiles.LargestValue,
            KStrides = new TensorStrides(k),
            VStrides = new TensorStrides(v),
            Heads = q.Heads,
            Tokens = q.Tokens,
        };
        _device.Kernel("attention_statistics", Macros(q)).Launch((2, q.Rows, 1), LaunchConstants.StatisticThreads, 0, stream, work);
        return tiles;
    }

    /// <summary>Puts the quantisation on the stream, once the statistics are.</summary>
    internal void Fill(Tiles tiles, AttentionTensor q, AttentionTensor k, AttentionTensor v, BlockOffsets offsets, nint stream)
    {
        var work = new QuantizeWork
        {
            Q = new Source(q),
            K = new Source(k),
            V = new Source(v),
            Offsets = offsets.Pointer,
            Statistics = tiles.Statistics,
            Queries = tiles.Queries,
            Keys = tiles.Keys,
            QueryScales = tiles.QueryScales,
            LargestValue = tiles.LargestValue,
            Heads = q.Heads,
            Blocks = offsets.Blocks,
        };
        _device.Kernel("attention_quantize", Macros(q)).Launch(
            (offsets.Blocks, q.Rows, 3), LaunchConstants.QuantizeThreads, 0, stream, work);
    }

    /// <summary>Macros of its kernels.</summary>
    internal static string[] Macros(AttentionTensor x) => x.Type == ElementType.Float16 ? ["NABLAGEN_FP16"] : [];

    /// <summary>Device addresses of what attention_quantize.cu describes.</summary>
    /// <param name="Statistics">K's means, what V was divided by and V's means, a head's 384 floats.</param>
    /// <param name="Queries">Q's tiles.</param>
    /// <param name="Keys">K's and V's tiles with their factors.</param>
    /// <param name="QueryScales">Q's scales.</param>
    /// <param name="LargestValue">The largest magnitude in V, a float.</param>
    internal readonly record struct Tiles(nint Statistics, nint Queries, nint Keys, nint QueryScales, nint LargestValue);

    /// <summary>Where the output goes.</summary>
    /// <param name="Output">Its tensor; for fp8 the address and the strides are those of the codes.</param>
    /// <param name="RowScales">Device address of the rows' scales, for fp8; else 0.</param>
    internal readonly record struct Target(AttentionTensor Output, nint RowScales = 0)
    {
        /// <summary>Macros of the kernels that write it.</summary>
        public string[] Macros => RowScales == 0 ? EightBitAttention.Macros(Output) : [.. EightBitAttention.Macros(Output), "FP8_ROWS"];
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Source(AttentionTensor x)
    {
        public readonly nint X = x.Pointer;
        public readonly TensorStrides Strides = new(x);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct StatisticsWork
    {
        public nint K, V, Result, LargestValue;
        public TensorStrides KStrides, VStrides;
        public int Heads, Tokens;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct QuantizeWork
    {
        public Source Q, K, V;
        public nint Offsets, Statistics, Queries, Keys, QueryScales, LargestValue;
        public int Heads, Blocks;
    }
}
