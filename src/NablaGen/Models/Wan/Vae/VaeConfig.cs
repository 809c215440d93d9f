namespace NablaGen.Models.Wan.Vae;

/// <summary>The sizes of Wan's causal video VAE (WanVAE_, wan/modules/vae.py).</summary>
public sealed record VaeConfig
{
    /// <summary>Wan2.1_VAE: 96 channels, 16 latent channels, stride 4 × 8 × 8.</summary>
    public static VaeConfig Wan21 { get; } = new() { Dim = 96 };

    /// <summary>Channels of the first level.</summary>
    public required int Dim { get; init; }

    /// <summary>Latent channels.</summary>
    public int ZDim { get; init; } = 16;

    /// <summary>Channels of each level, in multiples of <see cref="Dim"/>.</summary>
    public IReadOnlyList<int> DimMult { get; init; } = [1, 2, 4, 4];

    /// <summary>Residual blocks a level (the decoder has one more).</summary>
    public int NumResBlocks { get; init; } = 2;

    /// <summary>Which of the encoder's down-samplings halve time too. The key's spelling in a file is the reference's, <c>temperal_downsample</c>.</summary>
    public IReadOnlyList<bool> TemporalDownsample { get; init; } = [false, true, true];

    /// <summary>Mean of each latent channel; latents are normalised with it. [ZDim]</summary>
    public IReadOnlyList<float> LatentsMean { get; init; } =
    [
        -0.7571f, -0.7089f, -0.9113f, 0.1075f, -0.1745f, 0.9653f, -0.1517f, 1.5508f,
        0.4134f, -0.0715f, 0.5517f, -0.3632f, -0.1922f, -0.9497f, 0.2503f, -0.2921f,
    ];

    /// <summary>Standard deviation of each latent channel. [ZDim]</summary>
    public IReadOnlyList<float> LatentsStd { get; init; } =
    [
        2.8184f, 1.4541f, 2.3275f, 2.6558f, 1.2196f, 1.7708f, 2.6052f, 2.0743f,
        3.2687f, 2.1526f, 2.8652f, 1.5579f, 1.6382f, 1.1253f, 2.8251f, 1.9160f,
    ];

    /// <summary>Video pixels a latent pixel, in height and in width.</summary>
    public int SpatialStride => 1 << (DimMult.Count - 1);

    /// <summary>Frames a latent frame, after the first.</summary>
    public int TemporalStride => 1 << TemporalDownsample.Count(down => down);

    /// <summary>The properties that the code outside Wan's family uses.</summary>
    public LatentTraits Traits => new(ZDim, TemporalStride, SpatialStride);
}
