using NablaGen.Weights;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// What a transformer's weights say of it and its <c>config.json</c> does not: Wan2.1's and Wan2.2's image-to-video models have the same
/// configuration, and only the former attend to image tokens; SparkDiffusion's have that of the model that they were made from.
/// </summary>
internal static class DitVariant
{
    /// <summary>The projection of the image encoder's tokens: there, the layers attend to them.</summary>
    public const string Projection = "img_emb.proj.0.bias";

    /// <summary>The learned positions of two pictures' tokens: there, it is told the last one, too.</summary>
    public const string Positions = "img_emb.emb_pos";

    /// <summary>The low-rank branch's projection of the queries: there, the self-attention has such a branch. [rank, D]</summary>
    public const string LowRankQuery = "blocks.0.self_attn.proj_q.weight";

    /// <summary>The rank of the self-attention's low-rank branch; 0 where there is none.</summary>
    /// <param name="weights">The weights; only their directory is read.</param>
    public static int LowRankOf(ITensorSource weights) => weights.Entries.GetValueOrDefault(LowRankQuery) is { Shape: [var rank and > 0 and <= int.MaxValue, _] } ? (int)rank : 0;

    /// <summary>The sizes with what the keys say.</summary>
    /// <param name="config">The sizes as configured.</param>
    /// <param name="weights">The weights; only their directory is read.</param>
    /// <param name="tokensOfPicture">Tokens that the image encoder makes of a picture; where learned positions count them, that counts.</param>
    public static DitConfig Detect(DitConfig config, ITensorSource weights, int tokensOfPicture)
    {
        config = config with { LowRank = LowRankOf(weights) };
        if (!weights.Entries.TryGetValue(Projection, out var projection))
        {
            return config with { ImageDim = 0, ImageTokens = 0, HasImagePositions = false };
        }

        var positions = weights.Entries.GetValueOrDefault(Positions);
        return config with
        {
            ImageDim = (int)projection.Shape[0],
            ImageTokens = positions is { Shape: [_, var count, _] } ? (int)count : tokensOfPicture,
            HasImagePositions = positions is not null,
        };
    }
}
