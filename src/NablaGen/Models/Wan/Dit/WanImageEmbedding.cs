using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>The image encoder's tokens → tokens of the transformer's width. Port of MLPProj, wan/modules/model.py.</summary>
public sealed class WanImageEmbedding : Module<Tensor, Tensor>
{
    [ComponentName(Name = "proj")]
    private readonly Projection _proj;

    [ComponentName(Name = "emb_pos")]
    private readonly Parameter? _positions;

    /// <summary>The embedding of a configuration.</summary>
    public WanImageEmbedding(DitConfig config, ModuleOptions options)
        : base(nameof(WanImageEmbedding))
    {
        _proj = new Projection(config, options);
        _positions = config.HasImagePositions ? options.Float32.Parameter(1, config.ImageTokens, config.ImageDim) : null;
        RegisterComponents();
    }

    /// <summary>[B, ImageTokens, ImageDim] → [B, ImageTokens, C]; the first picture's tokens come before the last one's.</summary>
    public override Tensor forward(Tensor tokens)
    {
        using var scope = NewDisposeScope();
        var x = tokens.to_type(ScalarType.Float32);
        return _proj.forward(_positions is null ? x : x.Plus(_positions)).MoveToOuterDisposeScope();
    }

    /// <summary>Norm, linear, exact GELU, linear, norm. The checkpoint numbers the layers of its Sequential; 2 (GELU) has no weights.</summary>
    private sealed class Projection : Module<Tensor, Tensor>
    {
        // LayerNorm's own; the configuration's is for the layers.
        private const double Eps = 1e-5;

        [ComponentName(Name = "0")]
        private readonly WanLayerNorm _normIn;

        [ComponentName(Name = "1")]
        private readonly AutocastLinear _in;

        [ComponentName(Name = "3")]
        private readonly AutocastLinear _out;

        [ComponentName(Name = "4")]
        private readonly WanLayerNorm _normOut;

        public Projection(DitConfig config, ModuleOptions options)
            : base(nameof(Projection))
        {
            _normIn = new WanLayerNorm(config.ImageDim, Eps, options, affine: true);
            _in = new AutocastLinear(config.ImageDim, config.ImageDim, options);
            _out = new AutocastLinear(config.ImageDim, config.Dim, options);
            _normOut = new WanLayerNorm(config.Dim, Eps, options, affine: true);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            using var scope = NewDisposeScope();
            var y = functional.gelu(_in.forward(_normIn.forward(x)), TorchSharp.Modules.GELU.Approximate.none);
            return _normOut.forward(_out.forward(y)).MoveToOuterDisposeScope();
        }
    }
}
