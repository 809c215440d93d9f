using System.Runtime.InteropServices;

namespace NablaGen.Cuda;

/// <summary>
/// The gradients of <see cref="BlockAttention"/>, the mask held fixed. Holds a workspace, so keep one for a run; not for several threads
/// at once. The same inputs give the same bits. Contracts: Kernels/attention_backward_sums.cu, block_attention_backward_sm80.cu.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class BlockAttentionBackward(CudaDevice device) : IDisposable
{
    private const int Threads = 128;

    private readonly MaskTranspose _transpose = new(device);
    private readonly Workspace _workspace = new(device);

    /// <summary>Puts the backward pass on the stream.</summary>
    /// <param name="q">Q.</param>
    /// <param name="k">K, of Q's shape and type.</param>
    /// <param name="v">V, of Q's shape and type.</param>
    /// <param name="output">What the forward pass gave.</param>
    /// <param name="logSumExp">Device address of what it gave beside it, float32 [batch · heads, tokens].</param>
    /// <param name="gradient">The output's gradient.</param>
    /// <param name="gradients">Get the result: zeros where a block has no partner.</param>
    /// <param name="offsets">The blocks.</param>
    /// <param name="mask">What the forward pass kept.</param>
    /// <param name="scale">Factor of the logits; by default 1/√(head size).</param>
    /// <param name="stream">The stream.</param>
    public void Run(
        AttentionTensor q, AttentionTensor k, AttentionTensor v, AttentionTensor output, nint logSumExp, AttentionTensor gradient,
        AttentionGradients gradients, BlockOffsets offsets, MaskBits mask, float? scale = null, nint stream = 0)
    {
        ReadOnlySpan<(string Name, AttentionTensor Tensor)> tensors =
        [
            ("q", q), ("k", k), ("v", v), ("output", output), ("gradient", gradient), ("gradient of q", gradients.Q),
            ("gradient of k", gradients.K), ("gradient of v", gradients.V),
        ];
        foreach (var (name, tensor) in tensors)
        {
            tensor.Require(name, offsets);
            tensor.RequireLike(q, name);
        }

        if ((mask.Heads != q.Rows && mask.Heads != 1) || mask.Blocks != offsets.Blocks)
        {
            throw new ArgumentException(
                $"The mask is for {mask.Heads} heads × {mask.Blocks} blocks; the attention has {q.Rows} × {offsets.Blocks}.");
        }

        var factor = scale ?? (float)(1 / Math.Sqrt(q.HeadSize));
        if (!(factor > 0) || float.IsInfinity(factor))
        {
            throw new ArgumentException($"The softmax scale is {factor}; it must be positive.");
        }

        var sums = _workspace.Take(8L * q.Rows * q.Tokens + mask.Bytes);
        var transposed = _transpose.Run(mask, sums + (nint)(8L * q.Rows * q.Tokens), stream);
        Sums(output, gradient, logSumExp, sums, stream);
        var shared = new Work
        {
            Sums = sums,
            Offsets = offsets.Pointer,
            BitHeadStride = mask.Heads == 1 ? 0 : (long)mask.Blocks * mask.Words,
            Heads = q.Heads,
            Blocks = mask.Blocks,
            Words = mask.Words,
            Tokens = q.Tokens,
            Scale = factor,
            ScaleLog2 = (float)(factor * Math.Log2(Math.E)),
        };
        Side(shared, keys: false, [q, gradient, k, v], gradients.Q, null, mask, stream);
        Side(shared, keys: true, [k, v, q, gradient], gradients.K, gradients.V, transposed, stream);
    }

    /// <summary>Frees the workspace.</summary>
    public void Dispose() => _workspace.Dispose();

    private unsafe void Sums(AttentionTensor output, AttentionTensor gradient, nint logSumExp, nint sums, nint stream)
    {
        var work = new SumsWork
        {
            Output = output.Pointer,
            Gradient = gradient.Pointer,
            LogSumExp = logSumExp,
            Sums = sums,
            OutputStrides = new TensorStrides(output),
            GradientStrides = new TensorStrides(gradient),
            Heads = output.Heads,
            Tokens = output.Tokens,
        };
        var rows = Threads * 8 / output.HeadSize;
        device.Kernel("attention_backward_sums", output.Macros()).Launch(
            ((output.Tokens + rows - 1) / rows, output.Rows, 1), Threads, 0, stream, [(nint)(&work)]);
    }

    // The two tensors that a thread block owns, then the two of its partners.
    private unsafe void Side(
        Work work, bool keys, ReadOnlySpan<AttentionTensor> inputs, AttentionTensor gradientA, AttentionTensor? gradientB, MaskBits bits,
        nint stream)
    {
        (work.OwnedA, work.OwnedB, work.PartnerA, work.PartnerB) =
            (inputs[0].Pointer, inputs[1].Pointer, inputs[2].Pointer, inputs[3].Pointer);
        (work.OwnedAStrides, work.OwnedBStrides) = (new TensorStrides(inputs[0]), new TensorStrides(inputs[1]));
        (work.PartnerAStrides, work.PartnerBStrides) = (new TensorStrides(inputs[2]), new TensorStrides(inputs[3]));
        (work.GradientA, work.GradientAStrides) = (gradientA.Pointer, new TensorStrides(gradientA));
        if (gradientB is { } b)
        {
            (work.GradientB, work.GradientBStrides) = (b.Pointer, new TensorStrides(b));
        }

        work.Bits = bits.Pointer;
        var tileBytes = BlockOffsets.BlockSize * gradientA.HeadSize * 2;
        device.Kernel("block_attention_backward_sm80", gradientA.Macros($"KEYS={(keys ? 1 : 0)}")).Launch(
            (work.Blocks, gradientA.Rows, 1), Threads, 6 * tileBytes + 1024, stream, [(nint)(&work)]);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct SumsWork
    {
        public nint Output, Gradient, LogSumExp, Sums;
        public TensorStrides OutputStrides, GradientStrides;
        public int Heads, Tokens;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Work
    {
        public nint OwnedA, OwnedB, PartnerA, PartnerB, GradientA, GradientB, Sums, Bits, Offsets;
        public TensorStrides OwnedAStrides, OwnedBStrides, PartnerAStrides, PartnerBStrides, GradientAStrides, GradientBStrides;
        public long BitHeadStride;
        public int Heads, Blocks, Words, Tokens;
        public float Scale, ScaleLog2;
    }
}
