using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// RMSNorm over the whole width, that is over all heads: normalised in float32, rounded to the input's type, then scaled in float32.
/// Port of WanRMSNorm, wan/modules/model.py.
/// </summary>
public sealed class WanRmsNorm : Module<Tensor, Tensor>
{
    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    /// <summary>A norm over <paramref name="dim"/> channels.</summary>
    public WanRmsNorm(long dim, double eps, ModuleOptions options)
        : base(nameof(WanRmsNorm))
    {
        Eps = eps;
        _weight = options.Float32.Parameter(dim);
        RegisterComponents();
    }

    /// <summary>Added to the mean square.</summary>
    public double Eps { get; }

    /// <summary>The weight. [C]</summary>
    public Parameter Weight => _weight;

    /// <summary>[B, L, C] in any type → [B, L, C] in float32.</summary>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        var x = input.to_type(ScalarType.Float32);
        var normalised = x * x.Squared().mean([-1], keepdim: true).Plus(Eps).rsqrt();
        return (normalised.to_type(input.dtype) * _weight).MoveToOuterDisposeScope();
    }
}
