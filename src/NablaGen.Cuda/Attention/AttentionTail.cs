using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// The pooled term of the blocks that each query block drops, in steps between which the caller multiplies the weights by the means of
/// keys and values. Contracts: tail_weights.cu, tail_merge.cu.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class AttentionTail(CudaDevice device)
{
    /// <summary>Puts the weights of the dropped blocks on the stream.</summary>
    /// <param name="scores">Device address of float32 [heads, blocks, <see cref="NablaScores.StrideFor"/>], what <see cref="NablaScores"/> made; overwritten by the weights.</param>
    /// <param name="mask">What is kept; a mask for each head.</param>
    /// <param name="firstHead">First head of the mask that these scores are for.</param>
    /// <param name="heads">How many.</param>
    /// <param name="logs">Device address of float32 [heads, blocks].</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Weights(nint scores, DeviceBlockMask mask, int firstHead, int heads, nint logs, nint stream = 0)
    {
        if (firstHead < 0 || heads < 1 || firstHead + heads > mask.Heads)
        {
            throw new ArgumentException($"Heads {firstHead} to {firstHead + heads - 1} of a mask of {mask.Heads}.");
        }

        var blocks = mask.Blocks;
        var stride = NablaScores.StrideFor(blocks);
        var bits = mask.Bits + (nint)(4L * firstHead * blocks * mask.Words);
        const int warps = LaunchConstants.TailWarps;
        device.Kernel("tail_weights").Launch(
            ((blocks + warps - 1) / warps, heads, 1), 32 * warps, 0, stream,
            [(nint)(&scores), (nint)(&bits), (nint)(&logs), (nint)(&blocks), (nint)(&stride)]);
    }

    /// <summary>Puts the merge of attention and terms on the stream.</summary>
    /// <param name="q">Q.</param>
    /// <param name="output">The attention over the kept blocks, of Q's shape and type; overwritten.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="logSumExp">Device address of float32 [batch · heads, tokens], as the attention gave it.</param>
    /// <param name="terms">The terms.</param>
    /// <param name="keyMeans">Device address of K's mean over all tokens where the attention took it out, <paramref name="keyMeanStride"/> floats a head; 0 for none.</param>
    /// <param name="keyMeanStride">Floats from one head's mean to the next.</param>
    /// <param name="stream">The stream.</param>
    public void Merge(
        AttentionTensor q, AttentionTensor output, BlockOffsets offsets, nint logSumExp, TailTerms terms, nint keyMeans = 0, int keyMeanStride = 0,
        nint stream = 0)
    {
        q.Require("q", offsets);
        output.Require("output", offsets);
        output.RequireLike(q, "output");
        var work = new Work
        {
            Q = q.Pointer,
            Output = output.Pointer,
            LogSumExp = logSumExp,
            PooledQ = terms.PooledQ,
            Terms = terms.Terms,
            Logs = terms.Logs,
            KeyMeans = keyMeans,
            Offsets = offsets.Pointer,
            QStrides = new TensorStrides(q),
            OutputStrides = new TensorStrides(output),
            KeyMeanStride = keyMeanStride,
            Heads = q.Heads,
            Blocks = offsets.Blocks,
            Tokens = q.Tokens,
            Scale = (float)(1 / Math.Sqrt(q.HeadSize)),
        };
        device.Kernel("tail_merge", q.Macros()).Launch((offsets.Blocks, q.Rows, 1), LaunchConstants.TailThreads, 0, stream, work);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint Q, Output, LogSumExp, PooledQ, Terms, Logs, KeyMeans, Offsets;
        public TensorStrides QStrides, OutputStrides;
        public int KeyMeanStride, Heads, Blocks, Tokens;
        public float Scale;
    }
}

/// <summary>Device addresses of the pooled terms.</summary>
/// <param name="PooledQ">float32 [batch · heads, blocks, head size]: means of the queries.</param>
/// <param name="Terms">float32 [batch · heads, blocks, 2 · head size]: the terms' keys, then their values.</param>
/// <param name="Logs">float32 [batch · heads, blocks]: what <see cref="AttentionTail.Weights"/> made.</param>
public readonly record struct TailTerms(nint PooledQ, nint Terms, nint Logs);
