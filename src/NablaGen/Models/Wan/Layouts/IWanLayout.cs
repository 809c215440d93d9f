using NablaGen.Weights;

namespace NablaGen.Models.Wan.Layouts;

/// <summary>How a Wan model is stored on disk: which file holds which part, and under which names.</summary>
internal interface IWanLayout
{
    /// <summary>Whether a path looks like this layout, complete or not; looks at file names only.</summary>
    bool Recognizes(string path);

    /// <summary>Finds the pieces; no weights are opened.</summary>
    /// <exception cref="NablaGenException">Pieces are missing: one line names each and where it belongs.</exception>
    WanFiles Find(string path);
}

/// <summary>The pieces of a Wan model on disk.</summary>
/// <param name="Config">The transformer's configuration, a JSON file.</param>
/// <param name="Transformer">The transformer's weights.</param>
/// <param name="TextEncoder">The text encoder's weights.</param>
/// <param name="Vae">The VAE's weights.</param>
/// <param name="Tokenizer">The tokenizer's SentencePiece model.</param>
internal sealed record WanFiles(string Config, WeightFile Transformer, WeightFile TextEncoder, WeightFile Vae, string Tokenizer)
{
    /// <summary>The transformer for noisy latents where there are two; <see cref="Transformer"/> is then the other one. Null for one.</summary>
    public WeightFile? HighNoise { get; init; }

    /// <summary>The image encoder's weights, as they are stored; null where there is no such file.</summary>
    public WeightFile? ImageEncoder { get; init; }
}

/// <summary>Weights on disk that are opened when they are needed.</summary>
/// <param name="Path">The file, or the index of its shards.</param>
/// <param name="Open">Opens it, its tensors under Wan's own names, and verifies its header.</param>
internal sealed record WeightFile(string Path, Func<ITensorSource> Open)
{
    /// <summary>A file whose tensors have Wan's own names.</summary>
    public WeightFile(string path)
        : this(path, () => TensorSources.Open(path))
    {
    }
}
