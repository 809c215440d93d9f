using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;

namespace NablaGen.Cuda.Fused;

/// <summary>
/// The gradients of <see cref="GateResidualNorm"/>, or of one of its halves: <see cref="GateResidual"/> or <see cref="LayerNormModulate"/>.
/// Holds a workspace, so keep one for a run; not for several threads at once. The same inputs give the same bits. Contract:
/// gate_residual_norm_backward.cu.
/// </summary>
/// <param name="device">Where it runs.</param>
public sealed class GateResidualNormBackward(CudaDevice device) : IDisposable
{
    private readonly StripSums _sums = new(device);
    private readonly Workspace _workspace = new(device);

    /// <summary>Puts the pass on the stream.</summary>
    /// <param name="type">The 16-bit type.</param>
    /// <param name="batch">Sequences.</param>
    /// <param name="rows">Tokens of a sequence.</param>
    /// <param name="columns">Model width, a multiple of 8.</param>
    /// <param name="sumGradient">Device address of the gradient of x + y · gate from elsewhere, float32 [batch, rows, columns]; 0 for none.</param>
    /// <param name="xGradient">Device address for the gradient of x, of the same shape; without a norm it is the sum's, and 0 here.</param>
    /// <param name="norm">The norm; null for none.</param>
    /// <param name="branch">The branch; null for none.</param>
    /// <param name="stream">The stream.</param>
    public unsafe void Run(
        ElementType type, int batch, int rows, int columns, nint sumGradient, nint xGradient, NormGradient? norm, BranchGradient? branch,
        nint stream = 0)
    {
        var (n, b) = (norm ?? default, branch ?? default);
        FusedOp.RequireRows(Math.Min(batch, rows), columns);
        FusedOp.RequireAligned([sumGradient, xGradient, n.Stream, n.Statistics, n.Gradient, n.Gain, n.Gradients], n.GainStride);
        FusedOp.RequireAligned([b.Gradient, b.Value, b.Gate, b.GateGradient], b.GateStride);
        if (norm is null && (branch is null || sumGradient == 0) || (norm is null) != (xGradient == 0))
        {
            throw new ArgumentException("A norm gives x its gradient; without one there is a branch, and the sum's gradient.");
        }

        if ((b.Gate == 0) != (b.GateGradient == 0) || b.Gate != 0 && b.Value == 0)
        {
            throw new ArgumentException("A gate comes with its gradient and the branch's value.");
        }

        var plan = StripPlan.For(device.Multiprocessors, batch, rows, columns);
        var plane = 4L * batch * plan.Strips * columns;
        var strips = n.Gradients == 0 && b.GateGradient == 0 ? 0 : _workspace.Take(3 * plane);
        var (normalized, statistics, normGradient, gain, gainStride) = (n.Stream, n.Statistics, n.Gradient, n.Gain, n.GainStride);
        var (value, gate, gateStride, branchGradient) = (b.Value, b.Gate, b.GateStride, b.Gradient);
        var gainBase = n.IsModulation ? 1f : 0f;
        var stripRows = plan.StripRows;
        string[] parts = [$"NORM={(norm is null ? 0 : 1)}", $"BRANCH={(branch is null ? 0 : 1)}"];
        device.Kernel("gate_residual_norm_backward", plan.Macros(type, columns, parts)).Launch(
            (plan.Strips, batch, 1), plan.Threads, 0, stream,
            [
                (nint)(&normalized), (nint)(&statistics), (nint)(&normGradient), (nint)(&gain), (nint)(&gainBase), (nint)(&gainStride),
                (nint)(&sumGradient), (nint)(&xGradient), (nint)(&value), (nint)(&gate), (nint)(&gateStride), (nint)(&branchGradient),
                (nint)(&strips), (nint)(&rows), (nint)(&stripRows),
            ]);

        if (n.Gradients != 0)
        {
            var (planes, count) = n.IsModulation ? (2 * batch, plan.Strips) : (2, batch * plan.Strips);
            _sums.Run(strips, n.Gradients, planes, count, columns, stream);
        }

        if (b.GateGradient != 0)
        {
            _sums.Run(strips + (nint)(norm is null ? 0 : 2 * plane), b.GateGradient, batch, plan.Strips, columns, stream);
        }
    }

    /// <summary>Frees the workspace.</summary>
    public void Dispose() => _workspace.Dispose();
}
