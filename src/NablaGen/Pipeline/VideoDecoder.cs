using NablaGen.Checkpoints;
using NablaGen.Models;
using NablaGen.Models.Vae;
using NablaGen.Native;
using static TorchSharp.torch;

namespace NablaGen.Pipeline;

/// <summary>Latents → frames: the VAE, in memory until disposed of.</summary>
public sealed class VideoDecoder : IDisposable
{
    private readonly WanVae _vae;
    private readonly Device _device;

    private VideoDecoder(WanVae vae, Device device)
    {
        _vae = vae;
        _device = device;
    }

    /// <summary>Reads a model's VAE; it runs in float32.</summary>
    public static VideoDecoder Load(ModelFolder folder, Device device)
    {
        var vae = new WanVae(folder.VaeConfig, new ModuleOptions(device, ScalarType.Float32));
        try
        {
            using var source = folder.OpenVae();
            CheckpointLoader.Load(source, vae);
            return new VideoDecoder(vae, device);
        }
        catch
        {
            vae.Dispose();
            throw;
        }
    }

    /// <summary>Decodes a latent frame at a time.</summary>
    /// <param name="latents">[C, T', h, w]</param>
    /// <param name="onFrames">Takes [3, n, H, W], about in [−1, 1]; the tensor is disposed of afterwards.</param>
    /// <param name="cancellation">Stops between latent frames.</param>
    public void Decode(Tensor latents, Action<Tensor> onFrames, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        _vae.Decode(latents.to(_device).unsqueeze(0), chunk =>
        {
            onFrames(chunk.squeeze(0));
            NativeHeap.Collect();
        }, cancellation: cancellation);
    }

    /// <inheritdoc/>
    public void Dispose() => _vae.Dispose();
}
