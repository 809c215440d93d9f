using NablaGen.Attention;
using NablaGen.Models;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// Computes the guided velocity of each step of a run: it makes the transformer's passes with and without the prompt and combines them.
/// Solvers ask it for one velocity a step.
/// </summary>
public sealed class Denoiser : IDisposable
{
    private readonly Device _device;
    private readonly ITransformerRun _run;
    private readonly DenoiserOptions _options;
    private readonly double? _boundary;
    private readonly List<Pass> _passes = [];
    private readonly StepCacheRun _cached;
    private readonly SamplingRanks? _ranks;

    /// <summary>A denoiser for one run.</summary>
    /// <param name="model">The transformer; stays the caller's.</param>
    /// <param name="latents">The latents' shape. [B, C, T', h, w]</param>
    /// <param name="attention">The self-attention of every layer; stays the caller's.</param>
    /// <param name="conditioning">What the model is told; stays the caller's.</param>
    /// <param name="options">Guidance and caching.</param>
    /// <param name="ranks">The GPUs that compute the run together; null for one.</param>
    /// <param name="cancellation">Stops a pass between two layers.</param>
    public Denoiser(
        IVideoTransformer model, ReadOnlySpan<long> latents, IAttention attention, GuidedConditioning conditioning, DenoiserOptions options,
        SamplingRanks? ranks = null, CancellationToken cancellation = default)
    {
        _device = model.Options.Device;
        (_options, _boundary, _ranks) = (options, model.Traits.Boundary, ranks);
        IsBatched = conditioning.Negative is not null && options.BatchesGuidance && ranks is not { HasPairs: true };
        _cached = new StepCacheRun(model.Traits, options.Steps, IsBatched) { Agree = ranks is null ? null : ranks.Agree };
        _run = model.Begin(latents[1..], attention, cancellation);
        try
        {
            if (conditioning.Negative is null || ranks is { HasPairs: true })
            {
                Add(ranks is { HasPairs: true, HasPrompt: false } ? conditioning.Negative! : conditioning.Prompt, options);
            }
            else if (IsBatched)
            {
                using var both = Conditioning.Stack([conditioning.Prompt, conditioning.Negative]);
                Add(both, options);
            }
            else
            {
                Add(conditioning.Prompt, options);
                Add(conditioning.Negative, options);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Whether the passes with and without the prompt are one batch.</summary>
    public bool IsBatched { get; }

    /// <summary>The error that the step cache estimates of the last step, if it skipped it; null where it was computed.</summary>
    public double? SkippedError => _cached.IsSkipped ? _cached.Error : null;

    /// <summary>The guided velocity.</summary>
    /// <param name="latents">Noisy latents on the model's device; the caller's. [B, C, T', h, w]</param>
    /// <param name="timestep">Timestep, 0 to 1000.</param>
    /// <param name="step">The solver step, from 0.</param>
    /// <returns>A new tensor, float32. [B, C, T', h, w]</returns>
    /// <exception cref="OperationCanceledException">The run was cancelled.</exception>
    public Tensor Velocity(Tensor latents, double timestep, int step)
    {
        using var scope = NewDisposeScope();
        _cached.Step = step;
        Begin(step, timestep);
        var guidance = _boundary is { } boundary && timestep >= boundary * FlowSchedule.TrainTimesteps ? _options.GuidanceHigh ?? _options.Guidance : _options.Guidance;
        var time = tensor(new[] { timestep }).to(_device).expand(latents.shape[0]);
        if (IsBatched)
        {
            var both = Velocity(_passes[0], cat([latents, latents]), cat([time, time])).chunk(2);
            return Guided(both[0], both[1], guidance).MoveToOuterDisposeScope();
        }

        if (_ranks is { HasPairs: true })
        {
            var (prompt, without) = _ranks.Swap(Velocity(_passes[0], latents, time));
            return Guided(prompt, without, guidance).MoveToOuterDisposeScope();
        }

        // Of two experts, one may be guided alone.
        if (guidance != 1 && _passes.Count == 2)
        {
            _run.BeginPair(_passes[0].Conditioning, _passes[1].Conditioning);
        }

        var passes = guidance == 1 ? _passes.Take(1) : _passes;
        var velocities = passes.Select(pass => Velocity(pass, latents, time)).ToArray();
        return (velocities.Length == 1 ? velocities[0] : Guided(velocities[0], velocities[1], guidance)).MoveToOuterDisposeScope();
    }

    /// <summary>Makes a step's pass with the prompt alone and drops its velocity: who watches the attentions sees how they will be.</summary>
    /// <inheritdoc cref="Velocity(Tensor, double, int)"/>
    public void Probe(Tensor latents, double timestep, int step)
    {
        using var scope = NewDisposeScope();
        Begin(step, timestep);
        if (_ranks is { HasPairs: true, HasPrompt: false })
        {
            // The ranks that have the prompt make it.
            return;
        }

        var batch = IsBatched ? cat([latents, latents]) : latents;
        var time = tensor(new[] { timestep }).to(_device).expand(batch.shape[0]);
        new TransformerPass(_run, batch, time, _passes[0].Conditioning).All();
    }

    /// <summary>Puts what the conditioning fixes, such as a given first frame, into latents: before the first step and after each.</summary>
    /// <param name="latents">Latents on the model's device; overwritten where something is fixed. [B, C, T', h, w]</param>
    public void Hold(Tensor latents) => _run.Hold(latents, _passes[0].Conditioning);

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var pass in _passes)
        {
            pass.Conditioning.Dispose();
            pass.Cache.Dispose();
        }

        _passes.Clear();
        _run.Dispose();
    }

    private void Begin(int step, double timestep)
    {
        _run.BeginStep(step, timestep);
        if (_boundary is not null)
        {
            // An expert may have been read, which takes one rank longer than another.
            _ranks?.Wait();
        }
    }

    private void Add(Conditioning conditioning, DenoiserOptions options)
    {
        using var here = conditioning.To(_device);
        _passes.Add(new Pass(_run.Prepare(here, options.KeepsPrompt), StepCaches.Create(options.StepCache, _cached)));
    }

    private Tensor Velocity(Pass pass, Tensor latents, Tensor time) =>
        pass.Cache.Velocity(latents, new TransformerPass(_run, latents, time, pass.Conditioning));

    private static Tensor Guided(Tensor prompt, Tensor without, double guidance) => without.Plus((prompt - without).Times(guidance));

    private sealed record Pass(IPreparedConditioning Conditioning, IStepCache Cache);
}

/// <summary>How a <see cref="Denoiser"/> makes its passes.</summary>
/// <param name="Guidance">Scale of classifier-free guidance.</param>
/// <param name="BatchesGuidance">
/// Whether the passes with and without the prompt are one batch: attentions are then observed once a step and layer, with the heads of both.
/// </param>
/// <param name="KeepsPrompt">Whether the prompt's keys and values of every layer are kept from step to step; the memory plan says.</param>
/// <param name="StepCache">How steps are answered from memory: see <see cref="StepCaches.Names"/>.</param>
/// <param name="Steps">Solver steps, for the step cache.</param>
/// <param name="GuidanceHigh">The scale of the high-noise expert, where the model has two; null for the same.</param>
public sealed record DenoiserOptions(
    double Guidance, bool BatchesGuidance = false, bool KeepsPrompt = true, string StepCache = StepCaches.None, int Steps = 0, double? GuidanceHigh = null);
