using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tensors.Layers;

/// <summary>y = x Wᵀ + b in the type of the weights, as autocast does it: the input is cast, the output stays in that type.</summary>
public sealed class AutocastLinear : Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter? _bias;

    /// <summary>A layer with unread weights [outputs, inputs] and, unless told otherwise, bias [outputs].</summary>
    public AutocastLinear(long inputs, long outputs, ModuleOptions options, bool bias = true)
        : base(nameof(AutocastLinear))
    {
        _weight = options.Parameter(outputs, inputs);
        _bias = bias ? options.Parameter(outputs) : null;
        RegisterComponents();
    }

    /// <summary>[outputs, inputs]</summary>
    public Parameter Weight => _weight;

    /// <summary>[outputs], or null.</summary>
    public Parameter? Bias => _bias;

    /// <inheritdoc/>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return functional.linear(input.to_type(_weight.dtype), _weight, _bias).MoveToOuterDisposeScope();
    }
}
