using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Text;

/// <summary>T5's RMSNorm: normalised in float32, rounded to the weight's type, then scaled. Port of T5LayerNorm, wan/modules/t5.py.</summary>
public sealed class T5LayerNorm : Module<Tensor, Tensor>
{
    private const double Eps = 1e-6;

    [ComponentName(Name = "weight")]
    private readonly Parameter _weight;

    /// <summary>A norm over <paramref name="dim"/> channels.</summary>
    public T5LayerNorm(long dim, ModuleOptions options)
        : base(nameof(T5LayerNorm))
    {
        _weight = options.Parameter(dim);
        RegisterComponents();
    }

    /// <summary>[B, L, C] → [B, L, C] in the weight's type.</summary>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        var mean = input.to_type(ScalarType.Float32).Squared().mean([-1], keepdim: true);
        return (_weight * (input * mean.Plus(Eps).rsqrt()).to_type(_weight.dtype)).MoveToOuterDisposeScope();
    }
}
