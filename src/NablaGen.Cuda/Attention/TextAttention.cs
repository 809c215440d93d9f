using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// Softmax attention to a few keys of which the last counts several times, as a prompt's padding does, whose tokens are all equal. Hopper alone.
/// Contract: text_attention_sm90.cu.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class TextAttention(CudaDevice device)
{
    /// <summary>The most keys: what shared memory holds.</summary>
    public const int MostKeys = 256;

    /// <summary>Whether a device has the kernel for so many keys of heads of a size.</summary>
    /// <param name="device">The device.</param>
    /// <param name="headSize">Columns a head.</param>
    /// <param name="keys">Keys, the last of which may count several times.</param>
    public static bool Fits(CudaDevice device, long headSize, long keys) => device.HasHopperKernels && headSize is 64 or 128 && keys is > 0 and <= MostKeys;

    /// <summary>Puts the attention on the stream.</summary>
    /// <param name="q">Q.</param>
    /// <param name="k">K, of Q's type, batch, heads and head size, and 1 to <see cref="MostKeys"/> tokens.</param>
    /// <param name="v">V, of K's shape and type.</param>
    /// <param name="output">Gets the result; Q's shape and type, any strides.</param>
    /// <param name="copies">How often the last key counts.</param>
    /// <param name="scale">Factor of the logits; by default 1/√(head size).</param>
    /// <param name="inverse">Device address of a factor for each row of Q, float32 [batch, tokens], or 0: RMSNorm (<see cref="NablaGen.Cuda.Fused.RmsInverse"/>), whose weight is in K then.</param>
    /// <param name="stream">The stream.</param>
    /// <exception cref="ArgumentException">The tensors do not suit.</exception>
    public void Run(AttentionTensor q, AttentionTensor k, AttentionTensor v, AttentionTensor output, int copies = 1, float? scale = null, nint inverse = 0, nint stream = 0)
    {
        output.Require("output");
        output.RequireLike(q, "output");
        var work = new Work { Output = output.Pointer, OutputBatch = output.BatchStride, OutputHead = output.HeadStride, OutputToken = output.TokenStride, Inverse = inverse };
        Launch(q, k, v, work, copies, scale, [], stream);
    }

    /// <summary>The same in fp8 (E4M3), as rows of all heads with one scale: max|v| / 448. Arguments are device addresses.</summary>
    /// <param name="q">As above.</param>
    /// <param name="k">As above.</param>
    /// <param name="v">As above.</param>
    /// <param name="codes">fp8 [batch, tokens, heads · head size], contiguous.</param>
    /// <param name="rowScales">float32 [batch, tokens].</param>
    /// <param name="most">float32: the largest magnitude in v.</param>
    /// <param name="copies">As above.</param>
    /// <param name="scale">As above.</param>
    /// <param name="inverse">As above.</param>
    /// <param name="stream">The stream.</param>
    /// <exception cref="ArgumentException">The tensors do not suit.</exception>
    public void RunToFp8(
        AttentionTensor q, AttentionTensor k, AttentionTensor v, nint codes, nint rowScales, nint most, int copies = 1, float? scale = null,
        nint inverse = 0, nint stream = 0)
    {
        if (codes == 0 || codes % 16 != 0 || rowScales == 0 || most == 0)
        {
            throw new ArgumentException("The codes, a multiple of 16, the rows' scales and the largest value need addresses.");
        }

        var row = (long)q.Heads * q.HeadSize;
        var work = new Work { Output = codes, Most = most, RowScales = rowScales, OutputBatch = row * q.Tokens, OutputHead = q.HeadSize, OutputToken = row, Inverse = inverse };
        Launch(q, k, v, work, copies, scale, ["FP8_ROWS"], stream);
    }

    private unsafe void Launch(
        AttentionTensor q, AttentionTensor k, AttentionTensor v, Work work, int copies, float? scale, string[] macros, nint stream)
    {
        q.Require("q");
        k.Require("k");
        v.Require("v");
        v.RequireLike(k, "v");
        k.RequireLike(q with { Tokens = k.Tokens }, "k");
        var factor = scale ?? (float)(1 / Math.Sqrt(q.HeadSize));
        if (!Fits(device, q.HeadSize, k.Tokens) || copies < 1 || !(factor > 0) || float.IsInfinity(factor))
        {
            throw new ArgumentException($"{k.Tokens} keys, the last {copies} times, scale {factor}, on {device.Name}; the kernel has 1 to {MostKeys} keys, on Hopper.");
        }

        const int block = BlockOffsets.BlockSize;
        int pieces = (k.Tokens + block - 1) / block, tiles = (q.Tokens + block - 1) / block, tileBytes = block * q.HeadSize * 2;
        (work.Heads, work.Tokens, work.Keys, work.Tiles, work.Total) = (q.Heads, q.Tokens, k.Tokens, tiles, checked(q.Rows * tiles));
        work.ScaleLog2 = (float)(factor * Math.Log2(Math.E));
        work.CopiesLog2 = (float)Math.Log2(copies);
        var (mapQ, mapK, mapV) = (TensorMap.For(q), TensorMap.For(k), TensorMap.For(v));
        var queryTiles = LaunchConstants.TextThreads / LaunchConstants.Warpgroup * LaunchConstants.TextAhead;
        device.Kernel("text_attention_sm90", q.Macros([$"KEYS={pieces * block}", .. macros])).Launch(
            (Math.Min(device.Multiprocessors, work.Total), 1, 1), LaunchConstants.TextThreads, 1024 + ((2 * pieces) + queryTiles) * tileBytes, stream,
            [(nint)(&mapQ), (nint)(&mapK), (nint)(&mapV), (nint)(&work)]);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint Output, Most, Inverse, RowScales;
        public long OutputBatch, OutputHead, OutputToken;
        public int Heads, Tokens, Keys, Tiles, Total;
        public float ScaleLog2, CopiesLog2;
    }
}
