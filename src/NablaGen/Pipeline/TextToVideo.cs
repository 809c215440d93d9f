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
/// Text → video with one model, stage by stage; each model is in memory only during its stage. Everything is checked before the first
/// matrix is multiplied.
/// </summary>
/// <param name="folder">The model.</param>
/// <param name="device">Where it runs.</param>
/// <param name="dtype">The type of the large matrix products.</param>
public sealed class TextToVideo(ModelFolder folder, Device device, ScalarType dtype)
{
    private readonly ModuleOptions _options = new(device, dtype);

    /// <summary>Makes a video and, before decoding, saves its latents.</summary>
    /// <param name="request">What to make.</param>
    /// <param name="output">The video: an <c>.mp4</c>, or a <c>.png</c> for a single frame. A <c>.json</c> is written beside it.</param>
    /// <param name="latentsPath">Where the latents go; null for beside the video.</param>
    /// <param name="progress">Is told how it goes.</param>
    /// <param name="cancellation">Stops the work; finished files stay.</param>
    /// <exception cref="NablaGenException">Something the user can mend; found before the work wherever it can be.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public GenerationResult Generate(
        GenerationRequest request, string output, string? latentsPath = null, IGenerationProgress? progress = null,
        CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        var clock = new StageClock(progress);
        latentsPath ??= LatentFile.PathBeside(output);
        clock.Start(GenerationStage.Check);
        request.Check(folder.DitConfig, folder.VaeConfig);
        VideoOutput.Check(output, request.Frames);
        OutputFile.Prepare(latentsPath, ".safetensors");
        CheckModel();
        var prompts = Tokenize(request);
        var recipe = Recipe.Of(request, folder.Name, folder.ComputeHash(), device.ToString(), DtypeName(dtype));

        var (context, negative) = EncodeText(prompts, clock, cancellation);
        var meter = new DensityMeter();
        var latents = Sample(request, context, negative, meter, clock, cancellation);
        if (!latents.isfinite().all().item<bool>())
        {
            throw new NablaGenException($"the latents are not numbers (NaN or infinite) after sampling with {request.Solver}, {request.Steps} steps "
                + $"and guidance {request.Guidance} in {DtypeName(dtype)}; no video is made of them");
        }

        LatentFile.Save(latentsPath, latents, recipe);
        Decode(latents, recipe, output, clock, cancellation);
        return Finish(output, latentsPath, recipe, meter.Mean, clock);
    }

    /// <summary>Makes the video of saved latents.</summary>
    /// <param name="latentsPath">What <see cref="Generate"/> saved.</param>
    /// <param name="output">The video, as for <see cref="Generate"/>.</param>
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
        var dit = Shapes(new WanModel(folder.DitConfig, ModuleOptions.Meta));
        var textEncoder = Shapes(new T5Encoder(folder.TextEncoderConfig, ModuleOptions.Meta));
        var vae = Shapes(new WanVae(folder.VaeConfig, ModuleOptions.Meta));
        folder.Check(dit, textEncoder, vae);
        UmT5Tokenizer.Load(folder.TokenizerPath);
        MemoryCheck.Run([(folder.DitPath, dit), (folder.TextEncoderPath, textEncoder)], device, dtype);
    }

    // The prompt and, with guidance, the negative prompt.
    private int[][] Tokenize(GenerationRequest request)
    {
        var tokenizer = UmT5Tokenizer.Load(folder.TokenizerPath);
        string[] texts = request.IsGuided ? [request.Prompt, request.NegativePrompt] : [request.Prompt];
        return texts.Select(text =>
        {
            var tokens = tokenizer.Tokenize(text, folder.DitConfig.TextLen);
            var largest = tokens.Ids.Max();
            return largest < folder.TextEncoderConfig.Vocab
                ? tokens.Ids[..tokens.Length]
                : throw new NablaGenException($"{folder.TokenizerPath}: gives the token {largest}, and the text encoder in {folder.TextEncoderPath} "
                    + $"knows {folder.TextEncoderConfig.Vocab}: the two do not belong together");
        }).ToArray();
    }

    private (Tensor Context, Tensor? Negative) EncodeText(int[][] prompts, StageClock clock, CancellationToken cancellation)
    {
        clock.Start(GenerationStage.EncodeText);
        cancellation.ThrowIfCancellationRequested();
        using var encoder = PromptEncoder.Load(folder, _options);
        cancellation.ThrowIfCancellationRequested();
        var contexts = prompts.Select(encoder.Encode).ToArray();
        return (contexts[0], contexts.ElementAtOrDefault(1));
    }

    private Tensor Sample(
        GenerationRequest request, Tensor context, Tensor? negative, DensityMeter meter, StageClock clock, CancellationToken cancellation)
    {
        clock.Start(GenerationStage.LoadTransformer);
        cancellation.ThrowIfCancellationRequested();
        using var sampler = LatentSampler.Load(folder, _options);
        clock.Start(GenerationStage.Sample, request.Steps);
        using var noise = LatentSampler.Noise(request.LatentShape(folder.VaeConfig), request.Seed);
        return sampler.Sample(request, noise, context, negative, meter, done => clock.Done(done, meter.Mean), cancellation);
    }

    private void Decode(Tensor latents, Recipe recipe, string output, StageClock clock, CancellationToken cancellation)
    {
        clock.Start(GenerationStage.Decode, recipe.Frames);
        cancellation.ThrowIfCancellationRequested();
        using var decoder = VideoDecoder.Load(folder, device);
        using var video = VideoOutput.Open(output, recipe, cancellation);
        decoder.Decode(latents, frames =>
        {
            video.Write(frames);
            clock.Done(video.FramesWritten, null);
        }, cancellation);
        video.Complete();
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

    private static string DtypeName(ScalarType dtype) => dtype.ToString().ToLowerInvariant();
}
