namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// What a tile needs of each level of the rising part, so that its pixels equal those of the whole frame. Every 3 × 3 convolution
/// spoils a row at the tile's edge; a tile enters a level with as many rows more as will be spoilt until the end.
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

        (Frame, Start, Core) = (frame, core.Grown(margin, frame), cores[levels]);
    }

    /// <summary>The whole frame, in latent pixels.</summary>
    public VaeRegion Frame { get; }

    /// <summary>What is needed of the deep part's output, in latent pixels.</summary>
    public VaeRegion Start { get; }

    /// <summary>What goes into the residual blocks of each level, in its pixels.</summary>
    public VaeRegion[] Entries { get; }

    /// <summary>What is still right and needed after the residual blocks of each level.</summary>
    public VaeRegion[] Exits { get; }

    /// <summary>The tile itself, in the video's pixels.</summary>
    public VaeRegion Core { get; }

    /// <summary>The whole frame as one tile. Height and width are the latents'.</summary>
    public static VaeTile Whole(long height, long width, VaeConfig config)
    {
        var frame = new VaeRegion(0, 0, height, width);
        return new VaeTile(frame, frame, config);
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
}
