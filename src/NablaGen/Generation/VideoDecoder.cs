using NablaGen.Models;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>Latents → frames: the VAE, in memory until disposed of.</summary>
public sealed class VideoDecoder : IDisposable
{
    private readonly IVideoAutoencoder _vae;
    private readonly ModuleOptions _options;

    private VideoDecoder(IVideoAutoencoder vae, ModuleOptions options)
    {
        _vae = vae;
        _options = options;
    }

    /// <summary>Decodes a part of a video for rank 0, which calls <see cref="Decode"/>.</summary>
    /// <param name="latents">The same latents. [C, T', h, w]</param>
    /// <param name="ranks">The ranks.</param>
    /// <param name="cancellation">Stops between latent frames.</param>
    /// <exception cref="NablaGenException">Another rank has ended.</exception>
    public void Assist(Tensor latents, SlicedDecoding ranks, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _vae.Decode(latents.to(ScalarType.Float32, _options.Device).unsqueeze(0), part =>
        {
            ranks.Collect(part, latents.shape[2]);
            NativeHeap.Collect();
        }, ranks.Tiling, cancellation);
    }

    /// <summary>Reads a model's VAE.</summary>
    /// <param name="model">The model.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="dtype">Its type; null for <see cref="VideoModel.DefaultVaeDtype"/>.</param>
    public static VideoDecoder Load(VideoModel model, Device device, ScalarType? dtype = null)
    {
        var options = new ModuleOptions(device, dtype ?? VideoModel.DefaultVaeDtype(device));
        return new VideoDecoder(model.LoadVae(options), options);
    }

    /// <summary>Decodes a latent frame at a time.</summary>
    /// <param name="latents">[C, T', h, w]</param>
    /// <param name="onFrames">Takes [3, n, H, W], about in [−1, 1]; the tensor is disposed of afterwards.</param>
    /// <param name="tiling">How it is cut up when memory is short; null for <see cref="VaeTiling.DefaultOn"/>.</param>
    /// <param name="ranks">The ranks that decode it together, all others of which call <see cref="Assist"/>; null for this one alone.</param>
    /// <param name="cancellation">Stops between latent frames.</param>
    /// <returns>The frames that are of a single colour, numbered from 0.</returns>
    /// <exception cref="NablaGenException">A frame holds a NaN, or all are of a single colour.</exception>
    public IReadOnlyList<int> Decode(
        Tensor latents, Action<Tensor> onFrames, VaeTiling? tiling = null, SlicedDecoding? ranks = null, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var check = new FrameCheck($"the VAE in {_options.Dtype.ToString().ToLowerInvariant()} on {_options.Device}");
        _vae.Decode(latents.to(ScalarType.Float32, _options.Device).unsqueeze(0), chunk =>
        {
            using var whole = ranks?.Collect(chunk, latents.shape[2]);
            var frames = (whole ?? chunk).squeeze(0);
            check.See(frames);
            onFrames(frames);
            NativeHeap.Collect();
        }, ranks?.Tiling ?? tiling ?? VaeTiling.DefaultOn(_options.Device), cancellation);
        check.Complete();
        return check.Flat;
    }

    /// <inheritdoc/>
    public void Dispose() => _vae.Dispose();
}
