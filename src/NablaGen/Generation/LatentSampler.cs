using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Memory;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Streaming;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>Noise → latents: the transformer, in memory until disposed of, and a solver a run.</summary>
public sealed class LatentSampler : IDisposable
{
    private readonly WanModel _model;
    private readonly ModuleOptions _options;

    /// <summary>A sampler over a model that has its weights; it owns the model from now on.</summary>
    /// <param name="model">The transformer.</param>
    /// <param name="options">What it was made with.</param>
    public LatentSampler(WanModel model, ModuleOptions options)
    {
        _model = model;
        _options = options;
    }

    /// <summary>The transformer's sizes.</summary>
    public DitConfig Config => _model.Config;

    /// <summary>Where the transformer is, and its type.</summary>
    internal ModuleOptions Options => _options;

    /// <summary>Reads a model's transformer.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="options">Where it is, and its type.</param>
    /// <param name="plan">Which blocks stay on the device; null for all.</param>
    public static LatentSampler Load(ModelFolder folder, ModuleOptions options, MemoryPlan? plan = null)
    {
        using var source = folder.OpenDit();
        if (plan is { StreamedLayers: > 0 })
        {
            return LoadStreamed(source, folder.DitConfig, options, plan);
        }

        var model = new WanModel(folder.DitConfig, options);
        try
        {
            CheckpointLoader.Load(source, model);
            return new LatentSampler(model, options);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    // The checkpoint as a whole is checked before a plan is made.
    private static LatentSampler LoadStreamed(ITensorSource source, DitConfig config, ModuleOptions options, MemoryPlan plan)
    {
        var blocks = LayerStreamer.Create(
            config, options, plan.ResidentLayers, plan.Slots, (layer, block) => CheckpointLoader.Copy(source, block, $"blocks.{layer}."));
        var model = new WanModel(config, options, blocks);
        try
        {
            CheckpointLoader.Copy(source, model);
            return new LatentSampler(model, options);
        }
        catch
        {
            model.Dispose();
            throw;
        }
    }

    /// <summary>Standard normal noise from a seed, made on the CPU so that it is the same whatever the device.</summary>
    /// <param name="shape">[C, T', h, w]</param>
    /// <param name="seed">The seed.</param>
    public static Tensor Noise(long[] shape, long seed)
    {
        using var generator = new Generator();
        generator.manual_seed(seed);
        return randn(shape, dtype: ScalarType.Float32, generator: generator);
    }

    /// <summary>Runs the solver. Port of the loop in WanT2V.generate, wan/text2video.py.</summary>
    /// <param name="request">Steps, solver, guidance and attention.</param>
    /// <param name="noise">[C, T', h, w]</param>
    /// <param name="context">The prompt. [1, length, TextDim]</param>
    /// <param name="negativeContext">The negative prompt; null where guidance is 1. [1, length, TextDim]</param>
    /// <param name="observer">Sees every attention and every step.</param>
    /// <param name="batchGuidance">
    /// Whether the passes with and without the prompt are one batch: attentions are then observed once a step and layer, with the heads of both.
    /// </param>
    /// <param name="cancellation">Stops between two layers.</param>
    /// <returns>Latents in float32 on the model's device. [C, T', h, w]</returns>
    public Tensor Sample(
        GenerationRequest request, Tensor noise, Tensor context, Tensor? negativeContext,
        ISamplingObserver? observer = null, bool batchGuidance = false, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        return SampleBatch(request, noise.unsqueeze(0), context, negativeContext, observer, batchGuidance, cancellation).squeeze(0).MoveToOuterDisposeScope();
    }

    /// <summary>Runs the solver for several videos at once, which differ in their noise and prompts alone.</summary>
    /// <param name="request">As for <see cref="Sample"/>; its prompt and seed do not count.</param>
    /// <param name="noise">[B, C, T', h, w]</param>
    /// <param name="context">The prompts, shorter ones ended with zeros, as the transformer ends each. [B, length, TextDim]</param>
    /// <param name="negativeContext">The negative prompts; null where guidance is 1. [B, length, TextDim]</param>
    /// <param name="observer">
    /// Sees every attention, with the heads of all videos one after the other, and every step, with the latents of all.
    /// </param>
    /// <param name="batchGuidance">As for <see cref="Sample"/>: the heads of all videos with the prompt come before those without.</param>
    /// <param name="cancellation">Stops between two layers.</param>
    /// <returns>Latents in float32 on the model's device. [B, C, T', h, w]</returns>
    public Tensor SampleBatch(
        GenerationRequest request, Tensor noise, Tensor context, Tensor? negativeContext,
        ISamplingObserver? observer = null, bool batchGuidance = false, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var controller = Controller(request, noise.shape.AsSpan(1));
        observer = controller is null ? observer : new SamplingObservers(controller, observer);
        Func<int, double>? thresholds = request.Thresholds is { } known ? step => known[step] : controller is null ? null : _ => controller.Threshold;
        using var attention = AttentionFactory.Create(
            request.Attention, _options.Device, request.DenseSteps, request.DenseLayers, observer, thresholds);
        using var run = new DitRun(_model.Config, (int)noise.shape[2], (int)noise.shape[3], (int)noise.shape[4], attention, _options)
        {
            Cancellation = cancellation,
        };
        using var solver = Solvers.Create(request.Solver, request.Steps, request.Shift);

        var prompt = context.to(_options.Device);
        var negative = negativeContext?.to(_options.Device);
        var both = batchGuidance && negative is not null ? cat([Padded(prompt), Padded(negative)]) : null;
        var latents = noise.to(_options.Device).alias();
        observer?.OnStart();
        for (var step = 0; step < request.Steps; step++)
        {
            using var stepScope = NewDisposeScope();
            run.Step = step;
            if (thresholds is not null)
            {
                observer?.OnThreshold(step, thresholds(step));
            }

            var t = tensor(new[] { solver.Schedule.Timesteps[step] }).to(_options.Device).expand(latents.shape[0]);

            var velocity = both is null
                ? Velocity(latents, t, prompt, negative, request.Guidance, run)
                : Guided(Halves(_model.forward(cat([latents, latents]), cat([t, t]), both, run)), request.Guidance);
            if (observer is not null)
            {
                using var clean = latents - velocity * solver.Schedule.Sigmas[step];
                observer.OnPrediction(step, clean);
            }

            var before = latents;
            latents = solver.Step(velocity, before).MoveToOuterDisposeScope();
            before.Dispose();
            NativeHeap.Collect();
            observer?.OnStep(step, latents);
        }

        observer?.OnEnd();
        return latents.MoveToOuterDisposeScope();
    }

    /// <summary>The model's velocity with guidance, a pass at a time. [1, C, T', h, w]</summary>
    internal Tensor Velocity(Tensor latents, Tensor t, Tensor prompt, Tensor? negative, double guidance, DitRun run) =>
        Guided((_model.forward(latents, t, prompt, run), negative is null ? null : _model.forward(latents, t, negative, run)), guidance);

    // What looks for the thresholds; null where there is no target, or they are known.
    private DensityController? Controller(GenerationRequest request, ReadOnlySpan<long> latents)
    {
        var (layers, denseLayers) = (_model.Config.NumLayers, request.DenseLayers);
        return request is { TargetDensity: { } target, Thresholds: null, Attention.Threshold: { } first }
            ? new DensityController(
                target, first, DensityController.Floor(request.Attention, DitRun.LayoutOf(_model.Config, latents), layers, denseLayers), layers, denseLayers)
            : null;
    }

    /// <inheritdoc/>
    public void Dispose() => _model.Dispose();

    // As the transformer itself pads a prompt. [B, length, TextDim] → [B, TextLen, TextDim]
    private Tensor Padded(Tensor context) => nn.functional.pad(context, [0, 0, 0, _model.Config.TextLen - context.shape[1]]);

    private static Tensor Guided((Tensor Prompt, Tensor? Without) velocity, double guidance) =>
        velocity.Without is { } without ? without + (velocity.Prompt - without) * guidance : velocity.Prompt;

    private static (Tensor, Tensor?) Halves(Tensor batch) => (batch.narrow(0, 0, batch.shape[0] / 2), batch.narrow(0, batch.shape[0] / 2, batch.shape[0] / 2));
}
