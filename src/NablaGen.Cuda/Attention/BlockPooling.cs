using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>Means of Q and K over each block of tokens, in float32 (NABLA's first step). Contract: pool_blocks.cu.</summary>
/// <param name="device">Where it runs.</param>
public sealed class BlockPooling(CudaDevice device)
{
    /// <summary>Puts the pooling of both tensors on the stream.</summary>
    /// <param name="q">Q.</param>
    /// <param name="k">K, of the same shape and type.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="pooledQ">Device address of float32 [batch · heads, blocks, head size].</param>
    /// <param name="pooledK">The same for K.</param>
    /// <param name="stream">The stream.</param>
    public void Run(
        AttentionTensor q, AttentionTensor k, BlockOffsets offsets, nint pooledQ, nint pooledK, nint stream = 0)
    {
        k.Require("k", offsets);
        k.RequireLike(q, "k");
        Launch(q, offsets, new Source(q, pooledQ), new Source(k, pooledK), 2, stream);
    }

    /// <summary>Puts the pooling of one tensor on the stream.</summary>
    /// <param name="x">The tensor.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="pooled">Device address of float32 [batch · heads, blocks, head size].</param>
    /// <param name="stream">The stream.</param>
    public void Run(AttentionTensor x, BlockOffsets offsets, nint pooled, nint stream = 0) => Launch(x, offsets, new Source(x, pooled), default, 1, stream);

    private void Launch(AttentionTensor x, BlockOffsets offsets, Source first, Source second, int count, nint stream)
    {
        x.Require("x", offsets);
        var work = new Work
        {
            Q = first,
            K = second,
            Offsets = offsets.Pointer,
            Heads = x.Heads,
            Blocks = offsets.Blocks,
        };
        device.Kernel("pool_blocks", x.Macros()).Launch((offsets.Blocks, x.Rows, count), LaunchConstants.PoolThreads, 0, stream, work);
    }

    [StructLayout(LayoutKind.Sequential)]
    private readonly struct Source(AttentionTensor x, nint pooled)
    {
        public readonly nint X = x.Pointer;
        public readonly nint Pooled = pooled;
        public readonly long Batch = x.BatchStride;
        public readonly long Head = x.HeadStride;
        public readonly long Token = x.TokenStride;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public Source Q;
        public Source K;
        public nint Offsets;
        public int Heads;
        public int Blocks;
    }
}
