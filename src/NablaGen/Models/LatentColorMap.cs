namespace NablaGen.Models;

/// <summary>
/// A linear map from a VAE's normalised latents to colours, a pixel of the latents to one of the video at the latents' size: the first latent frame and
/// the later ones, which stand for several frames, each have their own. It was fitted to clips (<c>nablagen train preview</c>).
/// </summary>
/// <param name="Vae">The hash of the VAE's weights: with others the map is of no use.</param>
/// <param name="First">For red, green, blue: a factor for each channel, then the constant; colours in [−1, 1]. [3 · (C + 1)]</param>
/// <param name="Later">The same for every latent frame but the first. [3 · (C + 1)]</param>
public sealed record LatentColorMap(string Vae, IReadOnlyList<float> First, IReadOnlyList<float> Later);
