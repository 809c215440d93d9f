using NablaGen.Attention;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using TorchSharp.Modules;
using TorchSharp.Utils;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// Wan's diffusion transformer: noisy latents, time, prompt and pictures → velocity. Port of WanModel, wan/modules/model.py of Wan2.1 and
/// Wan2.2; the parameters' names are the checkpoint's own.
/// </summary>
/// <remarks>Not thread-safe: one call at a time, and no other thread may use its tensors meanwhile.</remarks>
public sealed class WanModel : Module<Tensor, Tensor, Tensor, DitRun, Tensor>, IVideoTransformer
{
    private readonly ILayerSource<WanLayer> _source;

    [ComponentName(Name = "patch_embedding")]
    private readonly PatchEmbedding _patchEmbedding;

    [ComponentName(Name = "text_embedding")]
    private readonly Sequential _textEmbedding;

    [ComponentName(Name = "img_emb")]
    private readonly WanImageEmbedding? _imageEmbedding;

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
    /// <param name="layers">
    /// Where its layers come from, with their weights; the model owns it from now on. Null for layers that are parts of the model.
    /// </param>
    public WanModel(DitConfig config, ModuleOptions options, ILayerSource<WanLayer>? layers = null)
        : base(nameof(WanModel))
    {
        Config = config;
        Options = options;
        _patchEmbedding = new PatchEmbedding(config, options.Dense);
        _textEmbedding = Sequential(new AutocastLinear(config.TextDim, config.Dim, options.Dense), new Gelu(), new AutocastLinear(config.Dim, config.Dim, options.Dense));
        _imageEmbedding = config.ImageDim > 0 ? new WanImageEmbedding(config, options.Dense) : null;
        _timeEmbedding = Sequential(
            new AutocastLinear(config.FreqDim, config.Dim, options.Float32), new Silu(), new AutocastLinear(config.Dim, config.Dim, options.Float32));
        _timeProjection = Sequential(new Silu(), new AutocastLinear(config.Dim, config.Dim * 6, options.Float32));
        _blocks = layers is not null ? null : new ModuleList<WanLayer>(
            Enumerable.Range(0, config.NumLayers).Select(layer => new WanLayer(config, options.OfLayer(layer, config.NumLayers))).ToArray());
        _source = layers ?? new ResidentLayers<WanLayer>(_blocks!);
        _head = new WanHead(config, options.Dense);
        RegisterComponents();
    }

    /// <summary>The sizes.</summary>
    public DitConfig Config { get; }

    /// <inheritdoc/>
    public TransformerTraits Traits => Config.Traits;

    /// <inheritdoc/>
    public ModuleOptions Options { get; }

    Module IVideoTransformer.Module => this;

    /// <inheritdoc/>
    public ITransformerRun Begin(ReadOnlySpan<long> latents, IAttention attention, CancellationToken cancellation = default) =>
        Begin(latents, attention, ops: null, cancellation);

    /// <summary>What stays the same over a run's steps, with chosen ops.</summary>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    /// <param name="attention">The self-attention of every layer; stays the caller's.</param>
    /// <param name="ops">The ops of its layers, owned by the run from now on; null for the fastest ones, which have no gradient on CUDA.</param>
    /// <param name="cancellation">Stops a pass between two layers.</param>
    public ITransformerRun Begin(ReadOnlySpan<long> latents, IAttention attention, IDitOps? ops, CancellationToken cancellation = default) => new WanRun(
        this, new DitRun(Config, (int)latents[1], (int)latents[2], (int)latents[3], attention, Options, ops) { Cancellation = cancellation });

    /// <summary>The velocity at the latents, without pictures. [B, OutDim, T', H', W'] → [B, OutDim, T', H', W'] in float32.</summary>
    /// <param name="x">Noisy latents. [B, OutDim, T', H', W']</param>
    /// <param name="t">Timestep, 0 to 1000: see <see cref="Embed"/>. [B] or [B, F]</param>
    /// <param name="context">The prompt's encoding, cut at its true length. [B, up to TextLen, TextDim]</param>
    /// <param name="run">Layout, angles, attention and step.</param>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    public override Tensor forward(Tensor x, Tensor t, Tensor context, DitRun run)
    {
        using var scope = NewDisposeScope();
        using var prompt = EmbedPrompt(context, keep: false);
        var embedded = Embed(x, t, prompt, run);
        return RunHead(RunLayers(embedded, prompt, run), embedded, run).MoveToOuterDisposeScope();
    }

    /// <summary>Computes what depends on the conditioning alone.</summary>
    /// <param name="context">The prompt's encoding, cut at its true length. [B, up to TextLen, TextDim]</param>
    /// <param name="keep">Whether each layer's keys and values are kept.</param>
    /// <param name="image">The image encoder's tokens of all pictures, where the layers attend to them. [B, ImageTokens, ImageDim]</param>
    /// <param name="guide">Mask and latents of the pictures, where they go in beside the noise. [B, GuideChannels, T', h, w]</param>
    /// <param name="firstFrame">Latents that stand in place of the first frame's. [B, OutDim, 1, h, w]</param>
    public WanPrompt EmbedPrompt(Tensor context, bool keep, Tensor? image = null, Tensor? guide = null, Tensor? firstFrame = null)
    {
        using var scope = NewDisposeScope();
        // The reference pads the prompt with zero rows and attends to them too.
        var padded = functional.pad(context, [0, 0, 0, Config.TextLen - context.shape[1]]);
        return new WanPrompt(_textEmbedding.forward(padded), _source.Count, keep)
        {
            Tokens = Math.Min(context.shape[1] + 1, Config.TextLen),
            Image = image is null ? null : _imageEmbedding?.forward(image),
            Guide = guide?.alias().DetachFromDisposeScope(),
            FirstFrame = firstFrame?.alias().DetachFromDisposeScope(),
        };
    }

    /// <summary>The part before the layers.</summary>
    /// <param name="x">Noisy latents. [B, OutDim, T', H', W']</param>
    /// <param name="t">
    /// Timestep, 0 to 1000: one for the video [B], one for each latent frame [B, T'], or one for each token in raster order [B, L].
    /// </param>
    /// <param name="prompt">The prompt and the pictures.</param>
    /// <param name="run">Layout, angles, attention and step.</param>
    public EmbeddedStep Embed(Tensor x, Tensor t, WanPrompt prompt, DitRun run)
    {
        using var scope = NewDisposeScope();
        var channels = prompt.Guide is { } guide ? cat([x, guide.to_type(x.dtype)], 1) : x;
        // The few numbers of the patches change places, not the tokens made of them.
        var tokens = _patchEmbedding.forward(run.ToBlocks(_patchEmbedding.Patches(channels))).to_type(ScalarType.Float32);
        // Blocks are laid out frame by frame, so that only times of single tokens have to follow them.
        var times = t.dim() == 1 ? t.unsqueeze(1) : t.shape[1] == tokens.shape[1] ? run.ToBlocks(t) : t;
        var e = _timeEmbedding.forward(SinusoidalEmbedding(times.flatten(), Config.FreqDim)).unflatten(0, times.shape);
        var e0 = _timeProjection.forward(e).unflatten(2, [6, Config.Dim]);
        return new EmbeddedStep(tokens.MoveToOuterDisposeScope(), e.MoveToOuterDisposeScope(), e0.MoveToOuterDisposeScope());
    }

    /// <summary>All layers. [B, L, C] in float32</summary>
    /// <param name="embedded">The step's input; its tokens are overwritten and freed.</param>
    /// <param name="prompt">The prompt.</param>
    /// <param name="run">Layout, angles, attention and step.</param>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    public Tensor RunLayers(EmbeddedStep embedded, WanPrompt prompt, DitRun run)
    {
        using var scope = NewDisposeScope();
        var (tokens, modulation) = run.Own(embedded);
        var stream = new ResidualStream(tokens);
        for (var layer = 0; layer < _source.Count; layer++)
        {
            run.Cancellation.ThrowIfCancellationRequested();
            var before = stream;
            stream = _source.Get(layer).forward(before, modulation, prompt, run, layer);
            before.Dispose();
        }

        return run.Gather(stream.Add(run.Ops)).MoveToOuterDisposeScope();
    }

    /// <summary>Tokens → velocity. [B, OutDim, T', H', W'] in float32</summary>
    /// <param name="tokens">What the layers gave. [B, L, C]</param>
    /// <param name="embedded">The step.</param>
    /// <param name="run">Layout, angles, attention and step.</param>
    public Tensor RunHead(Tensor tokens, EmbeddedStep embedded, DitRun run)
    {
        using var scope = NewDisposeScope();
        return Unpatchify(run.FromBlocks(_head.forward(tokens, embedded.Time)), run).MoveToOuterDisposeScope();
    }

    /// <summary>What the keys of a layer's parameters begin with.</summary>
    public static string LayerPrefix(int layer) => $"blocks.{layer}.";

    /// <summary>[cos(t f), sin(t f)] over geometric frequencies, computed in float64. [B] → [B, dim] in float32.</summary>
    /// <remarks>Port of sinusoidal_embedding_1d, wan/modules/model.py.</remarks>
    internal static Tensor SinusoidalEmbedding(Tensor t, int dim)
    {
        using var scope = NewDisposeScope();
        var half = dim / 2;
        var frequencies = pow(10000, (-TensorArithmetic.Range(half, t.device, ScalarType.Float64)).Over(half));
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
