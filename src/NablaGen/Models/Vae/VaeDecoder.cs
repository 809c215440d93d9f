using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Vae;

/// <summary>Latents → frames. Port of Decoder3d, wan/modules/vae.py.</summary>
public sealed class VaeDecoder : Module<Tensor, FeatureCache?, Tensor>
{
    [ComponentName(Name = "conv1")]
    private readonly CausalConv3d _conv1;

    [ComponentName(Name = "middle")]
    private readonly VaeMiddle _middle;

    [ComponentName(Name = "upsamples")]
    private readonly ModuleList<Module<Tensor, FeatureCache?, Tensor>> _upsamples;

    [ComponentName(Name = "head")]
    private readonly VaeOutput _head;

    /// <summary>A decoder with unread weights.</summary>
    public VaeDecoder(VaeConfig config, ModuleOptions options)
        : base(nameof(VaeDecoder))
    {
        long dim = config.Dim * config.DimMult[^1];
        _conv1 = new CausalConv3d(config.ZDim, dim, (3, 3, 3), options);
        _middle = new VaeMiddle(dim, options);
        var layers = new List<Module<Tensor, FeatureCache?, Tensor>>();
        for (var level = config.DimMult.Count - 1; level >= 0; level--)
        {
            long outputs = config.Dim * config.DimMult[level];
            for (var i = 0; i <= config.NumResBlocks; i++)
            {
                layers.Add(new ResidualBlock(dim, outputs, options));
                dim = outputs;
            }

            if (level > 0)
            {
                layers.Add(new Upsample(dim, config.TemporalDownsample[level - 1], options));
                dim /= 2;
            }
        }

        _upsamples = new ModuleList<Module<Tensor, FeatureCache?, Tensor>>([.. layers]);
        _head = new VaeOutput(dim, 3, options);
        RegisterComponents();
    }

    /// <summary>One latent frame: [B, ZDim, 1, h, w] → [B, 3, 1 or 4, 8 h, 8 w].</summary>
    public override Tensor forward(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        var x = _middle.forward(_conv1.forward(input, cache), cache);
        foreach (var layer in _upsamples)
        {
            var before = x;
            x = layer.forward(before, cache);
            before.Dispose();
        }

        return _head.forward(x, cache).MoveToOuterDisposeScope();
    }
}
