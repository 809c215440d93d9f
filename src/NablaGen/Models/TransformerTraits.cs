using NablaGen.Attention;

namespace NablaGen.Models;

/// <summary>The properties of a video diffusion transformer that the code outside its model family uses.</summary>
public sealed record TransformerTraits
{
    /// <summary>Layers.</summary>
    public required int Layers { get; init; }

    /// <summary>Attention heads, H in shapes.</summary>
    public required int Heads { get; init; }

    /// <summary>Width of one head, D in shapes.</summary>
    public required int HeadDim { get; init; }

    /// <summary>Width of the feed-forward layer.</summary>
    public required int FeedForwardWidth { get; init; }

    /// <summary>Patch size (time, height, width) in latent pixels.</summary>
    public required (int Time, int Height, int Width) Patch { get; init; }

    /// <summary>Channels of the latents that the solver works on.</summary>
    public required int Channels { get; init; }

    /// <summary>Text tokens that a prompt is padded to, or cut at.</summary>
    public required int TextTokens { get; init; }

    /// <summary>Width of the text encoder's output.</summary>
    public required int TextWidth { get; init; }

    /// <summary>Tokens of pictures that the layers attend to; 0 for none.</summary>
    public int ImageTokens { get; init; }

    /// <summary>Width of the image encoder's tokens; 0 for none.</summary>
    public int ImageWidth { get; init; }

    /// <summary>Channels of a picture's mask and latents, which stand beside the noise; 0 for none.</summary>
    public int GuideChannels { get; init; }

    /// <summary>
    /// Where the model has two transformers, the share of the timesteps from which on the high-noise one works; null for one transformer.
    /// </summary>
    public double? Boundary { get; init; }

    /// <summary>
    /// Rank of the low-rank branch that the self-attention has beside its sparse one: its tokens then stand in raster order, and no other attention
    /// fits it. 0 for none.
    /// </summary>
    public int LowRank { get; init; }

    /// <summary>Whether latent frames may have times of their own, as where the first one is given.</summary>
    public bool HasFrameTimes { get; init; }

    /// <summary>Hidden width, C in shapes.</summary>
    public int Width => Heads * HeadDim;

    /// <summary>The tokens of latents.</summary>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    public long TokensOf(ReadOnlySpan<long> latents) => latents[1] / Patch.Time * (latents[2] / Patch.Height) * (latents[3] / Patch.Width);

    /// <summary>The blocks of latents' tokens.</summary>
    /// <param name="latents">The latents' shape. [C, T', h, w]</param>
    public long BlocksOf(ReadOnlySpan<long> latents) => LowRank > 0 ? (TokensOf(latents) + BlockLayout.BlockSize - 1) / BlockLayout.BlockSize
        : latents[1] / Patch.Time * Tiles(latents[2] / Patch.Height) * Tiles(latents[3] / Patch.Width);

    /// <summary>The order and the blocks of latents' tokens.</summary>
    /// <param name="latents">The latents' shape, a multiple of the patch's. [C, T', h, w]</param>
    public BlockLayout LayoutOf(ReadOnlySpan<long> latents)
    {
        var (time, height, width) = ((int)latents[1] / Patch.Time, (int)latents[2] / Patch.Height, (int)latents[3] / Patch.Width);
        return LowRank > 0 ? BlockLayout.Raster(time, height, width) : BlockLayout.Create(time, height, width);
    }

    private static long Tiles(long side) => (side + BlockLayout.TileSide - 1) / BlockLayout.TileSide;

    /// <summary>Sees that an attention is one that the model can have.</summary>
    /// <exception cref="InvalidRequestException">It is not; the line says which is.</exception>
    public void Check(AttentionExpression attention)
    {
        attention.HeadThresholds?.Check(attention, Layers, Heads);
        if (attention.RolaShare is not null && LowRank == 0)
        {
            throw new InvalidRequestException(
                $"attention '{attention}' needs a low-rank branch, which SparkDiffusion's checkpoints have (self_attn.proj_q and others) and this model lacks: use nabla-<threshold>");
        }

        if (attention.RolaShare is null && LowRank > 0)
        {
            throw new InvalidRequestException(
                $"attention '{attention}' does not fit this model, whose self-attention has a low-rank branch beside a sparse one (SparkDiffusion): use rola-<share>, such as rola-0.1");
        }
    }

    /// <summary>Multiplications and additions of a dense pass.</summary>
    /// <param name="tokens">Tokens of the video.</param>
    public double OperationsOf(double tokens)
    {
        double width = Width, feedForward = FeedForwardWidth;
        var products = 2 * tokens * (6 * width * width + 2 * width * feedForward);
        var attention = 4 * tokens * width * (tokens + TextTokens + ImageTokens);
        return Layers * (products + attention);
    }
}
