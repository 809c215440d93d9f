using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Image;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>How a Wan model is stored on disk: which file holds which part, and under which names.</summary>
internal interface IWanLayout
{
    /// <summary>The layout's name, for <c>inspect</c>.</summary>
    string Name { get; }

    /// <summary>Whether a path looks like this layout, complete or not; looks at file names only.</summary>
    bool Recognizes(string path);

    /// <summary>Finds the pieces. Opens headers where names don't tell, and no weights.</summary>
    /// <param name="path">The folder or file.</param>
    /// <param name="pieces">Files that take the place of the layout's own; those are not looked for.</param>
    /// <exception cref="NablaGenException">Pieces are missing: one line names each and where it belongs.</exception>
    WanFiles Find(string path, ModelPieces pieces);
}

/// <summary>The pieces of a Wan model on disk. What a layout has no configuration for, it reads from shapes.</summary>
internal sealed record WanFiles
{
    /// <summary>What says the transformer's sizes: a JSON file, or the weights themselves.</summary>
    public required string Config { get; init; }

    /// <summary>The transformer's sizes where they were read already; null where <see cref="Config"/> is <c>config.json</c>.</summary>
    public DitConfig? Dit { get; init; }

    /// <summary>The text encoder's sizes where they were read; null for umT5-XXL's.</summary>
    public TextEncoderConfig? TextEncoderSizes { get; init; }

    /// <summary>The VAE's sizes where they were read; null for Wan2.1's.</summary>
    public VaeConfig? VaeSizes { get; init; }

    /// <summary>The transformer's weights.</summary>
    public required WeightFile Transformer { get; init; }

    /// <summary>The text encoder's weights.</summary>
    public required WeightFile TextEncoder { get; init; }

    /// <summary>The VAE's weights.</summary>
    public required WeightFile Vae { get; init; }

    /// <summary>The tokenizer.</summary>
    public required TokenizerFile Tokenizer { get; init; }

    /// <summary>The files that are not the layout's own: named by the user, or chosen.</summary>
    public IReadOnlyList<string> Others { get; init; } = [];

    /// <summary>What was chosen that nobody named: "text encoder: FILE".</summary>
    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>The transformer for noisy latents where there are two; <see cref="Transformer"/> is then the other one. Null for one.</summary>
    public WeightFile? HighNoise { get; init; }

    /// <summary>The image encoder's weights, as they are stored; null where there is no such file.</summary>
    public WeightFile? ImageEncoder { get; init; }

    /// <summary>The image encoder's sizes where they were read; null for ViT-H/14's.</summary>
    public ImageEncoderConfig? ImageEncoderSizes { get; init; }

    /// <summary>The share of the timesteps from which on the high-noise expert works, where the layout says it; null where it does not.</summary>
    public double? Boundary { get; init; }
}

/// <summary>Weights on disk that are opened when they are needed.</summary>
/// <param name="Path">The file, or the index of its shards.</param>
/// <param name="Open">Opens it, its tensors under Wan's own names, and verifies its header.</param>
internal sealed record WeightFile(string Path, Func<ITensorSource> Open)
{
    /// <summary>A file of a part in any dialect and number format that is known.</summary>
    public WeightFile(string path, WanPiece piece)
        : this(path, () => PieceFile.Open(path, piece))
    {
    }
}
