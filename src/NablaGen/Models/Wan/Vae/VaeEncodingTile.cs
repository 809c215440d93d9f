namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// What a tile of the encoder's descending part is made of. Every 3 × 3 convolution makes the outermost row of a tile wrong, so a tile has a
/// margin around it of which nothing is left at the latents' size.
/// </summary>
/// <param name="Core">What is wanted, in latent pixels.</param>
/// <param name="Source">With its margin, in the first level's pixels.</param>
/// <param name="Covered">The same in latent pixels.</param>
internal readonly record struct VaeEncodingTile(VaeRegion Core, VaeRegion Source, VaeRegion Covered)
{
    /// <summary>The tiles of a video, of nearly equal size, row by row; one for whole frames.</summary>
    /// <param name="tiling">The largest size of a tile, without its margin.</param>
    /// <param name="height">Rows of the latents.</param>
    /// <param name="width">Columns of the latents.</param>
    /// <param name="config">The encoder's sizes.</param>
    public static IReadOnlyList<VaeEncodingTile> Cut(VaeTiling tiling, long height, long width, VaeConfig config)
    {
        var frame = new VaeRegion(0, 0, height, width);
        var margin = Margin(config);
        return [.. VaeTile.Cut(tiling, height, width, config).Select(tile => Of(tile.Latents))];

        VaeEncodingTile Of(VaeRegion core)
        {
            var covered = core.Grown(margin, frame);
            var source = covered;
            for (var level = 1; level < config.DimMult.Count; level++)
            {
                source = source.Doubled;
            }

            return new VaeEncodingTile(core, source, covered);
        }
    }

    /// <summary>Latent pixels around a tile that its outermost pixels make wrong.</summary>
    public static long Margin(VaeConfig config)
    {
        // The first convolution; a residual block has two more. Halving adds a row below and a column to the right, so what is wrong of an even
        // number of rows is half of them and one.
        var wrong = 1L;
        for (var level = 0; level < config.DimMult.Count; level++)
        {
            wrong += 2L * config.NumResBlocks;
            wrong = level < config.DimMult.Count - 1 ? wrong / 2 + 1 : wrong;
        }

        return wrong;
    }
}
