using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>Block-sparse attention for every device from 8.0 on. Contract: block_attention_sm80.cu.</summary>
internal sealed class AmpereAttention(CudaDevice device)
{
    /// <summary>Puts the attention on the stream; arguments are checked by the caller.</summary>
    public void Run(
        AttentionTensor q, AttentionTensor k, AttentionTensor v, AttentionTensor output, BlockOffsets offsets, DeviceBlockMask mask,
        float scale, nint logSumExp, nint stream)
    {
        if (mask.Lists == 0)
        {
            throw new ArgumentException("This attention kernel reads lists: make the mask with withLists: true.");
        }

        var blocks = offsets.Blocks;
        var work = new Work
        {
            Q = q.Pointer,
            K = k.Pointer,
            V = v.Pointer,
            Output = output.Pointer,
            LogSumExp = logSumExp,
            Lists = mask.Lists,
            Counts = mask.Counts,
            Offsets = offsets.Pointer,
            QStrides = new TensorStrides(q),
            KStrides = new TensorStrides(k),
            VStrides = new TensorStrides(v),
            OutputStrides = new TensorStrides(output),
            ListHeadStride = mask.Heads == 1 ? 0 : (long)blocks * blocks,
            CountHeadStride = mask.Heads == 1 ? 0 : blocks,
            ListStride = blocks,
            Heads = q.Heads,
            Blocks = blocks,
            Tokens = q.Tokens,
            ScaleLog2 = (float)(scale * Math.Log2(Math.E)),
        };
        device.Kernel("block_attention_sm80", q.Macros()).Launch(
            (blocks, q.Rows, 1), LaunchConstants.AmpereThreads, 3 * BlockOffsets.BlockSize * q.HeadSize * 2, stream, work);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint Q, K, V, Output, LogSumExp, Lists, Counts, Offsets;
        public TensorStrides QStrides, KStrides, VStrides, OutputStrides;
        public long ListHeadStride;
        public int CountHeadStride, ListStride, Heads, Blocks, Tokens;
        public float ScaleLog2;
    }
}
