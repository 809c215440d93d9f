namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// What a tile needs of each level of the rising part, so that its pixels equal those of the whole frame. Every 3 × 3 convolution
/// makes the outermost row of a tile wrong, so a tile enters a level with a margin of as many rows as the rest of the levels will make wrong.
/// </summary>
internal sealed class VaeTile
{
    /// <summary>A tile of a frame.</summary>
    /// <param name="core">The pixels that are wanted, in latent pixels.</param>
    /// <param name="frame">The whole frame, in latent pixels.</param>
    /// <param name="config">The decoder's sizes.</param>
    public VaeTile(VaeRegion core, VaeRegion frame, VaeConfig config)
    {
        var levels = config.DimMult.Count - 1;
        Entries = new VaeRegion[levels];
        Exits = new VaeRegion[levels];
        var cores = Doublings(core, levels);
        var frames = Doublings(frame, levels);

        // From the end: the head is one convolution, a residual block two, and what up-sampling adds is one at its finer size.
        var margin = 1L;
        for (var level = levels - 1; level >= 0; level--)
        {
            Exits[level] = cores[level + 1].Grown(margin, frames[level + 1]);
            margin += 2L * (config.NumResBlocks + 1);
            Entries[level] = cores[level + 1].Grown(margin, frames[level + 1]);
            margin = (margin + 2) / 2;
        }

        (Frame, Latents, Start, Core) = (frame, core, core.Grown(margin, frame), cores[levels]);
        Inner = core.Grown(margin + 2L * (config.NumResBlocks + 1), frame);
    }

    /// <summary>The whole frame, in latent pixels.</summary>
    public VaeRegion Frame { get; }

    /// <summary>The tile itself, in latent pixels.</summary>
    public VaeRegion Latents { get; }

    /// <summary>What goes into the first up-sampling, in latent pixels.</summary>
    public VaeRegion Start { get; }

    /// <summary>What goes into the residual blocks before it, where these are not of the deep part (Wan2.2's VAE), in latent pixels.</summary>
    public VaeRegion Inner { get; }

    /// <summary>What goes into the residual blocks of each level, in its pixels.</summary>
    public VaeRegion[] Entries { get; }

    /// <summary>What is still exact and needed after the residual blocks of each level.</summary>
    public VaeRegion[] Exits { get; }

    /// <summary>The tile itself, in the last level's pixels: the video's, or squares of them.</summary>
    public VaeRegion Core { get; }

    /// <summary>The whole frame as one tile. Height and width are the latents'.</summary>
    public static VaeTile Whole(long height, long width, VaeConfig config)
    {
        var frame = new VaeRegion(0, 0, height, width);
        return new VaeTile(frame, frame, config);
    }

    /// <summary>A slice of a frame's rows. Height and width are the latents'.</summary>
    /// <param name="slice">Which of how many; at most as many as there are rows.</param>
    /// <param name="height">Rows of the latents.</param>
    /// <param name="width">Columns of the latents.</param>
    /// <param name="config">The decoder's sizes.</param>
    public static VaeTile Slice((int Index, int Count) slice, long height, long width, VaeConfig config)
    {
        var start = slice.Index * height / slice.Count;
        return new VaeTile(new VaeRegion(start, 0, ((slice.Index + 1) * height / slice.Count) - start, width), new VaeRegion(0, 0, height, width), config);
    }

    private static VaeRegion[] Doublings(VaeRegion region, int times)
    {
        var regions = new VaeRegion[times + 1];
        regions[0] = region;
        for (var i = 1; i <= times; i++)
        {
            regions[i] = regions[i - 1].Doubled;
        }

        return regions;
    }

    /// <summary>The tiles of a video, of nearly equal size, row by row.</summary>
    /// <param name="tiling">The largest size of a tile.</param>
    /// <param name="height">Rows of the latents.</param>
    /// <param name="width">Columns of the latents.</param>
    /// <param name="config">The decoder's sizes.</param>
    public static IReadOnlyList<VaeTile> Cut(VaeTiling tiling, long height, long width, VaeConfig config)
    {
        var frame = new VaeRegion(0, 0, height, width);
        return
        [
            .. from row in Cuts(height, tiling.Height, config.SpatialStride)
               from column in Cuts(width, tiling.Width, config.SpatialStride)
               select new VaeTile(new VaeRegion(row.Start, column.Start, row.Length, column.Length), frame, config),
        ];
    }

    private static IEnumerable<(long Start, long Length)> Cuts(long side, int mostPixels, int stride)
    {
        var most = mostPixels <= 0 ? side : Math.Max(1, mostPixels / stride);
        var count = (side + most - 1) / most;
        for (var i = 0L; i < count; i++)
        {
            var start = i * side / count;
            yield return (start, (i + 1) * side / count - start);
        }
    }
}
