namespace NablaGen.Models.Wan.Dit;

/// <summary>The sizes of a Wan diffusion transformer: the fields of the checkpoint's <c>config.json</c> (WanModel, wan/modules/model.py).</summary>
public sealed record DitConfig
{
    /// <summary>Wan2.1-T2V-1.3B.</summary>
    public static DitConfig Wan1_3B { get; } = new() { Dim = 1536, FfnDim = 8960, NumHeads = 12, NumLayers = 30 };

    /// <summary>Wan2.1-T2V-14B.</summary>
    public static DitConfig Wan14B { get; } = new() { Dim = 5120, FfnDim = 13824, NumHeads = 40, NumLayers = 40 };

    /// <summary>The kind of model; only <c>t2v</c> is supported.</summary>
    public string ModelType { get; init; } = "t2v";

    /// <summary>Patch size (time, height, width) in latent pixels.</summary>
    public (int Time, int Height, int Width) PatchSize { get; init; } = (1, 2, 2);

    /// <summary>Text tokens a prompt is padded to.</summary>
    public int TextLen { get; init; } = 512;

    /// <summary>Channels of the latents that come in.</summary>
    public int InDim { get; init; } = 16;

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
    };
}
