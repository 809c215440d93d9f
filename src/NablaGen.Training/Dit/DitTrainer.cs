using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Text.Tokenizer;
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
/// Trains the transformer, and the text encoder with it, by flow matching on the latents of a VAE that stays as it is. One whose sizes have
/// channels for a picture learns to be told each clip's first frame.
/// </summary>
public sealed class DitTrainer : OptimizedTrainer
{
    private const int PicturePrompts = 6, WeighedClips = 4;

    private readonly DitTrainingOptions _options;
    private readonly ModelSizes _sizes;
    private readonly IClipSource _source;
    private readonly ModuleOptions _model;
    private readonly CaptionEncoder _captions;
    private readonly WanVae _vae;
    private readonly WanModel _dit;
    private readonly T5Encoder _encoder;
    private readonly IReadOnlyList<ClipPool> _pools;
    private readonly IReadOnlyList<IAttention> _attentions;

    // By the clips' size, then by attention.
    private readonly IReadOnlyList<IReadOnlyList<DitRun>> _runs;
    private readonly Tensor _negative;
    private readonly Tensor _weights;

    /// <summary>A transformer and a text encoder of drawn weights at step 0.</summary>
    /// <param name="sizes">The model, its vocabulary that of the tokenizer.</param>
    /// <param name="options">How it is trained.</param>
    /// <param name="source">The clips to learn from.</param>
    /// <param name="vae">The VAE on the same device; the trainer's from now on.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="model">Where the model is trained and in which type.</param>
    public DitTrainer(
        ModelSizes sizes, DitTrainingOptions options, IClipSource source, WanVae vae, UmT5Tokenizer tokenizer, ModuleOptions model)
    {
        (_sizes, _options, _source, _vae, _model) = (sizes, options, source, vae, model);
        _captions = new CaptionEncoder(tokenizer, sizes.Dit.TextLen);
        _dit = new WanModel(sizes.Dit, model);
        _encoder = new T5Encoder(sizes.Others.TextEncoder, model);
        using var generator = new Generator((ulong)options.Seed);
        if (options.From is { } from)
        {
            DitWidening.Read(from, _dit);
            ModelFiles.ReadTextEncoder(from, _encoder);
        }
        else
        {
            Initialization.Draw(_dit, generator);
            Initialization.Draw(_encoder, generator);
        }

        Parameters = new FlatParameters(options.FrozenEncoder ? [("dit.", _dit)] : [("dit.", _dit), ("text.", _encoder)]);
        Optimizer = new Optimizer(Parameters, options.Optimizer with { RelativeRate = TextRates.Of(sizes.Others.TextEncoder) });
        _pools = [.. options.Clips.Select((size, i) => new ClipPool(source, size, model.Device, options.Pool,
            (clips, first) => [_vae.Encode(clips.Frames), Wordings(first, clips.Captions), .. Guides(clips.Frames)], i * StepRandom.PoolClips))];
        _attentions = [.. options.Attentions.Select(expression => DifferentiableAttention.Create(expression, model.Device))];
        _runs = [.. options.Clips.Select(size => (IReadOnlyList<DitRun>)[.. _attentions.Select(attention => Run(size, attention))])];
        _negative = _captions.Encode([sizes.Defaults.NegativePrompt], model.Device).DetachFromDisposeScope();
        _weights = Weigh().DetachFromDisposeScope();
    }

    /// <inheritdoc/>
    public override string Name => "dit";

    /// <inheritdoc/>
    public override int Batch => _options.Batch;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Measures { get; } = ["loss", "norm"];

    /// <inheritdoc/>
    public override FlatParameters Parameters { get; }

    /// <inheritdoc/>
    protected override Optimizer Optimizer { get; }

    /// <inheritdoc/>
    public override void Prepare(Action<int, int>? onGroup, CancellationToken cancellation) => ClipPool.MoveAllTo(_pools, Step, onGroup, cancellation);

    /// <inheritdoc/>
    public override Tensor Advance()
    {
        using var scope = NewDisposeScope();
        StepRandom.Seed(_options.Seed, Step, _model.Device, World?.Rank ?? 0);
        var loss = Loss();
        var norm = Optimizer.Update(Mean(Parameters.Gradient(loss)));
        return stack([loss.detach(), norm]).MoveToOuterDisposeScope();
    }

    /// <summary>The loss on a batch that the generators draw. []</summary>
    public Tensor Loss()
    {
        using var scope = NewDisposeScope();
        var (attention, size) = TurnAt(Step);
        var count = ClipsOf(size);
        var drawn = _pools[size].Draw(count);
        var device = _model.Device;
        var dropped = rand([count, 1], device: device).IsBelow(_options.PromptDropout);
        var wording = randint(_options.Wordings, [count, 1, 1], ScalarType.Int64, device);
        var ids = where(dropped, _negative, drawn[1].gather(1, wording.expand(-1, -1, drawn[1].shape[2])).squeeze(1));
        var (input, time, velocity) = FlowMatching.Mix(drawn[0], randn_like(drawn[0]), FlowMatching.Sigmas(count, _options.Shift, device));
        var predicted = _dit.Velocity(input, time, Context(ids), drawn.ElementAtOrDefault(2), _runs[size][attention]);
        return (predicted - velocity).Squared().mul(_weights).mean().MoveToOuterDisposeScope();
    }

    /// <summary>The self-attention of a step, counted from 0.</summary>
    public AttentionExpression AttentionAt(int step) => _options.Attentions[TurnAt(step).Attention];

    /// <summary>Clips in a step of a size: as much work as one of the first.</summary>
    internal int ClipsOf(int size) => Math.Max(1, (int)Math.Round((double)_options.Batch * _runs[0][0].Layout.Tokens / _runs[size][0].Layout.Tokens));

    /// <summary>Videos of captions that training does not see, each from a noise of its own, with the defaults of the model.</summary>
    public override Tensor? Picture()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var averaged = Parameters.Lend(Optimizer.Average);
        // A rendered clip of one frame shows the middle of the motion. Of two frames the first is the beginning, which the transformer is told.
        var frames = _sizes.Dit.GuideChannels > 0 ? 2 : 1;
        using var clips = _source.Next(StepRandom.FirstUnseen, PicturePrompts, _options.Clips[0] with { Frames = frames }, _model.Device);
        var rows = clips.Captions.Select((caption, i) => Decode(Sample(caption, i, clips.Frames.narrow(0, i, 1).select(2, 0)))).ToList();
        return ClipSheet.Compose(rows, columns: 6).MoveToOuterDisposeScope();
    }

    /// <summary>Makes the latents of a video with the weights as they are and the model's defaults. [C, T', h, w]</summary>
    /// <param name="prompt">What to show.</param>
    /// <param name="seed">Seed of the noise.</param>
    /// <param name="first">The first frame, for a transformer that is told one. [1, 3, H, W] in [−1, 1]</param>
    public Tensor Sample(string prompt, long seed, Tensor? first = null)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var defaults = _sizes.Defaults;
        var request = new GenerationRequest
        {
            Prompt = prompt,
            NegativePrompt = defaults.NegativePrompt,
            Attention = _options.Attentions[0],
            Width = _options.Clips[0].Width,
            Height = _options.Clips[0].Height,
            Frames = _options.Clips[0].Frames,
            Fps = defaults.Fps,
            Steps = defaults.Steps,
            Solver = defaults.Solver,
            Shift = defaults.Shift,
            Guidance = defaults.Guidance,
            Seed = seed,
        };
        // The sampler would own the model, which is ours: it is not disposed of.
        var sampler = new LatentSampler(_dit);
        var noise = LatentSampler.Noise(request.LatentShape(_sizes.Others.Vae.Traits), seed);
        using var conditioning = new GuidedConditioning(
            new Conditioning(Context(_captions.Encode([prompt], _model.Device))), request.IsGuided ? new Conditioning(Context(_negative)) : null);
        foreach (var guide in first is null ? [] : Guides(first.unsqueeze(2).expand(-1, -1, request.Frames, -1, -1)))
        {
            conditioning.Prompt.Add(Conditioning.Guide, guide.alias());
            conditioning.Negative?.Add(Conditioning.Guide, guide.alias());
        }

        return sampler.Sample(request.Sampling, noise, conditioning).MoveToOuterDisposeScope();
    }

    /// <summary>Writes the transformer and the text encoder in bfloat16, and the sizes.</summary>
    public override string Export(string folder)
    {
        using var averaged = Parameters.Lend(Optimizer.Average);
        ModelFiles.SaveDit(folder, _dit);
        ModelFiles.SaveTextEncoder(folder, _encoder);
        _sizes.Save(folder);
        return "";
    }

    /// <inheritdoc/>
    public override void Dispose()
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

        Optimizer.Dispose();
        Parameters.Dispose();
        _negative.Dispose();
        _weights.Dispose();
        _dit.Dispose();
        _encoder.Dispose();
        _vae.Dispose();
    }

    private (int Attention, int Size) TurnAt(int step)
    {
        var random = StepRandom.Of(_options.Seed, step);
        return (random.Next(_attentions.Count), random.Next(_pools.Count));
    }

    // Of clips and noise that are the same for a resumed run.
    private Tensor Weigh()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        StepRandom.Seed(_options.Seed, 0, _model.Device);
        using var clips = _source.Next(0, WeighedClips, _options.Clips[0], _model.Device);
        return LatentWeights.Of(_vae, _vae.Encode(clips.Frames)).MoveToOuterDisposeScope();
    }

    private DitRun Run(ClipSize clip, IAttention attention)
    {
        var vae = _vae.Config;
        return new DitRun(_sizes.Dit, (clip.Frames - 1) / vae.TemporalStride + 1, clip.Height / vae.SpatialStride, clip.Width / vae.SpatialStride,
            attention, _model, DitTrainingOps.Create(_sizes.Dit, _model));
    }

    // [C, T', h, w] → [3, T, H, W] on the CPU
    private Tensor Decode(Tensor latents)
    {
        using var scope = NewDisposeScope();
        var frames = new List<Tensor>();
        _vae.Decode(latents.unsqueeze(0), chunk => frames.Add(chunk.squeeze(0).cpu().MoveToOuterDisposeScope()));
        return cat(frames, 1).MoveToOuterDisposeScope();
    }

    // What the transformer is told of clips' first frames, where it is: none or one. [B, 3, T, H, W] → [B, GuideChannels, T', h, w]
    private IEnumerable<Tensor> Guides(Tensor clips) => _sizes.Dit.GuideChannels == 0 ? [] : [FirstFrameGuide.Of(_vae, clips)];

    // The captions of clips in all wordings, as ids. int64 [B, wordings, length]
    private Tensor Wordings(long first, IReadOnlyList<string> captions) => stack(
        [.. Enumerable.Range(0, _options.Wordings).Select(wording => _captions.Encode(
            wording == 0 ? captions : [.. Enumerable.Range(0, captions.Count).Select(i => _source.CaptionAt(first + i, wording))], _model.Device))], 1);

    private Tensor Context(Tensor ids)
    {
        using var mask = _captions.Mask(ids);
        using var noGrad = _options.FrozenEncoder ? no_grad() : null;
        return _encoder.Context(ids, mask);
    }
}
