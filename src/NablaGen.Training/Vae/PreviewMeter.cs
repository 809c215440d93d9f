using NablaGen.Jobs.Benchmarks;
using NablaGen.Jobs.Previews;
using NablaGen.Models.Wan.Vae;
using static TorchSharp.torch;

namespace NablaGen.Training.Vae;

/// <summary>How near previews come to the decoded video, which is halved in size for that.</summary>
public static class PreviewMeter
{
    /// <summary>The PSNR of a clip's preview in dB: each of its pictures against all frames that the latent frame stands for.</summary>
    /// <param name="colors">The colours.</param>
    /// <param name="vae">The VAE.</param>
    /// <param name="video">A clip. [1, 3, T, H, W] in [−1, 1]</param>
    public static double Measure(LatentColors colors, WanVae vae, Tensor video)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var latents = vae.Encode(video);
        var halved = nn.functional.avg_pool2d(LatentColorFit.Decode(vae, latents).permute(1, 0, 2, 3), 2).permute(1, 0, 2, 3);
        var preview = PreviewWriter.Frames(colors, latents.squeeze(0)).cpu();
        var size = new[] { halved.shape[2], halved.shape[3] };
        if (preview.shape[2] != size[0])
        {
            preview = nn.functional.interpolate(preview.permute(1, 0, 2, 3), size, mode: InterpolationMode.Bilinear, align_corners: false).permute(1, 0, 2, 3);
        }

        // The first latent frame is one frame.
        var stride = vae.Config.TemporalStride;
        var each = cat([preview.narrow(1, 0, 1), preview.narrow(1, 1, preview.shape[1] - 1).repeat_interleave(stride, 1)], 1);
        return TensorPsnr.Of(each, halved);
    }
}
