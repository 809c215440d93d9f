using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>Frames → mean and log-variance of the latents. Port of Encoder3d, wan/modules/vae.py.</summary>
public sealed class VaeEncoder : Module<Tensor, FeatureCache?, Tensor>, IVaeEncoder
{
    private readonly int _topLayers;

    [ComponentName(Name = "conv1")]
    private readonly CausalConv3d _conv1;

    [ComponentName(Name = "downsamples")]
    private readonly ModuleList<Module<Tensor, FeatureCache?, Tensor>> _downsamples;

    [ComponentName(Name = "middle")]
    private readonly VaeMiddle _middle;

    [ComponentName(Name = "head")]
    private readonly VaeOutput _head;

    /// <summary>An encoder with unread weights.</summary>
    public VaeEncoder(VaeConfig config, ModuleOptions options)
        : base(nameof(VaeEncoder))
    {
        long dim = config.Dim;
        _conv1 = new CausalConv3d(3, dim, (3, 3, 3), options);
        var layers = new List<Module<Tensor, FeatureCache?, Tensor>>();
        for (var level = 0; level < config.DimMult.Count; level++)
        {
            long outputs = config.Dim * config.DimMult[level];
            for (var i = 0; i < config.NumResBlocks; i++)
            {
                layers.Add(new ResidualBlock(dim, outputs, options));
                dim = outputs;
            }

            if (level < config.DimMult.Count - 1)
            {
                layers.Add(new Downsample(dim, config.TemporalDownsample[level], options));
            }
        }

        _downsamples = new ModuleList<Module<Tensor, FeatureCache?, Tensor>>([.. layers]);
        _topLayers = VaeChunks.TopLayers(config);
        _middle = new VaeMiddle(dim, options);
        _head = new VaeOutput(dim, config.ZDim * 2, options);
        RegisterComponents();
    }

    /// <summary>One chunk: [B, 3, 1 or 4, H, W] → [B, 2 ZDim, 1, H / 8, W / 8].</summary>
    public override Tensor forward(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        return Finish(Descend(input, cache, int.MaxValue), cache).MoveToOuterDisposeScope();
    }

    Tensor IVaeEncoder.Descend(Tensor frames, FeatureCache? cache, int framesAtOnce) => Descend(frames, cache, framesAtOnce);

    Tensor IVaeEncoder.Finish(Tensor deep, FeatureCache? cache) => Finish(deep, cache);

    private Tensor Descend(Tensor frames, FeatureCache? cache, int framesAtOnce)
    {
        using var scope = NewDisposeScope();
        var top = VaeChunks.Each(frames, cache is null ? int.MaxValue : framesAtOnce, part => VaeLayers.Through(_downsamples.Take(_topLayers), _conv1.forward(part, cache), cache));
        return VaeLayers.Through(_downsamples.Skip(_topLayers), top, cache).MoveToOuterDisposeScope();
    }

    private Tensor Finish(Tensor deep, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        return _head.forward(_middle.forward(deep, cache), cache).MoveToOuterDisposeScope();
    }
}
