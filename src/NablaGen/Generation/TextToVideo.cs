using NablaGen.Denoising;
using NablaGen.Files;
using NablaGen.Generation.Conditioning;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>
/// Text → video with one model, stage by stage. Everything is checked before the first matrix is multiplied. The text encoder is in
/// memory only while it encodes; the transformer and the VAE only during their stages, or from their first use on.
/// </summary>
/// <remarks>Not thread-safe: one call at a time, from any thread. Two videos at once need two of it; they may share the model.</remarks>
/// <param name="model">The model.</param>
/// <param name="device">Where it runs.</param>
/// <param name="dtype">The type of the large matrix products.</param>
/// <param name="keepLoaded">Keeps the transformer and the VAE in memory for the next video, until disposed of; only one where both do not fit.</param>
/// <param name="vram">The most device memory to take, in bytes; null for what is free at the start. The CPU has no such limit.</param>
public sealed partial class TextToVideo(VideoModel model, Device device, ScalarType dtype, bool keepLoaded = false, long? vram = null) : IDisposable
{
    private readonly ModuleOptions _options = new(device, dtype);
    private readonly GenerationMemory _memory = new(
        model, device, dtype, keepLoaded, vram, device.type == DeviceType.CUDA ? () => MemoryProbe.Read(device) : null);
    private readonly IReadOnlyList<IConditioner> _conditioners = Conditioners.Of(model);

    private readonly LoadedModels _models = new(model, device, dtype, keepLoaded);
    private string? _hash;
    private bool _isChecked;
    private bool _hasKernels;

    /// <summary>How many prompts of a long list are encoded at a time: their encodings wait in memory for their videos, 8 MiB each at most.</summary>
    internal const int PromptWindow = 64;

    /// <summary>The model.</summary>
    public VideoModel Model => model;

    /// <summary>Where it runs.</summary>
    public Device Device => device;

    /// <summary>Makes a video and, before decoding, saves its latents.</summary>
    /// <param name="request">What to make.</param>
    /// <param name="output">The video: an <c>.mp4</c>, or a <c>.png</c> for a single frame. A <c>.json</c> is written beside it.</param>
    /// <param name="latentsPath">Where the latents go; null for beside the video.</param>
    /// <param name="progress">Is told how it goes.</param>
    /// <param name="observer">Sees every attention and every step.</param>
    /// <param name="cancellation">Stops the work; finished files stay.</param>
    /// <exception cref="NablaGenException">Something the user can mend; found before the work wherever it can be.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public GenerationResult Generate(
        GenerationRequest request, string output, string? latentsPath = null, IGenerationProgress? progress = null,
        ISamplingObserver? observer = null, CancellationToken cancellation = default)
    {
        var clock = Clock(progress);
        clock.Start(GenerationStage.Check);
        CheckOutput(request, output, latentsPath ??= LatentFile.PathBeside(output), cancellation);
        return Make(request, output, latentsPath, observer, clock, cancellation);
    }

    /// <summary>Does all that making a video takes and writes no file, to measure it: the frames are brought to the CPU and dropped.</summary>
    internal GenerationResult Measure(
        GenerationRequest request, IGenerationProgress? progress = null, ISamplingObserver? observer = null, CancellationToken cancellation = default)
    {
        var clock = Clock(progress);
        clock.Start(GenerationStage.Check);
        return Make(request, null, null, observer, clock, cancellation);
    }

    private GenerationResult Make(
        GenerationRequest request, string? output, string? latentsPath, ISamplingObserver? observer, StageClock clock, CancellationToken cancellation)
    {
        request = WithFoundLoras(request);
        Check([request], clock, cancellation);
        var plan = Plan([request], clock);
        CheckGuess(request);
        clock.Start(GenerationStage.EncodeText);
        using var prepared = Condition([request], plan, clock, cancellation).Single();
        Tell(prepared);
        // Others may have taken or freed memory meanwhile.
        return Generate(prepared, output, latentsPath, _models.IsEmpty ? Memory.Plan([request]) : plan, observer, clock, cancellation);
    }

    /// <summary>
    /// Checks the model and the requests, then encodes all their prompts; the text encoder is read once and gone afterwards.
    /// </summary>
    /// <param name="requests">What to make.</param>
    /// <param name="progress">Is told how it goes; units are requests.</param>
    /// <param name="cancellation">Stops between two prompts.</param>
    /// <returns>One for each request, in order; the caller disposes of them.</returns>
    /// <exception cref="NablaGenException">The model or a request is wrong.</exception>
    public IReadOnlyList<PreparedRequest> Prepare(
        IReadOnlyList<GenerationRequest> requests, IGenerationProgress? progress = null, CancellationToken cancellation = default)
    {
        CheckAll(requests, progress, cancellation);
        return PrepareChecked(requests, progress, cancellation);
    }

    /// <summary>Checks the model and the requests, and that the memory suffices, as <see cref="Prepare"/> does before it encodes.</summary>
    /// <inheritdoc cref="Prepare"/>
    internal void CheckAll(IReadOnlyList<GenerationRequest> requests, IGenerationProgress? progress, CancellationToken cancellation)
    {
        var clock = Clock(progress);
        clock.Start(GenerationStage.Check);
        requests = [.. requests.Select(WithFoundLoras)];
        Check(requests, clock, cancellation);
        Plan(requests, clock);
        CheckGuess(requests.Count > 0 ? requests[0] : null);
    }

    /// <summary>Encodes the prompts of requests that <see cref="CheckAll"/> has seen.</summary>
    /// <inheritdoc cref="Prepare"/>
    internal IReadOnlyList<PreparedRequest> PrepareChecked(
        IReadOnlyList<GenerationRequest> requests, IGenerationProgress? progress, CancellationToken cancellation)
    {
        var clock = Clock(progress);
        clock.Start(GenerationStage.EncodeText, requests.Count);
        return Condition(requests, Memory.Plan(requests), clock, cancellation);
    }

    /// <summary>Makes the video of a prepared request and, before decoding, saves its latents.</summary>
    /// <inheritdoc cref="Generate(GenerationRequest, string, string?, IGenerationProgress?, ISamplingObserver?, CancellationToken)"/>
    public GenerationResult Generate(
        PreparedRequest prepared, string output, string? latentsPath = null, IGenerationProgress? progress = null,
        ISamplingObserver? observer = null, CancellationToken cancellation = default)
    {
        CheckOutput(prepared.Request, output, latentsPath ??= LatentFile.PathBeside(output), cancellation);
        Tell(prepared);
        return Generate(prepared, output, latentsPath, Memory.Plan([prepared.Request]), observer, Clock(progress), cancellation);
    }

    /// <summary>Makes the video of saved latents.</summary>
    /// <param name="latentsPath">What <c>Generate</c> saved.</param>
    /// <param name="output">The video, as for <c>Generate</c>.</param>
    /// <param name="progress">Is told how it goes.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <exception cref="NablaGenException">The file is bad or not of this model, or the video cannot be written.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public GenerationResult DecodeLatents(
        string latentsPath, string output, IGenerationProgress? progress = null, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        var clock = Clock(progress);
        clock.Start(GenerationStage.Check);
        var (latents, recipe) = LatentFile.Load(latentsPath, model);
        VideoOutput.Check(output, recipe.Frames, cancellation);
        OutputSpace.Check(output, OutputSpace.Video(recipe), "the video");
        model.CheckVae();
        var plan = Memory.PlanDecoding(latents.shape);
        if (device.type == DeviceType.CUDA)
        {
            clock.Plan(plan);
        }

        return _memory.Guard(clock, plan, null, () =>
        {
            var flat = Decode(latents, recipe, output, plan, clock, cancellation);
            return Finish(output, latentsPath, recipe, null, flat, clock);
        });
    }

    /// <summary>Checks every key, shape and type of the model's files, the tokenizer included, and that the weights fit into memory; nothing is loaded.</summary>
    /// <param name="cancellation">Stops the checks.</param>
    /// <exception cref="NablaGenException">A file is bad, or is not of the configuration's model, or a model does not fit.</exception>
    public void CheckModel(CancellationToken cancellation = default)
    {
        if (_isChecked)
        {
            return;
        }

        cancellation.ThrowIfCancellationRequested();
        model.Check();
        cancellation.ThrowIfCancellationRequested();
        CheckWeights();
        Check([], new StageClock(null), cancellation);
        _isChecked = true;
    }

    /// <summary>Work with the transformer on prepared requests; it is read for it if need be, and gone afterwards unless it is to stay.</summary>
    internal T UseTransformer<T>(IReadOnlyList<PreparedRequest> prepared, IGenerationProgress? progress, Func<LatentSampler, StageClock, T> work)
    {
        var clock = Clock(progress);
        var plan = Memory.Plan([.. prepared.Select(one => one.Request)]);
        try
        {
            return _memory.Guard(clock, plan, prepared[0].Request, () => work(_models.Sampler(plan, prepared[0].Request.Loras, clock), clock));
        }
        finally
        {
            _models.SamplerIsDone(plan);
        }
    }

    /// <summary>The recipe of a request with this model. Reads the weights' files once for their hash.</summary>
    /// <param name="request">The request.</param>
    /// <param name="cancellation">Stops the reading.</param>
    public Recipe RecipeOf(GenerationRequest request, CancellationToken cancellation = default) => Recipe.Of(
        WithLoras(request, Identified(request.Loras.FoundNear(model.Path), cancellation)), model.Name, _hash ??= model.ComputeHash(cancellation), Where(request), DtypeName(dtype), model.Formats);

    /// <summary>Frees the models that are in memory for those of another pipeline on the same device.</summary>
    /// <param name="next">The other one.</param>
    internal void GiveWayTo(TextToVideo next)
    {
        _models.FreeAll();
        next._memory.HasRun |= _memory.HasRun;
    }

    /// <summary>Frees the models that are still in memory.</summary>
    public void Dispose() => _models.Dispose();

    // Before a model is loaded, what is free now counts.
    private GenerationMemory Memory
    {
        get
        {
            if (_models.IsEmpty)
            {
                _memory.ReadAgain();
            }

            _memory.PartsOf = request => RankCount == 1 ? 1 : (Split ?? SplitOf(request, RankCount)).Heads;
            return _memory;
        }
    }

    private StageClock Clock(IGenerationProgress? progress) => new(progress, _memory.Sample);

    private MemoryPlan Plan(IReadOnlyList<GenerationRequest> requests, StageClock clock)
    {
        var plan = Memory.Plan(requests);
        if (device.type == DeviceType.CUDA)
        {
            clock.Plan(plan);
        }

        return plan;
    }

    private void CheckOutput(GenerationRequest request, string output, string latentsPath, CancellationToken cancellation)
    {
        VideoOutput.Check(output, request.Frames, cancellation);
        OutputFile.Prepare(latentsPath, ".safetensors");
        OutputSpace.Check(request, model.Latents, output, latentsPath);
    }

    private void Check(IReadOnlyList<GenerationRequest> requests, StageClock clock, CancellationToken cancellation)
    {
        // Without a compiler the first kernel would fail after the text encoder's work.
        if (device.type == DeviceType.CUDA && !_hasKernels)
        {
            KernelSupport.Check(device);
            _hasKernels = true;
        }

        foreach (var request in requests)
        {
            request.Check(model);
        }

        if (requests.Count > 0)
        {
            CheckModel(cancellation);
        }

        CheckLoras(requests, clock);
        foreach (var note in requests.Count == 0 ? [] : model.Formats.Notes)
        {
            Say(note, clock);
        }

        foreach (var note in requests.SelectMany(request => TrainingNotes.Of(request, model)))
        {
            Say(note, clock);
        }

        foreach (var conditioner in _conditioners)
        {
            conditioner.Check(requests, clock, cancellation);
        }
    }
}
