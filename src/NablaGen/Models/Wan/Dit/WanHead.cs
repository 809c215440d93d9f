using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>Tokens → patches of velocity, all in float32. Port of Head, wan/modules/model.py.</summary>
public sealed class WanHead : Module<Tensor, Tensor, Tensor>
{
    [ComponentName(Name = "norm")]
    private readonly WanLayerNorm _norm;

    [ComponentName(Name = "head")]
    private readonly AutocastLinear _head;

    [ComponentName(Name = "modulation")]
    private readonly Parameter _modulation;

    private readonly bool _isDifferentiable;

    /// <summary>The head of a configuration.</summary>
    public WanHead(DitConfig config, ModuleOptions options)
        : base(nameof(WanHead))
    {
        var patch = config.PatchSize;
        _norm = new WanLayerNorm(config.Dim, config.Eps, options);
        _head = new AutocastLinear(config.Dim, patch.Time * patch.Height * patch.Width * config.OutDim, options.Float32);
        _modulation = options.Float32.Parameter(1, 2, config.Dim);
        _isDifferentiable = options.IsDifferentiable;
        RegisterComponents();
    }

    /// <summary>x [B, L, C], e [B, F, C] (the time embedding, float32, of L / F tokens each) → [B, L, patch · OutDim].</summary>
    public override Tensor forward(Tensor x, Tensor e)
    {
        using var scope = NewDisposeScope();
        var m = _modulation.unsqueeze(0).Plus(e.unsqueeze(2)).unbind(2);
        if (e.shape[0] == 1 && e.shape[1] == 1 && !_isDifferentiable && _head.Matrix is DenseMatrix matrix)
        {
            // One shift and one scale for all tokens: they go into the few outputs' weights, which saves two passes over the tokens.
            var (shift, scale) = (m[0].squeeze(1), m[1].squeeze(1));
            var bias = functional.linear(shift, matrix.Weight, _head.Bias).squeeze(0);
            return functional.linear(_norm.forward(x), matrix.Weight * scale.Plus(1), bias).MoveToOuterDisposeScope();
        }

        return _head.forward(TokenGroups.Modulate(_norm.forward(x), m[0], m[1])).MoveToOuterDisposeScope();
    }
}
