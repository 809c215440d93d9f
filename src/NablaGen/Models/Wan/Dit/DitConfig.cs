namespace NablaGen.Models.Wan.Dit;

/// <summary>The sizes of a Wan diffusion transformer: the fields of the checkpoint's <c>config.json</c> (WanModel, wan/modules/model.py).</summary>
public sealed record DitConfig
{
    /// <summary>Wan2.1-T2V-1.3B.</summary>
    public static DitConfig Wan1_3B { get; } = new() { Dim = 1536, FfnDim = 8960, NumHeads = 12, NumLayers = 30 };

    /// <summary>Wan2.1-T2V-14B.</summary>
    public static DitConfig Wan14B { get; } = new() { Dim = 5120, FfnDim = 13824, NumHeads = 40, NumLayers = 40 };

    /// <summary>Wan2.1-I2V-14B: 20 channels of a picture beside the noise, and its tokens in the cross-attention.</summary>
    public static DitConfig WanI2V14B { get; } = Wan14B with { ModelType = "i2v", InDim = 36, ImageDim = 1280, ImageTokens = 257 };

    /// <summary>Each of the two experts of Wan2.2-I2V-A14B: 20 channels of a picture, and no tokens of it.</summary>
    public static DitConfig WanI2VA14B { get; } = Wan14B with { ModelType = "i2v", InDim = 36 };

    /// <summary>Wan2.2-TI2V-5B.</summary>
    public static DitConfig WanTI2V5B { get; } =
        new() { ModelType = "ti2v", Dim = 3072, FfnDim = 14336, NumHeads = 24, NumLayers = 30, InDim = 48, OutDim = 48 };

    /// <summary>The kind of model: <c>t2v</c>, <c>i2v</c>, <c>flf2v</c> or <c>ti2v</c>.</summary>
    public string ModelType { get; init; } = "t2v";

    /// <summary>Patch size (time, height, width) in latent pixels.</summary>
    public (int Time, int Height, int Width) PatchSize { get; init; } = (1, 2, 2);

    /// <summary>Text tokens a prompt is padded to.</summary>
    public int TextLen { get; init; } = 512;

    /// <summary>Channels that come in: those of the latents and, where the model is told a picture that way, those of its mask and latents.</summary>
    public int InDim { get; init; } = 16;

    /// <summary>Width of the image encoder's tokens; 0 where the layers attend to no picture. The weights say it: <see cref="DitVariant"/>.</summary>
    public int ImageDim { get; init; }

    /// <summary>Tokens of the pictures that the layers attend to: one picture's, or those of the first and the last.</summary>
    public int ImageTokens { get; init; }

    /// <summary>Whether the image tokens have a learned position (<c>img_emb.emb_pos</c>), so that the first and the last picture differ.</summary>
    public bool HasImagePositions { get; init; }

    /// <summary>Hidden width, C in shapes.</summary>
    public required int Dim { get; init; }

    /// <summary>Width of the feed-forward layer.</summary>
    public required int FfnDim { get; init; }

    /// <summary>Width of the sinusoidal time embedding.</summary>
    public int FreqDim { get; init; } = 256;

    /// <summary>Width of the text encoder's output.</summary>
    public int TextDim { get; init; } = 4096;

    /// <summary>Channels of the latents that go out.</summary>
    public int OutDim { get; init; } = 16;

    /// <summary>Attention heads.</summary>
    public required int NumHeads { get; init; }

    /// <summary>Layers.</summary>
    public required int NumLayers { get; init; }

    /// <summary>Whether query and key are normalised (RMSNorm over all heads).</summary>
    public bool QkNorm { get; init; } = true;

    /// <summary>Whether the input of the cross-attention is normalised (norm3).</summary>
    public bool CrossAttnNorm { get; init; } = true;

    /// <summary>The ε of the norms.</summary>
    public double Eps { get; init; } = 1e-6;

    /// <summary>The attention that it was trained with (<c>sparse_algo</c> of the NABLA fine-tunes), an expression; null where it does not say.</summary>
    public string? SparseAlgorithm { get; init; }

    /// <summary>
    /// Rank of the low-rank branch beside the self-attention's sparse one (RoLa, SparkDiffusion's checkpoints); 0 for none. The weights say it:
    /// <see cref="DitVariant"/>.
    /// </summary>
    public int LowRank { get; init; }

    /// <summary>Channels of a picture's mask and latents, beside those of the noise.</summary>
    public int GuideChannels => InDim - OutDim;

    /// <summary>Width of one head, D in shapes.</summary>
    public int HeadDim => Dim / NumHeads;

    /// <summary>The properties that the code outside Wan's family uses.</summary>
    public TransformerTraits Traits => new()
    {
        Layers = NumLayers,
        Heads = NumHeads,
        HeadDim = HeadDim,
        FeedForwardWidth = FfnDim,
        Patch = PatchSize,
        Channels = OutDim,
        TextTokens = TextLen,
        TextWidth = TextDim,
        ImageTokens = ImageTokens,
        ImageWidth = ImageDim,
        GuideChannels = GuideChannels,
        LowRank = LowRank,
        HasFrameTimes = ModelType == "ti2v",
    };
}
