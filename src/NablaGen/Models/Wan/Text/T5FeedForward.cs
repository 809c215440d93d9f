using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Text;

/// <summary>Gated feed-forward: fc2(fc1(x) · GELU(gate(x))). Port of T5FeedForward, wan/modules/t5.py.</summary>
public sealed class T5FeedForward : Module<Tensor, Tensor>
{
    [ComponentName(Name = "gate")]
    private readonly Sequential _gate;

    [ComponentName(Name = "fc1")]
    private readonly AutocastLinear _fc1;

    [ComponentName(Name = "fc2")]
    private readonly AutocastLinear _fc2;

    /// <summary>The layer of a configuration.</summary>
    public T5FeedForward(TextEncoderConfig config, ModuleOptions options)
        : base(nameof(T5FeedForward))
    {
        _gate = Sequential(new AutocastLinear(config.Dim, config.DimFfn, options, bias: false), new Gelu());
        _fc1 = new AutocastLinear(config.Dim, config.DimFfn, options, bias: false);
        _fc2 = new AutocastLinear(config.DimFfn, config.Dim, options, bias: false);
        RegisterComponents();
    }

    /// <summary>[B, L, C] → [B, L, C].</summary>
    public override Tensor forward(Tensor input)
    {
        using var scope = NewDisposeScope();
        return _fc2.forward(_fc1.forward(input) * _gate.forward(input)).MoveToOuterDisposeScope();
    }
}
