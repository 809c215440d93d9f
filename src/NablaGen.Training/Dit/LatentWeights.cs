using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Training.Dit;

/// <summary>
/// How much each latent channel counts in a transformer's loss: as much as the picture answers to it. Normalised latents all have the spread
/// of 1, whether they place an object or refine its edge, and an even loss would spend a small transformer on what nobody sees.
/// </summary>
public static class LatentWeights
{
    // Large enough to stand out of bfloat16's rounding, small enough that a decoder answers in proportion.
    private const double Push = 0.3;

    // A channel that hardly shows is learnt still.
    private const double Least = 0.05;

    /// <summary>
    /// Weights of the channels, about 1 in the mean: by how much decoded pixels change for noise in one channel, as the root of the mean square.
    /// [1, C, 1, 1, 1]
    /// </summary>
    /// <param name="vae">The decoder.</param>
    /// <param name="latents">Latents of real clips, normalised. [B, C, T', h, w]</param>
    public static Tensor Of(WanVae vae, Tensor latents)
    {
        ArgumentNullException.ThrowIfNull(vae);
        ArgumentNullException.ThrowIfNull(latents);
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var pixels = Decode(vae, latents);
        var changes = Enumerable.Range(0, (int)latents.shape[1]).Select(channel =>
        {
            using var inner = NewDisposeScope();
            var pushed = latents.clone();
            var one = pushed.select(1, channel);
            one.Plus_(randn_like(one), Push);
            return (Decode(vae, pushed) - pixels).Squared().mean().sqrt().MoveToOuterDisposeScope();
        }).ToList();
        var change = stack(changes);
        return change.div(change.mean().Plus(1e-12)).AtLeast(Least).view(1, -1, 1, 1, 1).MoveToOuterDisposeScope();
    }

    private static Tensor Decode(WanVae vae, Tensor latents)
    {
        using var scope = NewDisposeScope();
        var frames = new List<Tensor>();
        vae.Decode(latents, chunk => frames.Add(chunk.MoveToOuterDisposeScope()));
        return cat(frames, 2).MoveToOuterDisposeScope();
    }
}
