using NablaGen.Generation;
using NablaGen.Memory;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Text.Tokenizer;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
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
    private readonly ModelFolder _model;
    private readonly TextToVideo _pipeline;

    /// <summary>A model in memory alone; its weights are drawn on the device at each stage.</summary>
    /// <param name="dit">The transformer's sizes.</param>
    /// <param name="others">The text encoder's and the VAE's sizes; the vocabulary grows to the tokenizer's where it is smaller.</param>
    /// <param name="tokenizer">A SentencePiece model.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    /// <param name="vram">The most device memory to take, in bytes; null for what is free.</param>
    public GenerationBenchmark(DitConfig dit, NablaGenJson others, string tokenizer, Device device, ScalarType dtype, long? vram = null)
    {
        var vocabulary = Math.Max(others.TextEncoder.Vocab, UmT5Tokenizer.Load(tokenizer).VocabularySize);
        others = others with { Name = "random weights", TextEncoder = others.TextEncoder with { Vocab = vocabulary } };
        _device = device;
        _model = ModelFolder.InMemory(dit, others, tokenizer, file => new RandomTensorSource($"random weights ({file})", file switch
        {
            ModelFolder.DitFile => Shapes(new WanModel(dit, ModuleOptions.Meta)),
            ModelFolder.TextEncoderFile => Shapes(new T5Encoder(others.TextEncoder, ModuleOptions.Meta)),
            _ => Shapes(new WanVae(others.Vae, ModuleOptions.Meta)),
        }));
        _pipeline = new TextToVideo(_model, device, dtype, vram: vram);
    }

    /// <summary>Generates once and measures.</summary>
    /// <param name="request">What to make.</param>
    /// <param name="cancellation">Stops between two layers.</param>
    /// <exception cref="NablaGenException">The request is wrong, or does not fit into memory.</exception>
    public GenerationTiming Run(GenerationRequest request, CancellationToken cancellation = default)
    {
        request.Check(_model.DitConfig, _model.VaeConfig);
        double? launch = _device.type == DeviceType.CUDA ? Launch(request, cancellation) : null;
        var recorder = new StepRecorder(_device);
        var result = _pipeline.Measure(request, observer: recorder, cancellation: cancellation);
        var times = recorder.Steps.Select(step => step.Milliseconds).Order().ToArray();
        var ahead = recorder.Steps.Select(step => step.AheadMilliseconds).Order().ElementAt(times.Length / 2);
        var step = times[times.Length / 2];
        return new GenerationTiming
        {
            Attention = request.Attention.ToString(),
            Tokens = MemoryEstimate.Tokens(_model.DitConfig, request.LatentShape(_model.VaeConfig)),
            Density = result.Density!.Value,
            TextSeconds = result.Seconds[GenerationStage.EncodeText],
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
    public void Dispose() => _pipeline.Dispose();

    // Milliseconds of the CPU for a step: the launches are as many for any size.
    private double Launch(GenerationRequest request, CancellationToken cancellation)
    {
        var recorder = new StepRecorder(_device);
        var small = request with { Width = LaunchSide, Height = LaunchSide, Frames = 1, Steps = LaunchSteps, DenseSteps = 0, TargetDensity = null, Thresholds = null };
        _pipeline.Measure(small, observer: recorder, cancellation: cancellation);
        // The first ones compile kernels and choose algorithms.
        return recorder.Steps.Skip(1).Select(step => step.EnqueueMilliseconds).Order().ElementAt((LaunchSteps - 1) / 2);
    }

    private static IReadOnlyDictionary<string, long[]> Shapes(nn.Module module)
    {
        using (module)
        {
            return module.Shapes();
        }
    }
}
