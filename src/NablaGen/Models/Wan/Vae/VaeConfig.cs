namespace NablaGen.Models.Wan.Vae;

/// <summary>The sizes of Wan's causal video VAE (WanVAE_, wan/modules/vae.py; of Wan2.2's, wan/modules/vae2_2.py).</summary>
public sealed record VaeConfig
{
    /// <summary>Wan2.1_VAE: 96 channels, 16 latent channels, stride 4 × 8 × 8.</summary>
    public static VaeConfig Wan21 { get; } = new() { Dim = 96 };

    /// <summary>Wan2.2_VAE, of TI2V-5B: 48 latent channels, stride 4 × 16 × 16.</summary>
    public static VaeConfig Wan22 { get; } = new()
    {
        Dim = 160,
        DecoderDim = 256,
        ZDim = 48,
        LatentsMean =
        [
            -0.2289f, -0.0052f, -0.1323f, -0.2339f, -0.2799f, 0.0174f, 0.1838f, 0.1557f, -0.1382f, 0.0542f, 0.2813f, 0.0891f,
            0.1570f, -0.0098f, 0.0375f, -0.1825f, -0.2246f, -0.1207f, -0.0698f, 0.5109f, 0.2665f, -0.2108f, -0.2158f, 0.2502f,
            -0.2055f, -0.0322f, 0.1109f, 0.1567f, -0.0729f, 0.0899f, -0.2799f, -0.1230f, -0.0313f, -0.1649f, 0.0117f, 0.0723f,
            -0.2839f, -0.2083f, -0.0520f, 0.3748f, 0.0152f, 0.1957f, 0.1433f, -0.2944f, 0.3573f, -0.0548f, -0.1681f, -0.0667f,
        ],
        LatentsStd =
        [
            0.4765f, 1.0364f, 0.4514f, 1.1677f, 0.5313f, 0.4990f, 0.4818f, 0.5013f, 0.8158f, 1.0344f, 0.5894f, 1.0901f,
            0.6885f, 0.6165f, 0.8454f, 0.4978f, 0.5759f, 0.3523f, 0.7135f, 0.6804f, 0.5833f, 1.4146f, 0.8986f, 0.5659f,
            0.7069f, 0.5338f, 0.4889f, 0.4917f, 0.4069f, 0.4999f, 0.6866f, 0.4093f, 0.5709f, 0.6065f, 0.6415f, 0.4944f,
            0.5726f, 1.2042f, 0.5458f, 1.6887f, 0.3971f, 1.0600f, 0.3943f, 0.5537f, 0.5444f, 0.4089f, 0.7468f, 0.7744f,
        ],
    };

    /// <summary>Channels of the encoder's first level, and of the decoder's last unless <see cref="DecoderDim"/> says otherwise.</summary>
    public required int Dim { get; init; }

    /// <summary>Channels of the decoder's last level in Wan2.2's VAE; null for Wan2.1's.</summary>
    public int? DecoderDim { get; init; }

    /// <summary>Whether it is built as Wan2.2's: squares of 2 × 2 pixels are channels, and each level has a shortcut without weights.</summary>
    public bool HasLevelShortcuts => DecoderDim is not null;

    /// <summary>Pixels on a side of the square that becomes channels before the first layer.</summary>
    public int PatchSize => HasLevelShortcuts ? 2 : 1;

    /// <summary>Colours that go in and come out, in each pixel of a square.</summary>
    internal int Colours => 3 * PatchSize * PatchSize;

    /// <summary>Channels of the decoder's last level.</summary>
    internal int DecoderWidth => DecoderDim ?? Dim;

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
    public int SpatialStride => PatchSize << (DimMult.Count - 1);

    /// <summary>Frames a latent frame, after the first.</summary>
    public int TemporalStride => 1 << TemporalDownsample.Count(down => down);

    /// <summary>The properties that the code outside Wan's family uses.</summary>
    public LatentTraits Traits => new(ZDim, TemporalStride, SpatialStride);
}
