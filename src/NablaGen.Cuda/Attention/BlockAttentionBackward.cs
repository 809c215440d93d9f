using System.Runtime.InteropServices;
using NablaGen.Cuda.Compilation;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Attention;

/// <summary>
/// The gradients of <see cref="BlockAttention"/>, the mask held fixed. Holds a workspace, so keep one for a run; not for several threads
/// at once. The same inputs give the same bits.
/// </summary>
public sealed class BlockAttentionBackward : IDisposable
{
    private readonly CudaDevice _device;
    private readonly MaskTranspose _transpose;
    private readonly Workspace _workspace;
    private readonly HopperAttentionBackward? _hopper;
    private readonly AmpereAttentionBackward? _ampere;

    /// <summary>The kernels on a device; they are compiled at first use.</summary>
    /// <param name="device">Where they run.</param>
    /// <param name="kernel">Which kernel, for tests and measurements.</param>
    /// <exception cref="CudaException">The device cannot run that kernel.</exception>
    public BlockAttentionBackward(CudaDevice device, AttentionKernel kernel = AttentionKernel.Best)
    {
        if (kernel == AttentionKernel.Hopper && !device.HasHopperKernels)
        {
            throw new CudaException($"{device.Name} ({device.Capability}, {device.Compiler}) cannot run the Hopper kernel.");
        }

        _device = device;
        _transpose = new MaskTranspose(device);
        _workspace = new Workspace(device);
        if (kernel == AttentionKernel.Ampere || !device.HasHopperKernels)
        {
            _ampere = new AmpereAttentionBackward(device);
        }
        else
        {
            _hopper = new HopperAttentionBackward(device);
        }
    }

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
        Side(new GradientSide(false, q, gradient, k, v, gradients.Q, null, mask, sums, factor), offsets, stream);
        Side(new GradientSide(true, k, v, q, gradient, gradients.K, gradients.V, transposed, sums, factor), offsets, stream);
    }

    /// <summary>Frees the workspace.</summary>
    public void Dispose() => _workspace.Dispose();

    /// <summary>Puts the row sums that both sides need on the stream. Contract: attention_backward_sums.cu.</summary>
    internal void Sums(AttentionTensor output, AttentionTensor gradient, nint logSumExp, nint sums, nint stream)
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
        var rows = LaunchConstants.GradientThreads * 8 / output.HeadSize;
        _device.Kernel("attention_backward_sums", output.Macros()).Launch(
            ((output.Tokens + rows - 1) / rows, output.Rows, 1), LaunchConstants.GradientThreads, 0, stream, work);
    }

    private void Side(GradientSide side, BlockOffsets offsets, nint stream)
    {
        _hopper?.Run(side, offsets, stream);
        _ampere?.Run(side, offsets, stream);
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct SumsWork
    {
        public nint Output, Gradient, LogSumExp, Sums;
        public TensorStrides OutputStrides, GradientStrides;
        public int Heads, Tokens;
    }
}
