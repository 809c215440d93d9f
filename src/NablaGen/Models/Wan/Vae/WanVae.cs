using NablaGen.Tensors;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// Wan's causal video VAE, frame by frame with cached features. Port of WanVAE_ and WanVAE, wan/modules/vae.py, and of Wan2.2's in
/// wan/modules/vae2_2.py; the parameters' names are the checkpoint's own.
/// </summary>
/// <remarks>Not thread-safe: one call at a time, and no other thread may use its tensors meanwhile.</remarks>
public sealed class WanVae : Module, IVideoAutoencoder
{
    private readonly ScalarType _dtype;
    private readonly Device _device;

    [ComponentName(Name = "encoder")]
    private readonly Module<Tensor, FeatureCache?, Tensor> _encoder;

    [ComponentName(Name = "conv1")]
    private readonly CausalConv3d _conv1;

    [ComponentName(Name = "conv2")]
    private readonly CausalConv3d _conv2;

    [ComponentName(Name = "decoder")]
    private readonly Module<Tensor, FeatureCache?, Tensor> _decoder;

    /// <summary>A VAE with unread weights.</summary>
    public WanVae(VaeConfig config, ModuleOptions options)
        : base(nameof(WanVae))
    {
        Config = config;
        (_dtype, _device) = (options.Dtype, options.Device);
        _encoder = config.HasLevelShortcuts ? new ShortcutEncoder(config, options) : new VaeEncoder(config, options);
        _conv1 = new CausalConv3d(config.ZDim * 2, config.ZDim * 2, (1, 1, 1), options);
        _conv2 = new CausalConv3d(config.ZDim, config.ZDim, (1, 1, 1), options);
        _decoder = config.HasLevelShortcuts ? new ShortcutDecoder(config, options) : new VaeDecoder(config, options);
        RegisterComponents();
    }

    /// <summary>The sizes.</summary>
    public VaeConfig Config { get; }

    /// <summary>The parts that make frames of latents, each with its parameters' prefix.</summary>
    public IReadOnlyList<(string Prefix, Module Module)> DecodingParts => [("conv2.", _conv2), ("decoder.", _decoder)];

    /// <summary>The latents' mean, normalised by channel, float32. [B, 3, 4 n + 1, H, W] in [−1, 1] → [B, ZDim, n + 1, H / 8, W / 8].</summary>
    /// <param name="video">The video, on any device: a chunk of it at a time goes to the VAE's, where the latents are.</param>
    /// <param name="tiling">How to divide the encoding; null for not at all.</param>
    /// <param name="cancellation">Stops between latent frames.</param>
    public Tensor Encode(Tensor video, VaeTiling? tiling = null, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        tiling ??= VaeTiling.None;
        var (rows, columns) = (video.shape[3] / Config.SpatialStride, video.shape[4] / Config.SpatialStride);
        var tiles = VaeEncodingTile.Cut(tiling, rows, columns, Config);
        var latents = new List<Tensor>();
        using var cache = Cache(VaeMemory.EncodingRoom(Config, video.shape, tiles.Count == 1 ? tiles[0].Source.Area : 0, true, tiling.FramesAtOnce));
        if (tiles.Count == 1)
        {
            foreach (var chunk in Chunks(video))
            {
                cancellation.ThrowIfCancellationRequested();
                using var step = NewDisposeScope();
                latents.Add(Finish(Encoder.Descend(OnDevice(chunk), cache, tiling.FramesAtOnce), cache).MoveToOuterDisposeScope());
            }
        }
        else
        {
            foreach (var deep in DescendTiles(video, tiles, tiling.FramesAtOnce, cancellation))
            {
                cancellation.ThrowIfCancellationRequested();
                using (deep)
                {
                    latents.Add(Finish(deep, cache));
                }
            }
        }

        var (mean, std) = Normalisation(_device);
        return ((cat(latents, 2) - mean) / std).MoveToOuterDisposeScope();
    }

    /// <summary>
    /// Decodes one latent frame after another and hands each one's frames over: 1, then 4 at a time. Memory does not grow with the
    /// video's length, unless there are tiles: then each tile is decoded to the video's end, and the video is collected on the CPU.
    /// </summary>
    /// <param name="latents">Normalised latents, float32. [B, ZDim, T', h, w]</param>
    /// <param name="onFrames">Takes [B, 3, n, 8 h, 8 w], float32, not yet clamped to [−1, 1]; the tensor is disposed of afterwards.</param>
    /// <param name="tiling">How to divide the decoding; null for not at all.</param>
    /// <param name="cancellation">Stops between latent frames.</param>
    public void Decode(Tensor latents, Action<Tensor> onFrames, VaeTiling? tiling = null, CancellationToken cancellation = default)
    {
        tiling ??= VaeTiling.None;
        var tiles = tiling.Slice is { } slice
            ? [VaeTile.Slice(slice, latents.shape[3], latents.shape[4], Config)]
            : VaeTile.Cut(tiling, latents.shape[3], latents.shape[4], Config);
        if (tiles.Count > 1)
        {
            DecodeTiles(latents, onFrames, tiles, tiling.FramesAtOnce, cancellation);
            return;
        }

        using var cache = Cache(VaeMemory.Room(Config, latents.shape, tiles[0], true, tiling.FramesAtOnce));
        for (var frame = 0L; frame < latents.shape[2]; frame++)
        {
            cancellation.ThrowIfCancellationRequested();
            using var scope = NewDisposeScope();
            var frames = Decoder.Rise(Deepen(latents, frame, cache), cache, tiles[0], tiling.FramesAtOnce);
            onFrames(PixelSquares.ToPixels(frames, Config.PatchSize).to_type(ScalarType.Float32));
        }
    }

    /// <summary>
    /// The latents' mean and log-variance as the encoder gives them, not normalised; all frames at once, which takes more memory than
    /// <see cref="Encode"/>, fewer operations, and gives the same. [B, 3, 4 n + 1, H, W] → twice [B, ZDim, n + 1, H / 8, W / 8].
    /// </summary>
    public (Tensor Mean, Tensor LogVariance) EncodeMoments(Tensor video)
    {
        using var scope = NewDisposeScope();
        var moments = _conv1.forward(_encoder.forward(PixelSquares.ToChannels(video, Config.PatchSize), null), null).chunk(2, 1);
        return (moments[0].MoveToOuterDisposeScope(), moments[1].MoveToOuterDisposeScope());
    }

    /// <summary>Decodes latents that are not normalised, all frames at once. [B, ZDim, T', h, w] → [B, 3, 4 (T' − 1) + 1, 8 h, 8 w]</summary>
    public Tensor DecodeWhole(Tensor latents)
    {
        using var scope = NewDisposeScope();
        return PixelSquares.ToPixels(_decoder.forward(_conv2.forward(latents, null), null), Config.PatchSize).MoveToOuterDisposeScope();
    }

    private IVaeDecoder Decoder => (IVaeDecoder)_decoder;

    private IVaeEncoder Encoder => (IVaeEncoder)_encoder;

    // The first frame, then as many as a latent frame stands for.
    private IEnumerable<Tensor> Chunks(Tensor video)
    {
        for (var frame = 0L; frame < video.shape[2]; frame += frame == 0 ? 1 : Config.TemporalStride)
        {
            var count = frame == 0 ? 1 : Config.TemporalStride;
            if (frame + count <= video.shape[2])
            {
                yield return video.narrow(2, frame, count);
            }
        }
    }

    private Tensor OnDevice(Tensor frames) => PixelSquares.ToChannels(frames.to(_device), Config.PatchSize).to_type(_dtype);

    // The descending part of all chunks, tile after tile, each to the video's end. [B, C, 1, h, w] a chunk
    private List<Tensor> DescendTiles(Tensor video, IReadOnlyList<VaeEncodingTile> tiles, int framesAtOnce, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var deep = new List<Tensor>();
        var room = tiles.Max(tile => VaeMemory.EncodingRoom(Config, video.shape, tile.Source.Area, false, framesAtOnce));
        foreach (var tile in tiles)
        {
            using var cache = Cache(room);
            foreach (var (i, chunk) in Chunks(video).Index())
            {
                cancellation.ThrowIfCancellationRequested();
                using var step = NewDisposeScope();
                var (at, side) = (tile.Source, Config.PatchSize);
                var part = OnDevice(chunk.narrow(3, at.Top * side, at.Height * side).narrow(4, at.Left * side, at.Width * side));
                var below = Encoder.Descend(part, cache, framesAtOnce);
                if (deep.Count == i)
                {
                    long[] shape = [below.shape[0], below.shape[1], 1, video.shape[3] / Config.SpatialStride, video.shape[4] / Config.SpatialStride];
                    deep.Add(ChannelsLast.Empty(shape, below.dtype, _device).MoveToOuterDisposeScope());
                }

                var core = tile.Core;
                deep[i].narrow(3, core.Top, core.Height).narrow(4, core.Left, core.Width).copy_(core.Crop(below, tile.Covered));
            }
        }

        foreach (var one in deep)
        {
            one.MoveToOuterDisposeScope();
        }

        return deep;
    }

    // A latent frame's mean, not normalised. [B, ZDim, 1, h, w] in float32
    private Tensor Finish(Tensor deep, FeatureCache cache)
    {
        using var scope = NewDisposeScope();
        return _conv1.forward(Encoder.Finish(deep, cache), cache).narrow(1, 0, Config.ZDim).to_type(ScalarType.Float32).clone().MoveToOuterDisposeScope();
    }

    private void DecodeTiles(
        Tensor latents, Action<Tensor> onFrames, IReadOnlyList<VaeTile> tiles, int framesAtOnce, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var deep = new List<Tensor>();
        using (var cache = Cache(VaeMemory.Room(Config, latents.shape, null, true, framesAtOnce)))
        {
            for (var frame = 0L; frame < latents.shape[2]; frame++)
            {
                cancellation.ThrowIfCancellationRequested();
                deep.Add(Deepen(latents, frame, cache));
            }
        }

        var (batch, height, width) = (latents.shape[0], latents.shape[3] * Config.SpatialStride, latents.shape[4] * Config.SpatialStride);
        var chunks = deep.Select((_, i) => empty([batch, 3, i == 0 ? 1 : Config.TemporalStride, height, width], _dtype)).ToList();
        // As large for each tile as for the largest: the same memory serves all of them.
        var room = tiles.Max(tile => VaeMemory.Room(Config, latents.shape, tile, false, framesAtOnce));
        foreach (var tile in tiles)
        {
            using var cache = Cache(room);
            foreach (var (part, chunk) in deep.Zip(chunks))
            {
                cancellation.ThrowIfCancellationRequested();
                using var step = NewDisposeScope();
                var (at, side) = (tile.Core, Config.PatchSize);
                var pixels = PixelSquares.ToPixels(Decoder.Rise(part, cache, tile, framesAtOnce), side);
                chunk.narrow(3, at.Top * side, at.Height * side).narrow(4, at.Left * side, at.Width * side).copy_(pixels);
            }
        }

        foreach (var chunk in chunks)
        {
            using var step = NewDisposeScope();
            onFrames(chunk.to_type(ScalarType.Float32));
        }
    }

    // Room is for our own convolutions alone.
    private FeatureCache Cache(long room) => new(CudaDevices.ConvolvesFramesApart(_device, _dtype) ? room : 0, _dtype, _device);

    // A latent frame through the layers that see whole frames.
    private Tensor Deepen(Tensor latents, long frame, FeatureCache cache)
    {
        using var scope = NewDisposeScope();
        var (mean, std) = Normalisation(latents.device);
        var z = _conv2.forward((latents.narrow(2, frame, 1) * std).Plus(mean).to_type(_dtype), cache);
        return Decoder.Deepen(z, cache).MoveToOuterDisposeScope();
    }

    private (Tensor Mean, Tensor Std) Normalisation(Device device) =>
        (Channels(Config.LatentsMean, device), Channels(Config.LatentsStd, device));

    private static Tensor Channels(IReadOnlyList<float> values, Device device) =>
        tensor(values.ToArray(), [1, values.Count, 1, 1, 1]).to(device);
}
