using System.Globalization;
using NablaGen.Denoising;
using NablaGen.Distributed;
using NablaGen.Generation;
using NablaGen.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Benchmarks;

/// <summary>
/// Times a whole generation by a model of random weights, through the pipeline that makes real ones (<see cref="TextToVideo"/>). Guidance is
/// two passes, also for videos so small that the pipeline would batch them.
/// </summary>
public sealed class GenerationBenchmark : IDisposable
{
    // On CUDA: small enough to be done as soon as it is launched, and the run that compiles the kernels.
    private const int LaunchSide = 256;
    private const int LaunchSteps = 6;

    // A device that is done when the CPU is waits for it.
    private const double LeastAhead = 0.01;

    private readonly Device _device;
    private readonly VideoModel _model;
    private readonly TextToVideo _pipeline;
    // Of the last run on this GPU alone, and of the last such run that skipped no step.
    private Tensor? _alone;
    private (string Key, Tensor Latents)? _full;

    /// <summary>A benchmark of one model, whose weights are read or drawn at each stage.</summary>
    /// <param name="model">The model: see <see cref="RandomTensorSource"/> for one in memory alone.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    /// <param name="vram">The most device memory to take, in bytes; null for what is free.</param>
    public GenerationBenchmark(VideoModel model, Device device, ScalarType dtype, long? vram = null)
    {
        (_device, _model) = (device, model);
        _pipeline = new TextToVideo(model, device, dtype, vram: vram);
    }

    /// <summary>The pipeline, which may be given ranks.</summary>
    internal TextToVideo Pipeline => _pipeline;

    /// <summary>Helps rank 0, which measures the same.</summary>
    /// <param name="request">What to make.</param>
    /// <param name="split">How it is split over the ranks.</param>
    /// <param name="cancellation">Stops between two layers.</param>
    public void Assist(GenerationRequest request, RankSplit split, CancellationToken cancellation = default)
    {
        _pipeline.Split = split;
        _pipeline.Assist(request, cancellation);
    }

    /// <summary>Generates once and measures, on this GPU alone or as rank 0 of several.</summary>
    /// <param name="request">What to make.</param>
    /// <param name="split">How the video is split over the ranks.</param>
    /// <param name="world">
    /// The ranks, all others of which call <see cref="Assist"/>: the latents are compared with those of the call before, on this GPU alone. Null for this GPU
    /// alone.
    /// </param>
    /// <param name="cancellation">Stops between two layers.</param>
    /// <exception cref="NablaGenException">The request is wrong, or does not fit into memory.</exception>
    public GenerationTiming Run(GenerationRequest request, ICommunicator? world, RankSplit split, CancellationToken cancellation = default)
    {
        (_pipeline.World, _pipeline.Split) = (world, world is null ? null : split);
        var timing = Run(request, cancellation);
        return world is null ? timing : timing with { Gpus = world.Size, Split = $"{split}" };
    }

    /// <summary>Generates once and measures.</summary>
    /// <param name="request">What to make.</param>
    /// <param name="cancellation">Stops between two layers.</param>
    /// <exception cref="NablaGenException">The request is wrong, or does not fit into memory.</exception>
    public GenerationTiming Run(GenerationRequest request, CancellationToken cancellation = default)
    {
        request.Check(_model);
        // Ranks meet at each step's end, so that none is ahead of its device.
        double? launch = _device.type == DeviceType.CUDA && _pipeline.World is null ? Launch(request, cancellation) : null;
        using var recorder = new StepRecorder(_device) { KeptStep = request.Steps - 1 };
        var result = _pipeline.Measure(request, observer: recorder, cancellation: cancellation);
        var latents = recorder.Latents!;
        var (psnr, error) = (ToFull(request, latents), _pipeline.World is null ? null : ToAlone(latents));
        if (_pipeline.World is null)
        {
            Keep(request, latents);
        }

        var times = recorder.Steps.Select(step => step.Milliseconds).Order().ToArray();
        var ahead = recorder.Steps.Select(step => step.AheadMilliseconds).Order().ElementAt(times.Length / 2);
        var step = times[times.Length / 2];
        return new GenerationTiming
        {
            Attention = request.Attention.ToString(),
            Tokens = _model.Transformer.TokensOf(request.LatentShape(_model.Latents)),
            Density = result.Density!.Value,
            StepCache = request.StepCache,
            ComputedSteps = recorder.Steps.Count - recorder.Skipped,
            LatentPsnr = psnr,
            LatentError = error,
            TextSeconds = result.Seconds[GenerationStage.EncodeText],
            PictureSeconds = result.Seconds.GetValueOrDefault(GenerationStage.EncodeImage),
            LoadSeconds = result.Seconds[GenerationStage.LoadTransformer],
            SampleSeconds = result.Seconds[GenerationStage.Sample],
            DecodeSeconds = result.Seconds[GenerationStage.Decode],
            StepMilliseconds = step,
            FastestStep = times[0],
            SlowestStep = times[^1],
            LaunchMilliseconds = launch,
            AheadMilliseconds = launch is null ? null : ahead,
            IsLaunchBound = launch is null ? null : ahead < LeastAhead * step,
            Steps = recorder.Steps,
            PeakBytes = result.PeakDeviceMemoryBytes ?? result.PeakMemoryBytes,
        };
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _alone?.Dispose();
        _full?.Latents.Dispose();
        _pipeline.Dispose();
    }

    private void Keep(GenerationRequest request, Tensor latents)
    {
        _alone?.Dispose();
        _alone = latents.clone().DetachFromDisposeScope();
        if (request.StepCache == StepCaches.None)
        {
            _full?.Latents.Dispose();
            _full = (Key(request), latents.clone().DetachFromDisposeScope());
        }
    }

    // dB; null where there is nothing to compare with, or nothing differs.
    private double? ToFull(GenerationRequest request, Tensor latents) =>
        request.StepCache != StepCaches.None && _full is { } full && full.Key == Key(request) && TensorPsnr.OfLatents(latents, full.Latents) is var psnr && double.IsFinite(psnr) ? psnr : null;

    // What makes two runs the same but for the step cache.
    private static string Key(GenerationRequest request) => string.Create(
        CultureInfo.InvariantCulture, $"{request.Attention} {request.DenseSteps} {request.Width} {request.Height} {request.Frames} {request.Steps} {request.Guidance} {request.Seed} {request.Prompt}");

    // The error's norm over that of the latents of one GPU.
    private double? ToAlone(Tensor latents)
    {
        if (_alone is null || !_alone.shape.SequenceEqual(latents.shape))
        {
            return null;
        }

        using var scope = NewDisposeScope();
        return ((latents - _alone).norm() / _alone.norm()).to(ScalarType.Float64).item<double>();
    }

    // Milliseconds of the CPU for a step: the launches are as many for any size.
    private double Launch(GenerationRequest request, CancellationToken cancellation)
    {
        using var recorder = new StepRecorder(_device);
        var small = request with { Width = LaunchSide, Height = LaunchSide, Frames = 1, Steps = LaunchSteps, DenseSteps = 0, TargetDensity = null, Thresholds = null, MaskFromStep = null, StepCache = StepCaches.None };
        _pipeline.Measure(small, observer: recorder, cancellation: cancellation);
        // The first ones compile kernels and choose algorithms.
        return recorder.Steps.Skip(1).Select(step => step.EnqueueMilliseconds).Order().ElementAt((LaunchSteps - 1) / 2);
    }
}
