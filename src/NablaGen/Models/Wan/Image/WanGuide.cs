using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Models.Wan.Image;

/// <summary>
/// What stands beside the noise of a model that is told pictures: a mask, which frames are given, and the latents of a video of these frames
/// and grey in between. Port of y in WanI2V.generate, wan/image2video.py, and WanFLF2V.generate, wan/first_last_frame2video.py.
/// </summary>
internal static class WanGuide
{
    /// <summary>Mask and latents. [B, stride + C, T', h, w]</summary>
    /// <param name="vae">The VAE.</param>
    /// <param name="first">The first frame, in the video's size, in [−1, 1]. [B, 3, H, W]</param>
    /// <param name="last">The last frame; null where it is not given. [B, 3, H, W]</param>
    /// <param name="frames">Frames of the video.</param>
    /// <param name="traits">The latents' relation to the video.</param>
    /// <param name="tiling">How the encoding is divided; null for not at all.</param>
    /// <param name="cancellation">Stops the encoding.</param>
    public static Tensor Of(IVideoAutoencoder vae, Tensor first, Tensor? last, int frames, LatentTraits traits, VaeTiling? tiling = null, CancellationToken cancellation = default)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var video = zeros([first.shape[0], 3, frames, first.shape[2], first.shape[3]], device: first.device);
        video.select(2, 0).copy_(first);
        if (last is not null)
        {
            video.select(2, frames - 1).copy_(last);
        }

        var latents = vae.Encode(video, tiling, cancellation);
        var mask = Mask(latents.shape.AsSpan(2), last is not null, frames, traits.TemporalStride).to(latents.device);
        return cat([mask.expand(latents.shape[0], -1, -1, -1, -1), latents], 1).MoveToOuterDisposeScope();
    }

    /// <summary>1 where a frame is given: a channel for each frame of a latent frame, of which the first latent frame has one four times. [1, stride, T', h, w]</summary>
    /// <param name="latents">Latent frames, rows and columns.</param>
    /// <param name="hasLast">Whether the last frame is given too.</param>
    /// <param name="frames">Frames of the video.</param>
    /// <param name="stride">Frames of a latent frame.</param>
    public static Tensor Mask(ReadOnlySpan<long> latents, bool hasLast, int frames, int stride)
    {
        using var scope = NewDisposeScope();
        var mask = zeros([1, stride, latents[0], latents[1], latents[2]]);
        mask.narrow(2, 0, 1).Fill_(1);
        if (hasLast && frames > 1)
        {
            mask.narrow(2, latents[0] - 1, 1).narrow(1, stride - 1, 1).Fill_(1);
        }

        return mask.MoveToOuterDisposeScope();
    }
}
