using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>Latents → frames, as Wan2.2's VAE has it. Port of Decoder3d, wan/modules/vae2_2.py.</summary>
public sealed class ShortcutDecoder : Module<Tensor, FeatureCache?, Tensor>, IVaeDecoder
{
    private readonly VaeConfig _config;

    [ComponentName(Name = "conv1")]
    private readonly CausalConv3d _conv1;

    [ComponentName(Name = "middle")]
    private readonly VaeMiddle _middle;

    [ComponentName(Name = "upsamples")]
    private readonly ModuleList<UpLevel> _upsamples;

    [ComponentName(Name = "head")]
    private readonly VaeOutput _head;

    /// <summary>A decoder with unread weights.</summary>
    public ShortcutDecoder(VaeConfig config, ModuleOptions options)
        : base(nameof(ShortcutDecoder))
    {
        long dim = config.DecoderWidth * config.DimMult[^1];
        _conv1 = new CausalConv3d(config.ZDim, dim, (3, 3, 3), options);
        _middle = new VaeMiddle(dim, options);
        var levels = new List<UpLevel>();
        for (var level = config.DimMult.Count - 1; level >= 0; level--)
        {
            long outputs = config.DecoderWidth * config.DimMult[level];
            levels.Add(new UpLevel(dim, outputs, config.NumResBlocks + 1, doubles: level > 0, time: level > 0 && config.TemporalDownsample[level - 1], options));
            dim = outputs;
        }

        _upsamples = new ModuleList<UpLevel>([.. levels]);
        _head = new VaeOutput(dim, config.Colours, options);
        _config = config;
        RegisterComponents();
    }

    /// <summary>One latent frame: [B, ZDim, 1, h, w] → [B, 12, 1 or 4, 8 h, 8 w].</summary>
    public override Tensor forward(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        var decoder = (IVaeDecoder)this;
        var whole = VaeTile.Whole(input.shape[3], input.shape[4], _config);
        return decoder.Rise(decoder.Deepen(input, cache), cache, whole, int.MaxValue).MoveToOuterDisposeScope();
    }

    Tensor IVaeDecoder.Deepen(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        return _middle.forward(_conv1.forward(input, cache), cache).MoveToOuterDisposeScope();
    }

    Tensor IVaeDecoder.Rise(Tensor deep, FeatureCache? cache, VaeTile tile, int framesAtOnce)
    {
        using var scope = NewDisposeScope();
        var levels = tile.Entries.Length;
        var x = tile.Inner.Crop(deep, tile.Frame);
        for (var level = 0; level < levels; level++)
        {
            var before = x;
            x = Raise(level, before, cache, tile);
            before.Dispose();
        }

        // The last level takes a few frames at a time; the cache makes that exact.
        var entry = levels == 0 ? tile.Inner : tile.Entries[^1];
        var exit = levels == 0 ? tile.Start : tile.Exits[^1];
        var parts = new List<Tensor>();
        for (var frame = 0L; frame < x.shape[2]; frame += framesAtOnce)
        {
            using var piece = x.narrow(2, frame, Math.Min(framesAtOnce, x.shape[2] - frame));
            using var blocks = _upsamples[levels].Blocks(piece, cache);
            using var cropped = exit.Crop(blocks, entry);
            using var pixels = _head.forward(cropped, cache);
            parts.Add(tile.Core.Crop(pixels, exit));
        }

        return (parts.Count == 1 ? parts[0] : cat(parts, 2)).MoveToOuterDisposeScope();
    }

    // A level's residual blocks, then twice the height and width, and perhaps twice the frames.
    private Tensor Raise(int level, Tensor x, FeatureCache? cache, VaeTile tile)
    {
        using var scope = NewDisposeScope();
        var (entry, exit) = level == 0 ? (tile.Inner, tile.Start) : (tile.Entries[level - 1], tile.Exits[level - 1]);
        var blocks = _upsamples[level].Blocks(x, cache);
        var cropped = exit.Crop(blocks, entry);
        blocks.Dispose();
        var raised = _upsamples[level].Raise(exit.Crop(x, entry), cropped, cache);
        return tile.Entries[level].Crop(raised, exit.Doubled).MoveToOuterDisposeScope();
    }

    /// <summary>Residual blocks and, but for the last level, an up-sampling, beside the level's shortcut. Port of Up_ResidualBlock.</summary>
    private sealed class UpLevel : Module
    {
        private readonly long _outputs;
        private readonly long _time;

        [ComponentName(Name = "upsamples")]
        private readonly ModuleList<Module<Tensor, FeatureCache?, Tensor>> _layers;

        private readonly int _blocks;

        public UpLevel(long inputs, long outputs, int blocks, bool doubles, bool time, ModuleOptions options)
            : base(nameof(UpLevel))
        {
            (_outputs, _time, _blocks) = (outputs, time ? 2 : 1, blocks);
            var layers = new List<Module<Tensor, FeatureCache?, Tensor>>();
            for (var i = 0; i < blocks; i++)
            {
                layers.Add(new ResidualBlock(i == 0 ? inputs : outputs, outputs, options));
            }

            if (doubles)
            {
                layers.Add(new Upsample(outputs, time, options, outputs));
            }

            _layers = new ModuleList<Module<Tensor, FeatureCache?, Tensor>>([.. layers]);
            RegisterComponents();
        }

        // [B, inputs, T, H, W] → [B, outputs, T, H, W]
        public Tensor Blocks(Tensor input, FeatureCache? cache)
        {
            using var scope = NewDisposeScope();
            return VaeLayers.Through(_layers.Take(_blocks), input.alias(), cache).MoveToOuterDisposeScope();
        }

        // The level's input [B, inputs, T, H, W] and what its blocks made of it → [B, outputs, T or 2 T, 2 H, 2 W]
        public Tensor Raise(Tensor input, Tensor blocks, FeatureCache? cache)
        {
            using var scope = NewDisposeScope();
            var isFirst = cache is null || cache.IsFirstChunk(this);
            var up = _layers[_blocks].forward(blocks, cache);
            return up.Plus(LevelShortcut.Repeat(input, _outputs, _time, 2, isFirst)).MoveToOuterDisposeScope();
        }
    }
}
