using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Attention;

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
    private const string CallKey = "call";

    /// <inheritdoc/>
    public override string Name => nameof(BlockSparseFunction);

    /// <summary>The call's attention, with a gradient where one is wanted.</summary>
    public static Tensor Run(IBlockSparseCall call, Tensor q, Tensor k, Tensor v)
    {
        var wantsGradient = is_grad_enabled() && (q.requires_grad || k.requires_grad || v.requires_grad);
        return wantsGradient ? apply(q, k, v, call) : call.Forward(q, k, v, saved: null);
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var call = (IBlockSparseCall)vars[3];
        var saved = new List<Tensor>();
        var output = call.Forward((Tensor)vars[0], (Tensor)vars[1], (Tensor)vars[2], saved);
        ctx.save_for_backward(saved);
        ctx.save_data(CallKey, call);
        return output;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var call = (IBlockSparseCall)ctx.get_data(CallKey);
        var (q, k, v) = call.Backward(grad_output, ctx.get_saved_variables());
        return GradientHandover.Pass([q, k, v, null], [grad_output]);
    }
}
