using NablaGen.Attention;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Training.Attention;
using NablaGen.Training.Dit;
using NablaGen.Training.Dit.Ops;
using NablaGen.Training.Models;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Vae;

/// <summary>
/// What a trained transformer makes of clips' noised latents in one pass: near the true ones, with the errors that its videos have. A decoder
/// that learns to show the clips all the same makes even outlines of latents that are not quite.
/// </summary>
public sealed class LatentEstimates : IDisposable
{
    // Below, next to nothing is wrong; above, the transformer sees too little of the clip for the truth to be what it should show.
    private const double LeastNoise = 0.3, MostNoise = 0.85;

    private readonly CaptionEncoder _captions;
    private readonly T5Encoder _encoder;
    private readonly WanModel _dit;
    private readonly IAttention _attention;
    private readonly IReadOnlyList<DitRun> _runs;

    /// <summary>The transformer of a folder, with its own default self-attention.</summary>
    /// <param name="folder">The model folder.</param>
    /// <param name="vae">The sizes of the VAE in training.</param>
    /// <param name="clips">The clips' sizes.</param>
    /// <param name="model">Where it is, and its type.</param>
    /// <exception cref="NablaGenException">The folder has no text-to-video model of these latents.</exception>
    public LatentEstimates(string folder, VaeConfig vae, IReadOnlyList<ClipSize> clips, ModuleOptions model)
    {
        var sizes = ModelSizes.Open(folder);
        if (sizes.Dit.InDim != vae.ZDim || sizes.Dit.GuideChannels > 0)
        {
            throw new NablaGenException($"{folder}: its transformer is not one that makes latents of {vae.ZDim} channels from text");
        }

        var tokenizer = ModelFiles.PlaceTokenizer(folder, file: null);
        sizes = sizes.WithVocabulary(tokenizer.VocabularySize);
        _captions = new CaptionEncoder(tokenizer, sizes.Dit.TextLen);
        _dit = new WanModel(sizes.Dit, model);
        ModelFiles.ReadDit(folder, _dit);
        _encoder = new T5Encoder(sizes.Others.TextEncoder, model);
        ModelFiles.ReadTextEncoder(folder, _encoder);
        _attention = DifferentiableAttention.Create(sizes.Defaults.Attention, model.Device);
        _runs = [.. clips.Select(size => new DitRun(
            sizes.Dit, (size.Frames - 1) / vae.TemporalStride + 1, size.Height / vae.SpatialStride, size.Width / vae.SpatialStride, _attention, model,
            DitTrainingOps.Create(sizes.Dit, model)))];
    }

    /// <summary>The estimates, each from a noise level of its own; the device's generator draws. [B, C, T', h, w]</summary>
    /// <param name="latents">The clips' latents, normalised. [B, C, T', h, w]</param>
    /// <param name="captions">What they show.</param>
    /// <param name="size">Which of the clips' sizes it is.</param>
    public Tensor Of(Tensor latents, IReadOnlyList<string> captions, int size)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var sigmas = rand([latents.shape[0]], device: latents.device).Times(MostNoise - LeastNoise).Plus(LeastNoise);
        var (input, time, _) = FlowMatching.Mix(latents, randn_like(latents), sigmas);
        var ids = _captions.Encode(captions, latents.device);
        var velocity = _dit.Velocity(input, time, _encoder.Context(ids, _captions.Mask(ids)), guide: null, _runs[size]);
        return (input - velocity * sigmas.view(-1, 1, 1, 1, 1)).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var run in _runs)
        {
            run.Dispose();
        }

        _attention.Dispose();
        _dit.Dispose();
        _encoder.Dispose();
    }
}
