using NablaGen.Attention;
using NablaGen.Distributed;
using NablaGen.Models;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>Turns noise into latents with a transformer, which stays in memory until disposal, and a new solver for each run.</summary>
/// <param name="model">The transformer with its weights; the sampler owns it from now on.</param>
public sealed class LatentSampler(IVideoTransformer model) : IDisposable
{
    /// <summary>The transformer.</summary>
    public IVideoTransformer Model => model;

    /// <summary>Whether the prompt's keys and values are kept from step to step: more memory, less work, the same bits.</summary>
    public bool KeepsPrompt { get; init; } = true;

    /// <summary>The ranks that make a video together, each with this model and the same inputs; null for one alone. Stays the caller's.</summary>
    public ICommunicator? World { get; set; }

    /// <summary>How a video is split over them; null for what <see cref="RankSplit.Of"/> says.</summary>
    public RankSplit? Split { get; set; }

    /// <summary>Standard normal noise from a seed. It is made on the CPU, so that it is the same for every device.</summary>
    /// <param name="shape">[C, T', h, w]</param>
    /// <param name="seed">The seed.</param>
    public static Tensor Noise(long[] shape, long seed)
    {
        using var generator = new Generator();
        generator.manual_seed(seed);
        return randn(shape, dtype: ScalarType.Float32, generator: generator);
    }

    /// <summary>Runs the solver. Port of the loop in WanT2V.generate, wan/text2video.py.</summary>
    /// <param name="settings">Steps, solver, guidance and attention.</param>
    /// <param name="noise">[C, T', h, w]</param>
    /// <param name="conditioning">What the model is told.</param>
    /// <param name="observer">Sees every attention and every step.</param>
    /// <param name="batchGuidance">
    /// Whether the passes with and without the prompt are one batch: attentions are then observed once a step and layer, with the heads of both.
    /// </param>
    /// <param name="cancellation">Stops between two layers.</param>
    /// <returns>Latents in float32 on the model's device. [C, T', h, w]</returns>
    public Tensor Sample(
        SamplingSettings settings, Tensor noise, GuidedConditioning conditioning, ISamplingObserver? observer = null, bool batchGuidance = false,
        CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        return SampleBatch(settings, noise.unsqueeze(0), conditioning, observer, batchGuidance, cancellation).squeeze(0).MoveToOuterDisposeScope();
    }

    /// <summary>Runs the solver for several videos at once, which differ in their noise and conditioning alone.</summary>
    /// <param name="settings">As for <see cref="Sample"/>.</param>
    /// <param name="noise">[B, C, T', h, w]</param>
    /// <param name="conditioning">What the model is told of each. [B, ...]</param>
    /// <param name="observer">
    /// Sees every attention, with the heads of all videos one after the other, and every step, with the latents of all.
    /// </param>
    /// <param name="batchGuidance">As for <see cref="Sample"/>: the heads of all videos with the prompt come before those without.</param>
    /// <param name="cancellation">Stops between two layers.</param>
    /// <returns>Latents in float32 on the model's device. [B, C, T', h, w]</returns>
    public Tensor SampleBatch(
        SamplingSettings settings, Tensor noise, GuidedConditioning conditioning, ISamplingObserver? observer = null, bool batchGuidance = false,
        CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var controller = DensityController.For(settings, model.Traits);
        var watched = controller is null ? null : new MutedObserver(new SamplingObservers(controller, observer));
        observer = watched ?? observer;
        var ranks = World is { Size: > 1 } world ? new SamplingRanks(world, settings, conditioning.Negative is not null, model.Traits, Split) : null;
        var recorder = ranks is null ? null : new AttentionRecorder(ranks);
        Func<int, double>? thresholds = settings.Thresholds is { } known ? step => known[step] : controller is null ? null : _ => controller.Threshold;
        var heads = AttentionFactory.Create(
            settings.Attention, model.Options.Device, settings.DenseSteps, settings.DenseLayers, recorder ?? (IAttentionObserver?)observer, thresholds, controller?.Curve,
            model.Options.EightBitAttention, settings.MaskEvery, settings.MaskFromStep);
        using var attention = ranks?.Over(heads) ?? heads;
        using var denoiser = new Denoiser(
            model, noise.shape, attention, conditioning,
            new DenoiserOptions(settings.Guidance, batchGuidance, KeepsPrompt, settings.StepCache, settings.Steps, settings.GuidanceHigh), ranks, cancellation);
        using var solver = Solvers.Create(settings.Solver, settings.Steps, settings.Shift, settings.Timesteps);
        // A copy: the noise stays the caller's, whatever is put into the latents.
        var latents = noise.to(model.Options.Device).Times(solver.NoiseScale);
        denoiser.Hold(latents);
        observer?.OnStart();
        for (var step = 0; step < settings.Steps; step++)
        {
            using var stepScope = NewDisposeScope();
            if (controller is { IsReady: false } && step >= settings.DenseSteps)
            {
                // What nobody knows yet: how sparse a threshold makes this video.
                watched!.IsMuted = controller.Curve.IsOpen = true;
                denoiser.Probe(latents, solver.Schedule.Timesteps[step], step);
                watched.IsMuted = controller.Curve.IsOpen = false;
                ranks?.Merge(controller.Curve);
                recorder?.Clear();
                controller.Begin();
            }

            if (thresholds is not null)
            {
                observer?.OnThreshold(step, thresholds(step));
            }

            var velocity = denoiser.Velocity(latents, solver.Schedule.Timesteps[step], step);
            recorder?.Tell(observer);
            if (denoiser.SkippedError is { } error)
            {
                observer?.OnSkipped(step, error);
            }

            if (observer is not null)
            {
                using var clean = latents - velocity.Times(solver.Schedule.Sigmas[step]);
                denoiser.Hold(clean);
                observer.OnPrediction(step, clean);
            }

            var before = latents;
            latents = solver.Step(velocity, before).MoveToOuterDisposeScope();
            before.Dispose();
            denoiser.Hold(latents);
            NativeHeap.Collect();
            observer?.OnStep(step, latents);
        }

        observer?.OnEnd();
        return latents.MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose() => model.Dispose();
}
