using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>LayerNorm in float32, with or without weight and bias. Port of WanLayerNorm, wan/modules/model.py.</summary>
public sealed class WanLayerNorm : Module<Tensor, Tensor>
{
    private readonly long _dim;

    [ComponentName(Name = "weight")]
    private readonly Parameter? _weight;

    [ComponentName(Name = "bias")]
    private readonly Parameter? _bias;

    /// <summary>A norm over <paramref name="dim"/> channels.</summary>
    public WanLayerNorm(long dim, double eps, ModuleOptions options, bool affine = false)
        : base(nameof(WanLayerNorm))
    {
        _dim = dim;
        Eps = eps;
        if (affine)
        {
            _weight = options.Float32.Parameter(dim);
            _bias = options.Float32.Parameter(dim);
        }

        RegisterComponents();
    }

    /// <summary>Added to the variance.</summary>
    public double Eps { get; }

    /// <summary>The weight [C], or null.</summary>
    public Parameter? Weight => _weight;

    /// <summary>The bias [C], or null.</summary>
    public Parameter? Bias => _bias;

    /// <summary>[B, L, C] in any type → [B, L, C] in float32.</summary>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return functional.layer_norm(input.to_type(ScalarType.Float32), [_dim], _weight, _bias, Eps).MoveToOuterDisposeScope();
    }
}
