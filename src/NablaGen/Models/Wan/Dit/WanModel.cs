using NablaGen.Models.Wan.Dit.Streaming;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// Wan's text-to-video diffusion transformer: noisy latents, time and prompt → velocity. Port of WanModel, wan/modules/model.py; the
/// parameters' names are the checkpoint's own.
/// </summary>
public sealed class WanModel : Module<Tensor, Tensor, Tensor, DitRun, Tensor>
{
    private readonly ILayerSource _source;

    [ComponentName(Name = "patch_embedding")]
    private readonly PatchEmbedding _patchEmbedding;

    [ComponentName(Name = "text_embedding")]
    private readonly Sequential _textEmbedding;

    [ComponentName(Name = "time_embedding")]
    private readonly Sequential _timeEmbedding;

    [ComponentName(Name = "time_projection")]
    private readonly Sequential _timeProjection;

    [ComponentName(Name = "blocks")]
    private readonly ModuleList<WanLayer>? _blocks;

    [ComponentName(Name = "head")]
    private readonly WanHead _head;

    /// <summary>A transformer with unread weights.</summary>
    /// <param name="config">The sizes.</param>
    /// <param name="options">Where it is, and its type.</param>
    /// <param name="blocks">
    /// Where its blocks come from, their weights in them; the model's own from now on. Null for blocks that are parts of the model.
    /// </param>
    public WanModel(DitConfig config, ModuleOptions options, ILayerSource? blocks = null)
        : base(nameof(WanModel))
    {
        Config = config;
        _patchEmbedding = new PatchEmbedding(config, options);
        _textEmbedding = Sequential(new AutocastLinear(config.TextDim, config.Dim, options), new Gelu(), new AutocastLinear(config.Dim, config.Dim, options));
        _timeEmbedding = Sequential(
            new AutocastLinear(config.FreqDim, config.Dim, options.Float32), new Silu(), new AutocastLinear(config.Dim, config.Dim, options.Float32));
        _timeProjection = Sequential(new Silu(), new AutocastLinear(config.Dim, config.Dim * 6, options.Float32));
        _blocks = blocks is not null ? null : new ModuleList<WanLayer>(
            Enumerable.Range(0, config.NumLayers).Select(_ => new WanLayer(config, options)).ToArray());
        _source = blocks ?? new ResidentLayers(_blocks!);
        _head = new WanHead(config, options);
        RegisterComponents();
    }

    /// <summary>The sizes.</summary>
    public DitConfig Config { get; }

    /// <summary>The velocity at the latents. [B, InDim, T', H', W'] → [B, OutDim, T', H', W'] in float32.</summary>
    /// <param name="x">Noisy latents. [B, InDim, T', H', W']</param>
    /// <param name="t">Timestep, 0 to 1000. [B]</param>
    /// <param name="context">The prompt's encoding, cut at its true length. [B, up to TextLen, TextDim]</param>
    /// <param name="run">Layout, angles, attention and step.</param>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    public override Tensor forward(Tensor x, Tensor t, Tensor context, DitRun run)
    {
        using var scope = NewDisposeScope();
        var tokens = run.ToBlocks(_patchEmbedding.forward(x)).to_type(ScalarType.Float32);

        var e = _timeEmbedding.forward(SinusoidalEmbedding(t, Config.FreqDim));
        var e0 = _timeProjection.forward(e).unflatten(1, [6, Config.Dim]);

        // The reference pads the prompt with zero rows and attends to them too.
        var prompt = _textEmbedding.forward(functional.pad(context, [0, 0, 0, Config.TextLen - context.shape[1]]));

        var stream = new ResidualStream(tokens);
        for (var layer = 0; layer < _source.Count; layer++)
        {
            run.Cancellation.ThrowIfCancellationRequested();
            var before = stream;
            stream = _source.Get(layer).forward(before, e0, prompt, run, layer);
            before.Dispose();
        }

        return Unpatchify(run.FromBlocks(_head.forward(stream.Add(run.Ops), e)), run).MoveToOuterDisposeScope();
    }

    /// <summary>[cos(t f), sin(t f)] over geometric frequencies, computed in float64. [B] → [B, dim] in float32.</summary>
    /// <remarks>Port of sinusoidal_embedding_1d, wan/modules/model.py.</remarks>
    internal static Tensor SinusoidalEmbedding(Tensor t, int dim)
    {
        using var scope = NewDisposeScope();
        var half = dim / 2;
        var frequencies = pow(10000, -arange(half, dtype: ScalarType.Float64, device: t.device) / half);
        var angles = outer(t.to_type(ScalarType.Float64), frequencies);
        return cat([cos(angles), sin(angles)], 1).to_type(ScalarType.Float32).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _source.Dispose();
        }

        base.Dispose(disposing);
    }

    // [B, L, patch · OutDim] in raster order → [B, OutDim, T', H', W']
    private Tensor Unpatchify(Tensor tokens, DitRun run)
    {
        using var scope = NewDisposeScope();
        var patch = Config.PatchSize;
        var layout = run.Layout;
        var grid = tokens.reshape(
            tokens.shape[0], layout.Time, layout.Height, layout.Width, patch.Time, patch.Height, patch.Width, Config.OutDim);
        return grid.permute(0, 7, 1, 4, 2, 5, 3, 6)
            .reshape(tokens.shape[0], Config.OutDim, layout.Time * patch.Time, layout.Height * patch.Height, layout.Width * patch.Width)
            .to_type(ScalarType.Float32)
            .MoveToOuterDisposeScope();
    }
}
