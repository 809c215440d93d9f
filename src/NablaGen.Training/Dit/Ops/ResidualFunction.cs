using NablaGen.Training.Autograd;
using static TorchSharp.torch;

namespace NablaGen.Training.Dit.Ops;

/// <summary>A residual sum, its norm, or both, as one step of libtorch's autograd.</summary>
/// <remarks>An exception in a backward pass cannot cross libtorch's frames: it ends the program.</remarks>
internal sealed class ResidualFunction : autograd.MultiTensorFunction<ResidualFunction>
{
    private const string CallKey = "call";

    /// <inheritdoc/>
    public override string Name => nameof(ResidualFunction);

    /// <summary>
    /// What <see cref="IOpKernels.AddAndNormalize"/> gives, with a gradient where one is wanted: the sum if there is a branch, and the norm
    /// if there is one.
    /// </summary>
    public static IReadOnlyList<Tensor> Run(IOpKernels kernels, Tensor x, Tensor? y, Tensor? gate, OpNorm? norm)
    {
        var call = new ResidualCall(kernels, y?.dtype, norm is not null, norm?.IsModulation ?? false, norm?.Epsilon ?? 0);
        Tensor?[] inputs = [x, y, gate, norm?.Gain, norm?.Offset];
        return is_grad_enabled() && inputs.Any(input => input?.requires_grad ?? false)
            ? apply([.. inputs, call])
            : Forward(call, inputs, out _);
    }

    /// <inheritdoc/>
    public override List<Tensor> forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var call = (ResidualCall)vars[5];
        var inputs = vars.Take(5).Select(input => (Tensor?)input).ToArray();
        var outputs = Forward(call, inputs, out var statistics);
        var sum = !call.HasNorm ? null : call.Branch is null ? inputs[0] : outputs[0];
        var (gate, gain) = (inputs[2], inputs[3]);
        // A null is saved as a null.
        ctx.save_for_backward([sum!, statistics!, gate is null ? null! : inputs[1]!, gate!, gain!]);
        ctx.set_materialize_grads(false);
        ctx.save_data(CallKey, call);
        return outputs;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, List<Tensor> grad_outputs)
    {
        using var scope = NewDisposeScope();
        var given = grad_outputs.Select(gradient => gradient.IsInvalid ? null : gradient).ToList();
        var call = (ResidualCall)ctx.get_data(CallKey);
        var (sum, statistics, y, gate, gain) = Five(ctx.get_saved_variables());
        var (sumGradient, normalizedGradient) = (call.Branch is null ? null : given[0], call.HasNorm ? given[^1] : null);
        var norm = normalizedGradient is null ? null : new OpNorm(gain, null, call.IsModulation, call.Epsilon);
        var gradients = call.Kernels.Differentiate(sum, statistics, y, gate, norm, call.Branch, sumGradient, normalizedGradient);
        return GradientHandover.Pass([.. gradients.All, null], given);
    }

    private static List<Tensor> Forward(ResidualCall call, Tensor?[] inputs, out Tensor? statistics)
    {
        var norm = call.HasNorm ? new OpNorm(inputs[3], inputs[4], call.IsModulation, call.Epsilon) : null;
        (var sum, var normalized, statistics) = call.Kernels.AddAndNormalize(inputs[0]!, inputs[1], inputs[2], norm);
        return [.. new[] { call.Branch is null ? null : sum, normalized }.OfType<Tensor>()];
    }

    private static (Tensor? Sum, Tensor? Statistics, Tensor? Y, Tensor? Gate, Tensor? Gain) Five(List<Tensor> saved) =>
        (saved[0], saved[1], saved[2], saved[3], saved[4]);
}
