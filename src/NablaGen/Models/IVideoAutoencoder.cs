using static TorchSharp.torch;

namespace NablaGen.Models;

/// <summary>A video autoencoder with its weights.</summary>
public interface IVideoAutoencoder : IDisposable
{
    /// <summary>A video's latents, normalised by channel, float32. [B, 3, T, H, W] in [−1, 1] → [B, C, T', h, w]</summary>
    /// <param name="video">The video, on any device: a chunk of it at a time goes to the autoencoder's, where the latents are.</param>
    /// <param name="tiling">How to divide the encoding; null for not at all.</param>
    /// <param name="cancellation">Stops between latent frames.</param>
    Tensor Encode(Tensor video, VaeTiling? tiling = null, CancellationToken cancellation = default);

    /// <summary>Decodes one latent frame after another and hands each one's frames over.</summary>
    /// <param name="latents">Normalised latents, float32. [B, C, T', h, w]</param>
    /// <param name="onFrames">Takes [B, 3, n, H, W], float32, not yet clamped to [−1, 1]; the tensor is disposed of afterwards.</param>
    /// <param name="tiling">How to divide the decoding; null for not at all.</param>
    /// <param name="cancellation">Stops between latent frames.</param>
    void Decode(Tensor latents, Action<Tensor> onFrames, VaeTiling? tiling = null, CancellationToken cancellation = default);
}
