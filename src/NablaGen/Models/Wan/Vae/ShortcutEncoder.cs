using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>Frames → mean and log-variance of the latents, as Wan2.2's VAE has it. Port of Encoder3d, wan/modules/vae2_2.py.</summary>
public sealed class ShortcutEncoder : Module<Tensor, FeatureCache?, Tensor>, IVaeEncoder
{
    private readonly int _topLevels;

    [ComponentName(Name = "conv1")]
    private readonly CausalConv3d _conv1;

    [ComponentName(Name = "downsamples")]
    private readonly ModuleList<DownLevel> _downsamples;

    [ComponentName(Name = "middle")]
    private readonly VaeMiddle _middle;

    [ComponentName(Name = "head")]
    private readonly VaeOutput _head;

    /// <summary>An encoder with unread weights.</summary>
    public ShortcutEncoder(VaeConfig config, ModuleOptions options)
        : base(nameof(ShortcutEncoder))
    {
        long dim = config.Dim;
        _conv1 = new CausalConv3d(config.Colours, dim, (3, 3, 3), options);
        var levels = new List<DownLevel>();
        for (var level = 0; level < config.DimMult.Count; level++)
        {
            long outputs = config.Dim * config.DimMult[level];
            var isLast = level == config.DimMult.Count - 1;
            levels.Add(new DownLevel(dim, outputs, config.NumResBlocks, halves: !isLast, time: !isLast && config.TemporalDownsample[level], options));
            dim = outputs;
        }

        _downsamples = new ModuleList<DownLevel>([.. levels]);
        _topLevels = VaeChunks.TopLevels(config);
        _middle = new VaeMiddle(dim, options);
        _head = new VaeOutput(dim, config.ZDim * 2, options);
        RegisterComponents();
    }

    /// <summary>One chunk: [B, 12, 1 or 4, H / 2, W / 2] → [B, 2 ZDim, 1, H / 16, W / 16].</summary>
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
        var top = VaeChunks.Each(frames, cache is null ? int.MaxValue : framesAtOnce, part => VaeLayers.Through(_downsamples.Take(_topLevels), _conv1.forward(part, cache), cache));
        return VaeLayers.Through(_downsamples.Skip(_topLevels), top, cache).MoveToOuterDisposeScope();
    }

    private Tensor Finish(Tensor deep, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        return _head.forward(_middle.forward(deep, cache), cache).MoveToOuterDisposeScope();
    }

    /// <summary>Residual blocks and, but for the last level, a down-sampling, beside the level's shortcut. Port of Down_ResidualBlock.</summary>
    private sealed class DownLevel : Module<Tensor, FeatureCache?, Tensor>
    {
        private readonly long _outputs;
        private readonly (long Time, long Space) _factors;

        [ComponentName(Name = "downsamples")]
        private readonly ModuleList<Module<Tensor, FeatureCache?, Tensor>> _layers;

        public DownLevel(long inputs, long outputs, int blocks, bool halves, bool time, ModuleOptions options)
            : base(nameof(DownLevel))
        {
            (_outputs, _factors) = (outputs, (time ? 2 : 1, halves ? 2 : 1));
            var layers = new List<Module<Tensor, FeatureCache?, Tensor>>();
            for (var i = 0; i < blocks; i++)
            {
                layers.Add(new ResidualBlock(i == 0 ? inputs : outputs, outputs, options));
            }

            if (halves)
            {
                layers.Add(new Downsample(outputs, time, options));
            }

            _layers = new ModuleList<Module<Tensor, FeatureCache?, Tensor>>([.. layers]);
            RegisterComponents();
        }

        public override Tensor forward(Tensor input, FeatureCache? cache)
        {
            using var scope = NewDisposeScope();
            return VaeLayers.Through(_layers, input.alias(), cache).Plus(LevelShortcut.Average(input, _outputs, _factors.Time, _factors.Space)).MoveToOuterDisposeScope();
        }
    }
}
