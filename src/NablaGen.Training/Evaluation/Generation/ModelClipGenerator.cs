using System.Diagnostics;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Training.Evaluation.Generation;

/// <summary>Makes videos with a model, several at once, and keeps it loaded. Nothing is written.</summary>
public sealed class ModelClipGenerator : IClipGenerator, IDisposable
{
    // By estimate: products of that many rows fill a large GPU.
    private const long TokensAtOnce = 36_000;
    private const int MostAtOnce = 28;

    // The VAE's frames are large; a few videos keep a device as busy.
    private const int DecodedAtOnce = 7;

    private readonly VideoModel _source;
    private readonly Device _device;
    private readonly ScalarType _dtype;
    private readonly TextToVideo _pipeline;
    private readonly IGenerationProgress? _progress;
    private readonly Dictionary<string, PreparedRequest> _prepared = [];
    private LatentSampler? _sampler;
    private IVideoAutoencoder? _vae;

    /// <summary>A generator that has not read the model's weights yet.</summary>
    /// <param name="model">The model.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="dtype">The type of the large matrix products.</param>
    /// <param name="progress">Is told how the encoding of the prompts goes.</param>
    public ModelClipGenerator(VideoModel model, Device device, ScalarType dtype, IGenerationProgress? progress = null)
    {
        (_source, _device, _dtype, _progress) = (model, device, dtype, progress);
        _pipeline = new TextToVideo(model, device, dtype);
    }

    /// <inheritdoc/>
    public Recipe RecipeOf(GenerationRequest request) => _pipeline.RecipeOf(request);

    /// <inheritdoc/>
    public void Prepare(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation)
    {
        var distinct = requests.DistinctBy(request => request.Prompt).ToArray();
        foreach (var prepared in _pipeline.Prepare(distinct, _progress, cancellation))
        {
            _prepared[prepared.Request.Prompt] = prepared;
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<GeneratedClip> Generate(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation)
    {
        try
        {
            return Make(requests, cancellation);
        }
        catch (Exception error) when (MemoryFault.IsDeviceFull(error) || MemoryFault.IsHostFull(error))
        {
            throw new NablaGenException($"{_device} ran out of memory with {requests.Count} videos at once"
                + (requests.Count > 1 ? ": use a smaller --batch" : ": use a smaller --width, --height or --frames"), error);
        }
    }

    /// <summary>How many videos at once keep a device busy: on the CPU one does.</summary>
    /// <param name="tokens">Tokens of one video.</param>
    /// <param name="device">The device.</param>
    public static int BatchFor(long tokens, DeviceType device) =>
        device == DeviceType.CUDA ? (int)Math.Clamp(TokensAtOnce / tokens, 1, MostAtOnce) : 1;

    /// <summary>Frees the model.</summary>
    public void Dispose()
    {
        foreach (var prepared in _prepared.Values)
        {
            prepared.Dispose();
        }

        _sampler?.Dispose();
        _vae?.Dispose();
        _pipeline.Dispose();
    }

    private GeneratedClip[] Make(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _sampler ??= new LatentSampler(_source.WithLoras(_prepared[requests[0].Prompt].Request.Loras).LoadTransformer(new ModuleOptions(_device, _dtype)));
        _vae ??= LoadVae();
        var first = requests[0];
        var shape = first.LatentShape(_source.Latents);
        var prepared = requests.Select(request => _prepared[request.Prompt]).ToArray();
        var noise = stack([.. requests.Select(request => LatentSampler.Noise(shape, request.Seed))]);
        using var conditioning = GuidedConditioning.Stack([.. prepared.Select(one => one.Conditioning)]);
        var densities = new ClipDensities(requests.Count, _source.Transformer.Heads);
        long tokens = requests.Count * _source.Transformer.TokensOf(shape);

        var watch = Stopwatch.StartNew();
        var latents = _sampler.SampleBatch(
            first.Sampling, noise, conditioning, densities, GuidanceBatch.Pays(tokens, _device.type), cancellation);
        if (!latents.isfinite().all().item<bool>())
        {
            throw new NablaGenException($"the latents contain NaN or infinity after sampling with attention '{first.Attention}', {first.Solver}, "
                + $"{first.Steps} steps and guidance {first.Guidance} in {_dtype.ToString().ToLowerInvariant()}{PrecisionChoice.Said(_source.Formats)}; "
                + $"seeds {string.Join(", ", requests.Select(request => request.Seed).Distinct())}: try {PrecisionChoice.Instead(_source.Formats, _dtype)}");
        }

        // Asking whether they are finite has waited for the device.
        double sampling = watch.Elapsed.TotalSeconds / requests.Count;
        watch.Restart();
        var frames = Decode(latents, cancellation);
        double decoding = watch.Elapsed.TotalSeconds / requests.Count;
        return [.. frames.Zip(densities.ByClip(), (clip, density) => new GeneratedClip(clip, density, sampling, decoding) { ComputedSteps = densities.ComputedSteps })];
    }

    private List<FrameBytes> Decode(Tensor latents, CancellationToken cancellation)
    {
        var clips = new List<FrameBytes>();
        foreach (var part in latents.split(DecodedAtOnce))
        {
            using var scope = NewDisposeScope();
            var chunks = new List<Tensor>();
            _vae!.Decode(
                part, chunk => chunks.Add(FrameBytes.Round(chunk).cpu().MoveToOuterDisposeScope()), VaeTiling.DefaultOn(_device), cancellation);
            var frames = cat(chunks, 2);
            clips.AddRange(Enumerable.Range(0, (int)frames.shape[0]).Select(i =>
                new FrameBytes(frames[i].contiguous().bytes.ToArray(), (int)frames.shape[2], (int)frames.shape[3], (int)frames.shape[4])));
        }

        return clips;
    }

    private IVideoAutoencoder LoadVae() =>
        // As in TextToVideo: what is asked for in float32 is float32 to the end.
        _source.LoadVae(new ModuleOptions(_device, _dtype == ScalarType.Float32 ? _dtype : VideoModel.DefaultVaeDtype(_device)));
}
