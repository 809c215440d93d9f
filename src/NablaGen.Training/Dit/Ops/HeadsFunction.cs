using NablaGen.Training.Autograd;
using static TorchSharp.torch;

namespace NablaGen.Training.Dit.Ops;

/// <summary>RMSNorm over all heads and rotation as one step of libtorch's autograd.</summary>
/// <remarks>An exception in a backward pass cannot cross libtorch's frames: it ends the program.</remarks>
internal sealed class HeadsFunction : autograd.SingleTensorFunction<HeadsFunction>
{
    private const string KernelsKey = "kernels";
    private const string CallKey = "call";

    /// <inheritdoc/>
    public override string Name => nameof(HeadsFunction);

    /// <summary>What <see cref="IOpKernels.NormalizeHeads"/> gives, with a gradient where one is wanted.</summary>
    public static Tensor Run(IOpKernels kernels, Tensor x, Tensor weight, HeadsCall call) =>
        is_grad_enabled() && (x.requires_grad || weight.requires_grad)
            ? apply(x, weight, kernels, call)
            : kernels.NormalizeHeads(x, weight, call);

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (x, weight, kernels, call) = ((Tensor)vars[0], (Tensor)vars[1], (IOpKernels)vars[2], (HeadsCall)vars[3]);
        ctx.save_for_backward([x, weight]);
        ctx.save_data(KernelsKey, kernels);
        ctx.save_data(CallKey, call);
        return kernels.NormalizeHeads(x, weight, call);
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        using var scope = NewDisposeScope();
        var saved = ctx.get_saved_variables();
        var kernels = (IOpKernels)ctx.get_data(KernelsKey);
        var (x, weight) = kernels.DifferentiateHeads(saved[0], saved[1], (HeadsCall)ctx.get_data(CallKey), grad_output);
        return GradientHandover.Pass([x, weight, null, null], [grad_output]);
    }
}
