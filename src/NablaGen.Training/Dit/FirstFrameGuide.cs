using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Vae;
using static TorchSharp.torch;

namespace NablaGen.Training.Dit;

/// <summary>
/// How a transformer learns to be told a first frame (Wan2.2's I2V-A14B: mask and latents beside the noise, no image encoder). The clip's own
/// first frame is the picture, and what the transformer sees of it is made by the code that generation uses. It is never left out: the
/// reference's pass without the prompt is told the picture too.
/// </summary>
internal static class FirstFrameGuide
{
    /// <summary>Mask and latents of clips' first frames. [B, 3, T, H, W] → [B, stride + C, T', h, w]</summary>
    /// <param name="vae">The VAE.</param>
    /// <param name="clips">The clips, in [−1, 1].</param>
    public static Tensor Of(WanVae vae, Tensor clips)
    {
        using var scope = NewDisposeScope();
        return WanGuide.Of(vae, clips.select(2, 0), last: null, (int)clips.shape[2], vae.Config.Traits).MoveToOuterDisposeScope();
    }

    /// <summary>The velocity at the latents, with a gradient. [B, OutDim, T', h, w] in float32</summary>
    /// <param name="model">The transformer.</param>
    /// <param name="x">Noisy latents. [B, OutDim, T', h, w]</param>
    /// <param name="t">Timestep, 0 to 1000. [B]</param>
    /// <param name="context">The prompts' encodings. [B, up to TextLen, TextDim]</param>
    /// <param name="guide">What <see cref="Of"/> gives; null where the transformer is told no picture. [B, GuideChannels, T', h, w]</param>
    /// <param name="run">Layout, angles, attention and step.</param>
    public static Tensor Velocity(this WanModel model, Tensor x, Tensor t, Tensor context, Tensor? guide, DitRun run)
    {
        using var scope = NewDisposeScope();
        using var prompt = model.EmbedPrompt(context, keep: false, guide: guide);
        var embedded = model.Embed(x, t, prompt, run);
        return model.RunHead(model.RunLayers(embedded, prompt, run), embedded, run).MoveToOuterDisposeScope();
    }
}
