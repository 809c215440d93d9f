namespace NablaGen.Models.Wan.Image;

/// <summary>The sizes of CLIP's vision transformer (VisionTransformer, wan/modules/clip.py). Wan's own is <see cref="VitH14"/>.</summary>
public sealed record ImageEncoderConfig
{
    /// <summary>The visual tower of open-CLIP's XLM-RoBERTa ViT-H/14, which every Wan2.1 image-to-video model has.</summary>
    public static ImageEncoderConfig VitH14 { get; } = new() { Dim = 1280, NumHeads = 16, NumLayers = 32 };

    /// <summary>Rows and columns of the picture that it looks at.</summary>
    public int ImageSize { get; init; } = 224;

    /// <summary>Rows and columns of a patch.</summary>
    public int PatchSize { get; init; } = 14;

    /// <summary>Hidden width, C in shapes.</summary>
    public required int Dim { get; init; }

    /// <summary>Width of the feed-forward layer, in multiples of <see cref="Dim"/>.</summary>
    public int MlpRatio { get; init; } = 4;

    /// <summary>Attention heads.</summary>
    public required int NumHeads { get; init; }

    /// <summary>Layers in the checkpoint. The last one is not used: its output is made for comparing with texts.</summary>
    public required int NumLayers { get; init; }

    /// <summary>The ε of the norms.</summary>
    public double Eps { get; init; } = 1e-5;

    /// <summary>Tokens of a picture: its patches and the class token.</summary>
    public int Tokens => (ImageSize / PatchSize) * (ImageSize / PatchSize) + 1;
}
