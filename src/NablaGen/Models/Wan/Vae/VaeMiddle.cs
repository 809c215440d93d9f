using NablaGen.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>The deepest level: residual block, attention, residual block.</summary>
internal sealed class VaeMiddle : Module<Tensor, FeatureCache?, Tensor>
{
    [ComponentName(Name = "0")]
    private readonly ResidualBlock _before;

    [ComponentName(Name = "1")]
    private readonly VaeAttention _attention;

    [ComponentName(Name = "2")]
    private readonly ResidualBlock _after;

    public VaeMiddle(long dim, ModuleOptions options)
        : base(nameof(VaeMiddle))
    {
        _before = new ResidualBlock(dim, dim, options);
        _attention = new VaeAttention(dim, options);
        _after = new ResidualBlock(dim, dim, options);
        RegisterComponents();
    }

    public override Tensor forward(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        return _after.forward(_attention.forward(_before.forward(input, cache)), cache).MoveToOuterDisposeScope();
    }
}
