using NablaGen.Attention;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Dit;

/// <summary>What stays the same over a run's steps: the order of the tokens, their rotary angles and the attention.</summary>
public sealed class DitRun : IDisposable
{
    private readonly Tensor _order;
    private readonly Tensor _place;

    /// <summary>A run for latents of one size.</summary>
    /// <param name="config">The transformer's sizes.</param>
    /// <param name="latentFrames">Latent frames, T' in shapes.</param>
    /// <param name="latentHeight">Latent rows; a multiple of the patch's.</param>
    /// <param name="latentWidth">Latent columns; a multiple of the patch's.</param>
    /// <param name="attention">The self-attention of every layer.</param>
    /// <param name="options">Where the model is, and its type.</param>
    /// <param name="ops">The ops of its layers, owned by the run from now on; null for the fastest ones, which have no gradient on CUDA.</param>
    public DitRun(
        DitConfig config, int latentFrames, int latentHeight, int latentWidth, IAttention attention, ModuleOptions options,
        IDitOps? ops = null)
    {
        var patch = config.PatchSize;
        if (latentFrames % patch.Time != 0 || latentHeight % patch.Height != 0 || latentWidth % patch.Width != 0)
        {
            throw new NablaGenException(
                $"latents of {latentFrames} × {latentHeight} × {latentWidth} cannot be cut into patches of {patch.Time} × {patch.Height} × {patch.Width}");
        }

        Attention = attention;
        Layout = config.Traits.LayoutOf([config.OutDim, latentFrames, latentHeight, latentWidth]);
        Share = attention.Split(Layout, config.Traits.HasFrameTimes);
        if (Share is not null && config.LowRank > 0)
        {
            throw new NablaGenException("the low-rank branch of this model's self-attention sums over all tokens, which --gpus splits: make this video on one GPU");
        }

        var own = Share?.Layout ?? Layout;
        Rope = new RopeTable(own, config.HeadDim, options.Device);
        LowRankRope = config.LowRank > 0 ? new LowRankRope(Rope, config.LowRank, options.Dtype) : null;
        Ops = ops ?? (options.Device.type == DeviceType.CUDA && config.QkNorm && CudaDitOps.Fit(config, options.Dtype)
            ? new CudaDitOps(options.Device, options.Dtype, own)
            : new TorchDitOps());

        using var scope = NewDisposeScope();
        var order = Layout.Order.Select(index => (long)index).ToArray();
        var place = new long[order.Length];
        for (var i = 0; i < order.Length; i++)
        {
            place[order[i]] = i;
        }

        _order = tensor(order).to(options.Device).DetachFromDisposeScope();
        _place = tensor(place).to(options.Device).DetachFromDisposeScope();
    }

    /// <summary>The self-attention.</summary>
    public IAttention Attention { get; }

    /// <summary>This process's tokens in the layers, where several GPUs compute them; null where it has all.</summary>
    public ITokenShare? Share { get; }

    /// <summary>The tokens' order in the transformer, all GPUs' together.</summary>
    public BlockLayout Layout { get; }

    /// <summary>The rotary angles of this process's tokens.</summary>
    public RopeTable Rope { get; }

    /// <summary>The low-rank branch's angles; null where the self-attention has none.</summary>
    public LowRankRope? LowRankRope { get; }

    /// <summary>The ops between a layer's matrix products.</summary>
    public IDitOps Ops { get; }

    /// <summary>What a step's passes with and without the prompt have in common.</summary>
    internal SharedStart Start { get; } = new();

    /// <summary>The solver step in work, from 0; the caller sets it.</summary>
    public int Step { get; set; }

    /// <summary>Stops a pass between two layers.</summary>
    public CancellationToken Cancellation { get; init; }

    /// <summary>Raster order → blocks. [B, L, C]</summary>
    public Tensor ToBlocks(Tensor tokens) => tokens.index_select(1, _order);

    /// <summary>Blocks → raster order. [B, L, C]</summary>
    public Tensor FromBlocks(Tensor tokens) => tokens.index_select(1, _place);

    /// <summary>What the layers of this process take of a step's input: where several GPUs compute them, its own tokens and their times.</summary>
    /// <param name="embedded">The step; its tokens are freed where only a part of them is taken.</param>
    /// <returns>Tokens [B, L or own tokens, C], and the time's modulation [B, F or own frames, 6, C].</returns>
    public (Tensor Tokens, Tensor Modulation) Own(EmbeddedStep embedded)
    {
        if (Share is null)
        {
            return (embedded.Tokens, embedded.Modulation);
        }

        var (tokens, all) = (Share.Layout.Tokens, embedded.Tokens.shape[1]);
        var own = embedded.Tokens.narrow(1, Share.Start, tokens).clone();
        embedded.Tokens.Dispose();
        var times = embedded.Modulation.shape[1];
        // One time serves all tokens; else each serves as many, one after the other.
        return (own, times == 1 ? embedded.Modulation : embedded.Modulation.narrow(1, Share.Start * times / all, tokens * times / all));
    }

    /// <summary>All tokens, of which each process has computed its own. [B, own tokens, C] → [B, L, C]</summary>
    /// <param name="tokens">This process's; freed where there are others.</param>
    public Tensor Gather(Tensor tokens)
    {
        if (Share is null)
        {
            return tokens;
        }

        var all = Share.Gather(tokens);
        tokens.Dispose();
        return all;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Start.Dispose();
        LowRankRope?.Dispose();
        Rope.Dispose();
        Ops.Dispose();
        _order.Dispose();
        _place.Dispose();
    }
}
