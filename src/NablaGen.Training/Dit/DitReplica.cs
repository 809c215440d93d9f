using NablaGen.Attention;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Training.Attention;
using NablaGen.Training.Dit.Ops;
using NablaGen.Training.Models;
using NablaGen.Training.Optimization;
using NablaGen.Training.Runs;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Dit;

/// <summary>
/// The transformer and the text encoder in training on one device, and that device's clips. Several replicas with the same weights, each with
/// clips of its own, make one larger batch.
/// </summary>
internal sealed class DitReplica : IDisposable
{
    private readonly DitTrainingOptions _options;
    private readonly ModelSizes _sizes;
    private readonly IClipSource _source;
    private readonly ModuleOptions _model;
    private readonly CaptionEncoder _captions;
    private readonly int _rank;
    private readonly IReadOnlyList<ClipPool> _pools;
    private readonly IReadOnlyList<IAttention> _attentions;

    // By the clips' size, then by attention.
    private readonly IReadOnlyList<IReadOnlyList<DitRun>> _runs;

    /// <summary>Reads or draws the weights.</summary>
    /// <param name="sizes">The model, its vocabulary that of the captions' tokenizer.</param>
    /// <param name="options">How it is trained; the batch is that of all replicas.</param>
    /// <param name="source">The clips, for all replicas.</param>
    /// <param name="vae">The VAE on the replica's device; the replica's from now on.</param>
    /// <param name="captions">The tokenizer.</param>
    /// <param name="model">The device, and the type of the products.</param>
    /// <param name="rank">The replica's number, from 0.</param>
    /// <param name="replicas">How many there are.</param>
    public DitReplica(
        ModelSizes sizes, DitTrainingOptions options, IClipSource source, WanVae vae, CaptionEncoder captions, ModuleOptions model, int rank, int replicas)
    {
        (_sizes, _options, _source, Vae, _captions, _model, _rank) = (sizes, options, source, vae, captions, model, rank);
        Share = options.Batch / (double)replicas;
        Dit = new WanModel(sizes.Dit, model);
        Encoder = new T5Encoder(sizes.Others.TextEncoder, model);
        using var generator = new Generator((ulong)options.Seed);
        if (options.From is { } from)
        {
            DitWidening.Read(from, Dit);
            ModelFiles.ReadTextEncoder(from, Encoder);
        }
        else
        {
            Initialization.Draw(Dit, generator);
            Initialization.Draw(Encoder, generator);
        }

        Parameters = new FlatParameters(options.FrozenEncoder ? [("dit.", Dit)] : [("dit.", Dit), ("text.", Encoder)]);
        var firstPool = rank * options.Clips.Count;
        _pools = [.. options.Clips.Select((size, i) => new ClipPool(source, size, model.Device, options.Pool,
            (clips, first) => [vae.Encode(clips.Frames), Wordings(first, clips.Captions), .. Guides(clips.Frames)], (firstPool + i) * StepRandom.PoolClips))];
        _attentions = [.. options.Attentions.Select(expression => DifferentiableAttention.Create(expression, model.Device))];
        _runs = [.. options.Clips.Select(size => (IReadOnlyList<DitRun>)[.. _attentions.Select(attention => Run(size, attention))])];
        Negative = _captions.Encode([sizes.Defaults.NegativePrompt], model.Device).DetachFromDisposeScope();
    }

    /// <summary>The transformer.</summary>
    public WanModel Dit { get; }

    /// <summary>The text encoder.</summary>
    public T5Encoder Encoder { get; }

    /// <summary>The VAE, which stays as it is.</summary>
    public WanVae Vae { get; }

    /// <summary>What is trained.</summary>
    public FlatParameters Parameters { get; }

    /// <summary>The negative prompt's ids. int64 [1, length]</summary>
    public Tensor Negative { get; }

    /// <summary>Where it is.</summary>
    public Device Device => _model.Device;

    // Clips of the first size in a step here.
    private double Share { get; }

    /// <summary>Renders and encodes the clips that a step needs.</summary>
    public void Prepare(int step, Action<int, int>? onGroup, CancellationToken cancellation) => ClipPool.MoveAllTo(_pools, step, onGroup, cancellation);

    /// <summary>The loss on clips that the device's generator draws, and its gradient. [], [N]; the caller's.</summary>
    public (Tensor Loss, Tensor Gradient) Differentiate(int step)
    {
        using var scope = NewDisposeScope();
        var loss = Loss(step);
        var gradient = Parameters.Gradient(loss);
        return (loss.detach().DetachFromDisposeScope(), gradient.DetachFromDisposeScope());
    }

    /// <summary>The loss on clips that the device's generator draws. []</summary>
    public Tensor Loss(int step)
    {
        using var scope = NewDisposeScope();
        if (_rank > 0)
        {
            // All devices' generators begin a step alike: from here on this one's numbers are others.
            rand([_rank], device: Device);
        }

        var (attention, size) = TurnAt(step);
        var count = ClipsOf(size);
        var drawn = _pools[size].Draw(count);
        var dropped = rand([count, 1], device: Device).IsBelow(_options.PromptDropout);
        var wording = randint(_options.Wordings, [count, 1, 1], ScalarType.Int64, Device);
        var ids = where(dropped, Negative, drawn[1].gather(1, wording.expand(-1, -1, drawn[1].shape[2])).squeeze(1));
        var (input, time, velocity) = FlowMatching.Mix(drawn[0], randn_like(drawn[0]), FlowMatching.Sigmas(count, _options.Shift, Device));
        var predicted = Dit.Velocity(input, time, Context(ids), drawn.ElementAtOrDefault(2), _runs[size][attention]);
        return (predicted - velocity).Squared().mean().MoveToOuterDisposeScope();
    }

    /// <summary>Which attention and which size a step takes, the same in all replicas.</summary>
    public (int Attention, int Size) TurnAt(int step)
    {
        var random = StepRandom.Of(_options.Seed, step);
        return (random.Next(_attentions.Count), random.Next(_pools.Count));
    }

    /// <summary>Clips of a size in a step here: as much work as those of the first.</summary>
    public int ClipsOf(int size) => Math.Max(1, (int)Math.Round(Share * _runs[0][0].Layout.Tokens / _runs[size][0].Layout.Tokens));

    /// <summary>Token ids → what the transformer reads. int64 [B, length] → [B, length, dim]</summary>
    public Tensor Context(Tensor ids)
    {
        using var mask = _captions.Mask(ids);
        using var noGrad = _options.FrozenEncoder ? no_grad() : null;
        return Encoder.Context(ids, mask);
    }

    /// <summary>What the transformer is told of clips' first frames, where it is: none or one. [B, 3, T, H, W] → [B, GuideChannels, T', h, w]</summary>
    public IEnumerable<Tensor> Guides(Tensor clips) => _sizes.Dit.GuideChannels == 0 ? [] : [FirstFrameGuide.Of(Vae, clips)];

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var run in _runs.SelectMany(ofSize => ofSize))
        {
            run.Dispose();
        }

        foreach (var attention in _attentions)
        {
            attention.Dispose();
        }

        foreach (var pool in _pools)
        {
            pool.Dispose();
        }

        Parameters.Dispose();
        Negative.Dispose();
        Dit.Dispose();
        Encoder.Dispose();
        Vae.Dispose();
    }

    private DitRun Run(ClipSize clip, IAttention attention)
    {
        var vae = Vae.Config;
        return new DitRun(_sizes.Dit, (clip.Frames - 1) / vae.TemporalStride + 1, clip.Height / vae.SpatialStride, clip.Width / vae.SpatialStride,
            attention, _model, DitTrainingOps.Create(_sizes.Dit, _model));
    }

    // The captions of clips in all wordings, as ids. int64 [B, wordings, length]
    private Tensor Wordings(long first, IReadOnlyList<string> captions) => stack(
        [.. Enumerable.Range(0, _options.Wordings).Select(wording => _captions.Encode(
            wording == 0 ? captions : [.. Enumerable.Range(0, captions.Count).Select(i => _source.CaptionAt(first + i, wording))], Device))], 1);
}
