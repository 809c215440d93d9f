using NablaGen.Weights;

namespace NablaGen.Models.Wan.Dit;

/// <summary>
/// What a transformer's weights say of it and its <c>config.json</c> does not: Wan2.1's and Wan2.2's image-to-video models have the same
/// configuration, and only the former attend to image tokens.
/// </summary>
internal static class DitVariant
{
    /// <summary>The projection of the image encoder's tokens: there, the layers attend to them.</summary>
    public const string Projection = "img_emb.proj.0.bias";

    /// <summary>The learned positions of two pictures' tokens: there, it is told the last one, too.</summary>
    public const string Positions = "img_emb.emb_pos";

    /// <summary>The sizes with what the keys say.</summary>
    /// <param name="config">The sizes as configured.</param>
    /// <param name="weights">The weights; only their directory is read.</param>
    /// <param name="tokensOfPicture">Tokens that the image encoder makes of a picture; where learned positions count them, that counts.</param>
    public static DitConfig Detect(DitConfig config, ITensorSource weights, int tokensOfPicture)
    {
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
