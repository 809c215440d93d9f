using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
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
    private const int PicturePrompts = 6;

    private readonly DitTrainingOptions _options;
    private readonly ModelSizes _sizes;
    private readonly IClipSource _source;
    private readonly CaptionEncoder _captions;

    /// <summary>A transformer and a text encoder at step 0, on one device or on several.</summary>
    /// <param name="sizes">The model, its vocabulary that of the tokenizer.</param>
    /// <param name="options">How it is trained.</param>
    /// <param name="source">The clips to learn from.</param>
    /// <param name="loadVae">Reads the VAE onto a device; called once for each, and the trainer's from then on.</param>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="models">Where the model is trained and in which type: on each device with a part of the batch, the gradients averaged.</param>
    public DitTrainer(
        ModelSizes sizes, DitTrainingOptions options, IClipSource source, Func<ModuleOptions, WanVae> loadVae, UmT5Tokenizer tokenizer,
        params IReadOnlyList<ModuleOptions> models)
    {
        ArgumentOutOfRangeException.ThrowIfZero(models.Count, nameof(models));
        (_sizes, _options, _source) = (sizes, options, source);
        _captions = new CaptionEncoder(tokenizer, sizes.Dit.TextLen);
        Replicas = [.. models.Select((model, rank) => new DitReplica(sizes, options, source, loadVae(model), _captions, model, rank, models.Count))];
        Optimizer = new Optimizer(Parameters, options.Optimizer with { RelativeRate = TextRates.Of(sizes.Others.TextEncoder) });
    }

    /// <inheritdoc/>
    public override string Name => "dit";

    /// <inheritdoc/>
    public override int Batch => _options.Batch;

    /// <inheritdoc/>
    public override IReadOnlyList<string> Measures { get; } = ["loss", "norm"];

    /// <inheritdoc/>
    public override FlatParameters Parameters => First.Parameters;

    /// <inheritdoc/>
    protected override Optimizer Optimizer { get; }

    // One a device. The first's weights are what the optimiser moves; the others follow.
    internal IReadOnlyList<DitReplica> Replicas { get; }

    private DitReplica First => Replicas[0];

    /// <inheritdoc/>
    public override void Prepare(Action<int, int>? onGroup, CancellationToken cancellation) =>
        OnAll(replica => replica.Prepare(Step, replica == First ? onGroup : null, cancellation));

    /// <inheritdoc/>
    public override Tensor Advance()
    {
        using var scope = NewDisposeScope();
        StepRandom.Seed(_options.Seed, Step);
        var step = Step;
        var parts = new (Tensor Loss, Tensor Gradient)[Replicas.Count];
        OnAll((replica, rank) =>
        {
            if (rank > 0)
            {
                replica.Parameters.CopyFrom(Parameters);
            }

            parts[rank] = replica.Differentiate(step);
        });
        using var loss = Mean([.. parts.Select(part => part.Loss)]);
        using var gradient = Mean([.. parts.Select(part => part.Gradient)]);
        var norm = Optimizer.Update(gradient);
        return stack([loss, norm]).MoveToOuterDisposeScope();
    }

    /// <summary>The loss of the first device on a batch that the generators draw. []</summary>
    public Tensor Loss() => First.Loss(Step);

    /// <summary>The self-attention of a step, counted from 0.</summary>
    public AttentionExpression AttentionAt(int step) => _options.Attentions[First.TurnAt(step).Attention];

    /// <summary>Clips of a size in a step on each device.</summary>
    internal int ClipsOf(int size) => First.ClipsOf(size);

    /// <summary>Videos of captions that training does not see, each from a noise of its own, with the defaults of the model.</summary>
    public override Tensor? Picture()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var averaged = Parameters.Lend(Optimizer.Average);
        // A rendered clip of one frame shows the middle of the motion. Of two frames the first is the beginning, which the transformer is told.
        var frames = _sizes.Dit.GuideChannels > 0 ? 2 : 1;
        using var clips = _source.Next(StepRandom.FirstUnseen, PicturePrompts, _options.Clips[0] with { Frames = frames }, First.Device);
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
        var sampler = new LatentSampler(First.Dit);
        var noise = LatentSampler.Noise(request.LatentShape(_sizes.Others.Vae.Traits), seed);
        using var conditioning = new GuidedConditioning(
            new Conditioning(First.Context(_captions.Encode([prompt], First.Device))), request.IsGuided ? new Conditioning(First.Context(First.Negative)) : null);
        foreach (var guide in first is null ? [] : First.Guides(first.unsqueeze(2).expand(-1, -1, request.Frames, -1, -1)))
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
        ModelFiles.SaveDit(folder, First.Dit);
        ModelFiles.SaveTextEncoder(folder, First.Encoder);
        _sizes.Save(folder);
        return "";
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        Optimizer.Dispose();
        foreach (var replica in Replicas)
        {
            replica.Dispose();
        }
    }

    // Their mean, in the first one's memory; the others are freed.
    private Tensor Mean(IReadOnlyList<Tensor> parts)
    {
        using var noGrad = no_grad();
        var sum = parts[0];
        foreach (var part in parts.Skip(1))
        {
            using var here = part.to(First.Device);
            sum.Plus_(here);
            part.Dispose();
        }

        return parts.Count == 1 ? sum : sum.Times_(1.0 / parts.Count);
    }

    private void OnAll(Action<DitReplica> work) => OnAll((replica, _) => work(replica));

    // GPUs work at once, each with a thread of its own; the CPU's one generator draws for one replica after another.
    private void OnAll(Action<DitReplica, int> work)
    {
        if (Replicas.Count == 1 || First.Device.type == TorchSharp.DeviceType.CPU)
        {
            for (var rank = 0; rank < Replicas.Count; rank++)
            {
                work(Replicas[rank], rank);
            }

            return;
        }

        // Waited for so that the first failure comes out as it is.
        Task.WhenAll(Replicas.Select((replica, rank) => Task.Factory.StartNew(
            () => work(replica, rank), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))).GetAwaiter().GetResult();
    }

    // [C, T', h, w] → [3, T, H, W] on the CPU
    private Tensor Decode(Tensor latents)
    {
        using var scope = NewDisposeScope();
        var frames = new List<Tensor>();
        First.Vae.Decode(latents.unsqueeze(0), chunk => frames.Add(chunk.squeeze(0).cpu().MoveToOuterDisposeScope()));
        return cat(frames, 1).MoveToOuterDisposeScope();
    }
}
