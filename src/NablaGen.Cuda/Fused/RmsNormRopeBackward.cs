using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>
/// The gradients of <see cref="RmsNormRope"/>. Holds a workspace, so keep one for a run; not for several threads at once. The same inputs
/// give the same bits. Contract: rms_norm_rope_backward.cu.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class RmsNormRopeBackward(CudaDevice device) : IDisposable
{
    private readonly StripSums _sums = new(device);
    private readonly Workspace _workspace = new(device);

    /// <summary>Puts the pass on the stream. Addresses are device addresses.</summary>
    /// <param name="x">What the forward pass read, 16-bit [batch, tokens, heads · headSize], contiguous.</param>
    /// <param name="gradient">Gradient of what it gave, the same shape and type.</param>
    /// <param name="xGradient">Gets the gradient of x, the same shape and type.</param>
    /// <param name="type">The 16-bit type.</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="tokens">Tokens of a sequence.</param>
    /// <param name="heads">Heads.</param>
    /// <param name="headSize">Columns a head: 64 or 128.</param>
    /// <param name="weight">float32 [heads · headSize].</param>
    /// <param name="weightGradient">Gets the gradient of the weight, float32 [heads · headSize].</param>
    /// <param name="table">float32 [tokens, headSize / 2, 2], cosine and sine of each token's angles; 0: no rotation.</param>
    /// <param name="epsilon">Added to the mean square.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(
        nint x, nint gradient, nint xGradient, ElementType type, int batch, int tokens, int heads, int headSize, nint weight,
        nint weightGradient, nint table, float epsilon, nint stream = 0)
    {
        var columns = heads * headSize;
        FusedOp.RequireRows(Math.Min(batch, tokens), columns);
        FusedOp.RequireAligned([x, gradient, xGradient, weight, weightGradient, table]);
        if (headSize is not (64 or 128))
        {
            throw new ArgumentException($"Head size {headSize}; the kernels have 64 and 128.");
        }

        var plan = StripPlan.For(device.Multiprocessors, batch, tokens, columns);
        var strips = _workspace.Take(4L * batch * plan.Strips * columns);
        var stripRows = plan.StripRows;
        device.Kernel("rms_norm_rope_backward", plan.Macros(type, columns, $"HEAD_DIM={headSize}")).Launch(
            (plan.Strips, batch, 1), plan.Threads, 0, stream,
            [
                (nint)(&x), (nint)(&gradient), (nint)(&xGradient), (nint)(&weight), (nint)(&table), (nint)(&strips), (nint)(&tokens),
                (nint)(&stripRows), (nint)(&epsilon),
            ]);
        _sums.Run(strips, weightGradient, 1, batch * plan.Strips, columns, stream);
    }

    /// <summary>Frees the workspace.</summary>
    public void Dispose() => _workspace.Dispose();
}
