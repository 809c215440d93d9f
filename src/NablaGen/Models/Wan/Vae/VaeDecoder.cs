using NablaGen.Tensors;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// Latents → frames. Port of Decoder3d, wan/modules/vae.py. It has two parts: the deep one, at the latents' size, looks at whole frames
/// (there is attention in it); the rising one, three quarters of the work and nearly all of the memory, looks at neighbours only and can
/// be done tile by tile.
/// </summary>
public sealed class VaeDecoder : Module<Tensor, FeatureCache?, Tensor>, IVaeDecoder
{
    private readonly VaeConfig _config;
    private readonly int _blocksALevel;

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
        (_blocksALevel, _config) = (config.NumResBlocks + 1, config);
        RegisterComponents();
    }

    /// <summary>One latent frame: [B, ZDim, 1, h, w] → [B, 3, 1 or 4, 8 h, 8 w].</summary>
    public override Tensor forward(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        var whole = VaeTile.Whole(input.shape[3], input.shape[4], _config);
        return Rise(Deepen(input, cache), cache, whole, int.MaxValue).MoveToOuterDisposeScope();
    }

    Tensor IVaeDecoder.Deepen(Tensor input, FeatureCache? cache) => Deepen(input, cache);

    Tensor IVaeDecoder.Rise(Tensor deep, FeatureCache? cache, VaeTile tile, int framesAtOnce) => Rise(deep, cache, tile, framesAtOnce);

    private Tensor Deepen(Tensor input, FeatureCache? cache)
    {
        using var scope = NewDisposeScope();
        var x = _middle.forward(_conv1.forward(input, cache), cache);
        return Blocks(0, x, cache).MoveToOuterDisposeScope();
    }

    private Tensor Rise(Tensor deep, FeatureCache? cache, VaeTile tile, int framesAtOnce)
    {
        using var scope = NewDisposeScope();
        var parts = new List<Tensor>();
        Rise(0, tile.Start.Crop(deep, tile.Frame), cache, tile, framesAtOnce, parts);
        return (parts.Count == 1 ? parts[0] : cat(parts, 2)).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// The first level, counted from the deepest, that takes a few frames at a time: where frames are by themselves any, because the bits are the same. libtorch's convolutions are faster with
    /// all frames of the small levels, and give other last bits; there it is the last one that doubles time.
    /// </summary>
    internal static int SplitLevel(VaeConfig config, bool apart)
    {
        var first = config.TemporalDownsample.Index().FirstOrDefault(down => down.Item).Index;
        return apart ? 0 : Math.Max(0, config.TemporalDownsample.Count - 1 - first);
    }

    // From a level on, a few frames at a time: the cache makes that exact. Disposes of x, and adds what comes out to parts.
    private void Rise(int level, Tensor x, FeatureCache? cache, VaeTile tile, int framesAtOnce, List<Tensor> parts)
    {
        if (level == tile.Entries.Length)
        {
            using var pixels = _head.forward(x, cache);
            x.Dispose();
            parts.Add(tile.Core.Crop(pixels, level == 0 ? tile.Start : tile.Exits[^1]));
            return;
        }

        var moved = Up(level).InTime(x, cache);
        x.Dispose();
        var split = SplitLevel(_config, CudaDevices.ConvolvesFramesApart(moved.device, moved.dtype));
        foreach (var piece in VaeChunks.Cut(moved, level < split ? int.MaxValue : framesAtOnce))
        {
            Rise(level + 1, InSpace(level, piece, cache, tile), cache, tile, framesAtOnce, parts);
        }
    }

    private Upsample Up(int level) => (Upsample)_upsamples[level * (_blocksALevel + 1) + _blocksALevel];

    // Twice the height and width, then this level's residual blocks. Disposes of x.
    private Tensor InSpace(int level, Tensor x, FeatureCache? cache, VaeTile tile)
    {
        using var scope = NewDisposeScope();
        var covered = (level == 0 ? tile.Start : tile.Exits[level - 1]).Doubled;
        var up = Up(level).InSpace(x);
        x.Dispose();
        var cropped = tile.Entries[level].Crop(up, covered);
        up.Dispose();
        var y = Blocks(level + 1, cropped, cache);
        return tile.Exits[level].Crop(y, tile.Entries[level]).MoveToOuterDisposeScope();
    }

    // The residual blocks of a level, the deepest being 0. Disposes of x.
    private Tensor Blocks(int level, Tensor x, FeatureCache? cache) =>
        VaeLayers.Through(_upsamples.Skip(level * (_blocksALevel + 1)).Take(_blocksALevel), x, cache);
}
