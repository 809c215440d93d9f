using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>What each key block carries of each query block's softmax, exactly, as logits for <see cref="NablaSelect"/>. Contract: block_masses.cu.</summary>
/// <param name="device">Where it runs.</param>
public sealed class BlockMasses(CudaDevice device)
{
    // Two sums of two warps.
    private const int SumBytes = 16;

    /// <summary>Puts the masses of some heads on the stream.</summary>
    /// <param name="q">Q.</param>
    /// <param name="k">K, of the same shape and type.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="logSumExp">Device address of float32 [batch · heads, tokens]: the natural log of Σ exp(logit) over all keys.</param>
    /// <param name="firstHead">First of batch · heads.</param>
    /// <param name="heads">How many.</param>
    /// <param name="scores">Device address of float32 [heads, blocks, <see cref="NablaScores.StrideFor"/>].</param>
    /// <param name="stream">The stream.</param>
    public void Run(
        AttentionTensor q, AttentionTensor k, BlockOffsets offsets, nint logSumExp, int firstHead, int heads, nint scores, nint stream = 0)
    {
        q.Require("q", offsets);
        k.Require("k", offsets);
        k.RequireLike(q, "k");
        if (firstHead < 0 || heads < 1 || firstHead + heads > q.Rows)
        {
            throw new ArgumentException($"Heads {firstHead} to {firstHead + heads - 1} of {q.Rows}.");
        }

        var work = new Work
        {
            Q = q.Pointer,
            K = k.Pointer,
            LogSumExp = logSumExp,
            Offsets = offsets.Pointer,
            Scores = scores,
            QStrides = new TensorStrides(q),
            KStrides = new TensorStrides(k),
            FirstHead = firstHead,
            Heads = q.Heads,
            Blocks = offsets.Blocks,
            Tokens = q.Tokens,
            ScoreStride = NablaScores.StrideFor(offsets.Blocks),
            ScaleLog2 = (float)(Math.Log2(Math.E) / Math.Sqrt(q.HeadSize)),
        };
        device.Kernel("block_masses", q.Macros()).Launch(
            (offsets.Blocks, heads, 1), LaunchConstants.MassThreads, (3 * BlockOffsets.BlockSize * q.HeadSize * 2) + SumBytes, stream, work);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint Q, K, LogSumExp, Offsets, Scores;
        public TensorStrides QStrides, KStrides;
        public int FirstHead, Heads, Blocks, Tokens, ScoreStride;
        public float ScaleLog2;
    }
}
