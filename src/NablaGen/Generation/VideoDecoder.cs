using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>Latents → frames: the VAE, in memory until disposed of.</summary>
public sealed class VideoDecoder : IDisposable
{
    private readonly WanVae _vae;
    private readonly ModuleOptions _options;

    private VideoDecoder(WanVae vae, ModuleOptions options)
    {
        _vae = vae;
        _options = options;
    }

    /// <summary>Reads a model's VAE.</summary>
    /// <param name="folder">The model.</param>
    /// <param name="device">Where it runs.</param>
    /// <param name="dtype">Its type; null for <see cref="DefaultDtype"/>.</param>
    public static VideoDecoder Load(ModelFolder folder, Device device, ScalarType? dtype = null)
    {
        var options = new ModuleOptions(device, dtype ?? DefaultDtype(device));
        var vae = new WanVae(folder.VaeConfig, options);
        try
        {
            using var source = folder.OpenVae();
            CheckpointLoader.Load(source, vae);
            return new VideoDecoder(vae, options);
        }
        catch
        {
            vae.Dispose();
            throw;
        }
    }

    /// <summary>bfloat16 on CUDA, which docs/numerics.md says is near enough; float32 on the CPU.</summary>
    public static ScalarType DefaultDtype(Device device) => device.type == DeviceType.CUDA ? ScalarType.BFloat16 : ScalarType.Float32;

    /// <summary>
    /// Whole frames: on the CPU all four of a latent frame at once, which is faster; on CUDA one, which takes a twentieth longer than two
    /// and a GiB less at 1280×720 (docs/performance.md).
    /// </summary>
    public static VaeTiling DefaultTiling(Device device) => VaeTiling.None with { FramesAtOnce = device.type == DeviceType.CUDA ? 1 : 4 };

    /// <summary>Decodes a latent frame at a time.</summary>
    /// <param name="latents">[C, T', h, w]</param>
    /// <param name="onFrames">Takes [3, n, H, W], about in [−1, 1]; the tensor is disposed of afterwards.</param>
    /// <param name="tiling">How it is cut up when memory is short; null for <see cref="DefaultTiling"/>.</param>
    /// <param name="cancellation">Stops between latent frames.</param>
    /// <returns>The frames that are of a single colour, numbered from 0.</returns>
    /// <exception cref="NablaGenException">A frame holds a NaN, or all are of a single colour.</exception>
    public IReadOnlyList<int> Decode(
        Tensor latents, Action<Tensor> onFrames, VaeTiling? tiling = null, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var check = new FrameCheck($"the VAE in {_options.Dtype.ToString().ToLowerInvariant()} on {_options.Device}");
        _vae.Decode(latents.to(ScalarType.Float32, _options.Device).unsqueeze(0), chunk =>
        {
            var frames = chunk.squeeze(0);
            check.See(frames);
            onFrames(frames);
            NativeHeap.Collect();
        }, tiling ?? DefaultTiling(_options.Device), cancellation);
        check.Complete();
        return check.Flat;
    }

    /// <inheritdoc/>
    public void Dispose() => _vae.Dispose();
}
