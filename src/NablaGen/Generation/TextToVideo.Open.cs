using NablaGen.Models;
using NablaGen.Tensors;

namespace NablaGen.Generation;

/// <content>The short way from a model and a prompt to a video.</content>
public sealed partial class TextToVideo
{
    private GenerationDefaults? _defaults;

    /// <summary>What a generation uses where a request says nothing.</summary>
    /// <exception cref="NablaGenException">The model's defaults are wrong.</exception>
    public GenerationDefaults Defaults => _defaults ??= GenerationDefaults.Of(Model);

    /// <summary>Loads libtorch and opens a model; its weights are read when they are needed.</summary>
    /// <param name="model">The model's folder, or its transformer's file.</param>
    /// <param name="device"><c>auto</c> (the first GPU, else the CPU), <c>cpu</c>, <c>cuda</c> or <c>cuda:n</c>.</param>
    /// <param name="dtype">The type of the large matrix products: <c>auto</c> (float32 on the CPU, bfloat16 on CUDA), <c>float32</c> or <c>bfloat16</c>.</param>
    /// <param name="keepLoaded">Keeps the transformer and the VAE in memory for the next video, until disposed of.</param>
    /// <param name="vram">The most GPU memory to take, such as <c>8GB</c>; null for what is free.</param>
    /// <param name="pieces">Files in place of the model's own; null for none.</param>
    /// <param name="forPictures">Whether videos begin with a picture: in a folder with a transformer for each, that says which one.</param>
    /// <exception cref="NablaGenException">The folder is no whole model, or there is no such device; the line says what to do.</exception>
    public static TextToVideo Open(string model, string device = "auto", string dtype = "auto", bool keepLoaded = false, string? vram = null, ModelPieces? pieces = null, bool forPictures = false)
    {
        var opened = VideoModel.Open(model, pieces).For(forPictures);
        var defaults = GenerationDefaults.Of(opened);
        TorchRuntime.Load();
        var place = DeviceChoice.Resolve(device);
        return new TextToVideo(opened, place, DeviceChoice.ResolveDtype(dtype, place), keepLoaded, DeviceChoice.ResolveVram(vram, place))
        {
            _defaults = defaults,
        };
    }

    /// <summary>Makes a video of a prompt and, before decoding, saves its latents beside it.</summary>
    /// <param name="prompt">What to show.</param>
    /// <param name="output">The video: an <c>.mp4</c>, or a <c>.png</c> for a single frame. A <c>.json</c> is written beside it.</param>
    /// <param name="options">What else is asked for, such as <c>new() { Seed = 7, Steps = 20 }</c>; the model's defaults for the rest.</param>
    /// <param name="progress">Is told how it goes.</param>
    /// <param name="cancellation">Stops the work; finished files stay.</param>
    /// <exception cref="NablaGenException">Something the user can mend; found before the work wherever it can be.</exception>
    /// <exception cref="OperationCanceledException">It was cancelled.</exception>
    public GenerationResult Generate(
        string prompt, string output, PartialRequest? options = null, IGenerationProgress? progress = null, CancellationToken cancellation = default) =>
        Generate(
            ((options ?? new PartialRequest()) with { Prompt = prompt }).ToRequest(Defaults), output, progress: progress, cancellation: cancellation);
}
