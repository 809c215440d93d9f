using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Checkpoints;
using NablaGen.Files;
using NablaGen.Models;
using NablaGen.Models.Dit;
using NablaGen.Models.TextEncoder;
using NablaGen.Models.Vae;
using static TorchSharp.torch;

namespace NablaGen.Pipeline;

/// <summary>
/// Text → video with one model, stage by stage. Everything is checked before the first matrix is multiplied. The text encoder is in
/// memory only while it encodes; the transformer and the VAE only during their stages, or from their first use on.
/// </summary>
/// <param name="folder">The model.</param>
/// <param name="device">Where it runs.</param>
/// <param name="dtype">The type of the large matrix products.</param>
/// <param name="keepLoaded">Keeps the transformer and the VAE in memory for the next video, until disposed of.</param>
public sealed class TextToVideo(ModelFolder folder, Device device, ScalarType dtype, bool keepLoaded = false) : IDisposable
{
    private readonly ModuleOptions _options = new(device, dtype);
    private LatentSampler? _sampler;
    private VideoDecoder? _decoder;
    private UmT5Tokenizer? _tokenizer;
    private string? _hash;

    /// <summary>The model.</summary>
    public ModelFolder Folder => folder;

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
        var clock = new StageClock(progress);
        clock.Start(GenerationStage.Check);
        CheckOutput(request, output, latentsPath ??= LatentFile.PathBeside(output));
        var tokens = Tokenize([request]);
        clock.Start(GenerationStage.EncodeText);
        using var prepared = Encode([request], tokens, null, cancellation).Single();
        return Generate(prepared, output, latentsPath, observer, clock, cancellation);
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
        var clock = new StageClock(progress);
        clock.Start(GenerationStage.Check);
        var tokens = Tokenize(requests);
        clock.Start(GenerationStage.EncodeText, requests.Count);
        return Encode(requests, tokens, clock, cancellation);
    }

    /// <summary>Makes the video of a prepared request and, before decoding, saves its latents.</summary>
    /// <inheritdoc cref="Generate(GenerationRequest, string, string?, IGenerationProgress?, ISamplingObserver?, CancellationToken)"/>
    public GenerationResult Generate(
        PreparedRequest prepared, string output, string? latentsPath = null, IGenerationProgress? progress = null,
        ISamplingObserver? observer = null, CancellationToken cancellation = default)
    {
        CheckOutput(prepared.Request, output, latentsPath ??= LatentFile.PathBeside(output));
        return Generate(prepared, output, latentsPath, observer, new StageClock(progress), cancellation);
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
        var clock = new StageClock(progress);
        clock.Start(GenerationStage.Check);
        var (latents, recipe) = LatentFile.Load(latentsPath);
        var vae = folder.VaeConfig;
        var frames = ((int)latents.shape[1] - 1) * vae.TemporalStride + 1;
        if (latents.shape[0] != vae.ZDim)
        {
            throw new NablaGenException($"{latentsPath}: expected latents of {vae.ZDim} channels for the model in {folder.Path}, found {latents.shape[0]}");
        }

        VideoOutput.Check(output, frames);
        using (var source = folder.OpenVae())
        {
            CheckpointLoader.Check(source, Shapes(new WanVae(vae, ModuleOptions.Meta)));
        }

        recipe = recipe with
        {
            Frames = frames,
            Width = (int)latents.shape[3] * vae.SpatialStride,
            Height = (int)latents.shape[2] * vae.SpatialStride,
        };
        Decode(latents, recipe, output, clock, cancellation);
        return Finish(output, latentsPath, recipe, null, clock);
    }

    /// <summary>Checks every key, shape and type of the model's files, the tokenizer included, and that the weights fit into memory; nothing is loaded.</summary>
    /// <exception cref="NablaGenException">A file is bad, or is not of the configuration's model, or a model does not fit.</exception>
    public void CheckModel()
    {
        if (_tokenizer is not null)
        {
            return;
        }

        var dit = Shapes(new WanModel(folder.DitConfig, ModuleOptions.Meta));
        var textEncoder = Shapes(new T5Encoder(folder.TextEncoderConfig, ModuleOptions.Meta));
        var vae = Shapes(new WanVae(folder.VaeConfig, ModuleOptions.Meta));
        folder.Check(dit, textEncoder, vae);
        MemoryCheck.Run([(folder.DitPath, dit), (folder.TextEncoderPath, textEncoder)], device, dtype);
        _tokenizer = UmT5Tokenizer.Load(folder.TokenizerPath);
    }

    /// <summary>The recipe of a request with this model. Reads the weights' files once for their hash.</summary>
    public Recipe RecipeOf(GenerationRequest request) =>
        Recipe.Of(request, folder.Name, _hash ??= folder.ComputeHash(), device.ToString(), DtypeName(dtype));

    /// <summary>Frees the models that are still in memory.</summary>
    public void Dispose()
    {
        Free(ref _sampler);
        Free(ref _decoder);
    }

    private static void CheckOutput(GenerationRequest request, string output, string latentsPath)
    {
        VideoOutput.Check(output, request.Frames);
        OutputFile.Prepare(latentsPath, ".safetensors");
    }

    // The tokens of each prompt and, with guidance, negative prompt; of a list's, many are the same.
    private Dictionary<string, int[]> Tokenize(IReadOnlyList<GenerationRequest> requests)
    {
        foreach (var request in requests)
        {
            request.Check(folder.DitConfig, folder.VaeConfig);
        }

        CheckModel();
        return requests.SelectMany(Texts).Distinct().ToDictionary(text => text, Tokenize);
    }

    private static string[] Texts(GenerationRequest request) => request.IsGuided ? [request.Prompt, request.NegativePrompt] : [request.Prompt];

    private int[] Tokenize(string text)
    {
        var tokens = _tokenizer!.Tokenize(text, folder.DitConfig.TextLen);
        var largest = tokens.Ids.Max();
        return largest < folder.TextEncoderConfig.Vocab
            ? tokens.Ids[..tokens.Length]
            : throw new NablaGenException($"{folder.TokenizerPath}: gives the token {largest}, and the text encoder in {folder.TextEncoderPath} "
                + $"knows {folder.TextEncoderConfig.Vocab}: the two do not belong together");
    }

    private PreparedRequest[] Encode(
        IReadOnlyList<GenerationRequest> requests, Dictionary<string, int[]> tokens, StageClock? clock, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        cancellation.ThrowIfCancellationRequested();
        using var encoder = PromptEncoder.Load(folder, _options);
        var encoded = new Dictionary<string, Tensor>();
        Tensor Context(string text)
        {
            if (!encoded.TryGetValue(text, out var context))
            {
                using var inner = NewDisposeScope();
                // On the CPU a thousand prompts take no room from the models.
                encoded[text] = context = encoder.Encode(tokens[text]).to(CPU).MoveToOuterDisposeScope();
            }

            return context.alias();
        }

        var prepared = new PreparedRequest[requests.Count];
        for (var i = 0; i < prepared.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            var contexts = Texts(requests[i]).Select(Context).ToArray();
            prepared[i] = new PreparedRequest(requests[i], RecipeOf(requests[i]), contexts[0], contexts.ElementAtOrDefault(1));
            clock?.Done(i + 1, null);
        }

        foreach (var one in prepared)
        {
            one.Detach();
        }

        return prepared;
    }

    private GenerationResult Generate(
        PreparedRequest prepared, string output, string latentsPath, ISamplingObserver? observer, StageClock clock, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        var meter = new DensityMeter();
        var seen = new SamplingProgress(meter, clock);
        var latents = Sample(prepared, new SamplingObservers(observer, seen), clock, cancellation);
        var recipe = seen.Thresholds.Count == 0 ? prepared.Recipe : prepared.Recipe with { Thresholds = seen.Thresholds };
        LatentFile.Save(latentsPath, latents, recipe);
        Decode(latents, recipe, output, clock, cancellation);
        return Finish(output, latentsPath, recipe, meter.Mean, clock);
    }

    private Tensor Sample(PreparedRequest prepared, ISamplingObserver observer, StageClock clock, CancellationToken cancellation)
    {
        var request = prepared.Request;
        cancellation.ThrowIfCancellationRequested();
        if (_sampler is null)
        {
            clock.Start(GenerationStage.LoadTransformer);
            _sampler = LatentSampler.Load(folder, _options);
        }

        try
        {
            clock.Start(GenerationStage.Sample, request.Steps);
            using var noise = LatentSampler.Noise(request.LatentShape(folder.VaeConfig), request.Seed);
            var latents = _sampler.Sample(
                request, noise, prepared.Context, prepared.NegativeContext, observer, cancellation);
            return latents.isfinite().all().item<bool>()
                ? latents
                : throw new NablaGenException($"the latents are not numbers (NaN or infinite) after sampling with {request.Solver}, {request.Steps} steps "
                    + $"and guidance {request.Guidance} in {DtypeName(dtype)}; no video is made of them");
        }
        finally
        {
            if (!keepLoaded)
            {
                Free(ref _sampler);
            }
        }
    }

    private void Decode(Tensor latents, Recipe recipe, string output, StageClock clock, CancellationToken cancellation)
    {
        clock.Start(GenerationStage.Decode, recipe.Frames);
        cancellation.ThrowIfCancellationRequested();
        _decoder ??= VideoDecoder.Load(folder, device);
        try
        {
            using var video = VideoOutput.Open(output, recipe, cancellation);
            _decoder.Decode(latents, frames =>
            {
                video.Write(frames);
                clock.Done(video.FramesWritten, null);
            }, cancellation);
            video.Complete();
        }
        finally
        {
            if (!keepLoaded)
            {
                Free(ref _decoder);
            }
        }
    }

    private static GenerationResult Finish(string output, string latentsPath, Recipe recipe, double? density, StageClock clock)
    {
        using var process = Process.GetCurrentProcess();
        var result = new GenerationResult(output, latentsPath, recipe, density, clock.Finish(), process.PeakWorkingSet64);
        ResultFile.Save(output, result);
        return result;
    }

    private static IReadOnlyDictionary<string, long[]> Shapes(nn.Module module)
    {
        using (module)
        {
            return module.Shapes();
        }
    }

    private static void Free<T>(ref T? model)
        where T : class, IDisposable
    {
        model?.Dispose();
        model = null;
    }

    private static string DtypeName(ScalarType dtype) => dtype.ToString().ToLowerInvariant();
}
