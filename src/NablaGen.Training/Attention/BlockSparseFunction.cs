using NablaGen.Training.Autograd;
using static TorchSharp.torch;

namespace NablaGen.Training.Attention;

/// <summary>
/// Block-sparse attention as a step of libtorch's autograd. The gradient goes through the kept blocks; the choice of blocks has none,
/// as in the paper.
/// </summary>
/// <remarks>
/// What the backward pass needs lives in libtorch's graph and is freed with it. An exception in a backward pass cannot cross
/// libtorch's frames: it ends the program.
/// </remarks>
internal sealed class BlockSparseFunction : autograd.SingleTensorFunction<BlockSparseFunction>
{
    private const string DifferentiatorKey = "differentiator";
    private const string CallKey = "call";

    /// <inheritdoc/>
    public override string Name => nameof(BlockSparseFunction);

    /// <summary>The attention's output, whose gradient <paramref name="differentiator"/> will compute.</summary>
    public static Tensor Run(IAttentionDifferentiator differentiator, DifferentiableCall call, Tensor q, Tensor k, Tensor v) =>
        apply(q, k, v, differentiator, call);

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (differentiator, call) = ((IAttentionDifferentiator)vars[3], (DifferentiableCall)vars[4]);
        var saved = new List<Tensor>();
        var output = differentiator.Forward(call, (Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], saved);
        ctx.save_for_backward(saved);
        ctx.save_data(DifferentiatorKey, differentiator);
        ctx.save_data(CallKey, call);
        return output;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var differentiator = (IAttentionDifferentiator)ctx.get_data(DifferentiatorKey);
        var call = (DifferentiableCall)ctx.get_data(CallKey);
        var (q, k, v) = differentiator.Backward(call, grad_output, ctx.get_saved_variables());
        return GradientHandover.Pass([q, k, v, null, null], [grad_output]);
    }
}
