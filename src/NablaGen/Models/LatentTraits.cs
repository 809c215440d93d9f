namespace NablaGen.Models;

/// <summary>How a model's autoencoder relates videos to latents.</summary>
/// <param name="Channels">Channels of the latents, C in shapes.</param>
/// <param name="TemporalStride">Frames that a latent frame stands for, after the first.</param>
/// <param name="SpatialStride">Pixels on a side that a latent pixel stands for.</param>
public sealed record LatentTraits(int Channels, int TemporalStride, int SpatialStride)
{
    /// <summary>The shape of a video's latents. [C, T', h, w]</summary>
    /// <param name="frames">Frames of the video, a multiple of the stride and 1.</param>
    /// <param name="height">Rows, a multiple of the stride.</param>
    /// <param name="width">Columns, a multiple of the stride.</param>
    public long[] ShapeOf(int frames, int height, int width) =>
        [Channels, (frames - 1) / TemporalStride + 1, height / SpatialStride, width / SpatialStride];

    /// <summary>The size of the video that latents decode to.</summary>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    public (int Frames, int Height, int Width) VideoOf(ReadOnlySpan<long> latents) =>
        (((int)latents[1] - 1) * TemporalStride + 1, (int)latents[2] * SpatialStride, (int)latents[3] * SpatialStride);
}
