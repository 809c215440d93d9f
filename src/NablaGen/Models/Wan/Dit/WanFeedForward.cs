using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>Linear, GELU, linear. The checkpoint numbers the layers of its Sequential; 1 (GELU) has no weights.</summary>
public sealed class WanFeedForward : Module<Activation, IDitOps, Tensor>
{
    [ComponentName(Name = "0")]
    private readonly AutocastLinear _in;

    [ComponentName(Name = "2")]
    private readonly AutocastLinear _out;

    /// <summary>The layer of a configuration.</summary>
    public WanFeedForward(DitConfig config, ModuleOptions options)
        : base(nameof(WanFeedForward))
    {
        _in = new AutocastLinear(config.Dim, config.FfnDim, options);
        _out = new AutocastLinear(config.FfnDim, config.Dim, options);
        RegisterComponents();
    }

    /// <summary>Whether the tokens may come in fp8 with row-wise scales.</summary>
    public bool TakesRowScales => _in.Matrix.TakesRowScales;

    /// <summary>[B, L, C] → [B, L, C].</summary>
    public override Tensor forward(Activation x, IDitOps ops)
    {
        using var scope = NewDisposeScope();
        return _out.forward(ops.LinearGelu(_in, x, _out.Matrix.TakesRowScales)).MoveToOuterDisposeScope();
    }
}
