namespace NablaGen.Models.Wan.Vae;

/// <summary>
/// How decoding is cut up so that it needs less memory. The video is the same but for its last bits: tiles see as much around them as
/// reaches them, and the layers with attention see whole frames.
/// </summary>
/// <param name="Height">The most rows of a tile, in the video's pixels; 0 for whole frames.</param>
/// <param name="Width">The most columns of a tile, in the video's pixels; 0 for whole frames.</param>
/// <param name="FramesAtOnce">How many frames are at full resolution at once; a latent frame becomes four.</param>
public sealed record VaeTiling(int Height = 0, int Width = 0, int FramesAtOnce = 4)
{
    /// <summary>Whole frames, as many at once as there are: the fastest.</summary>
    public static VaeTiling None { get; } = new();

    /// <summary>The tiles of a video, of nearly equal size, row by row.</summary>
    /// <param name="height">Rows of the latents.</param>
    /// <param name="width">Columns of the latents.</param>
    /// <param name="config">The decoder's sizes.</param>
    internal IReadOnlyList<VaeTile> Tiles(long height, long width, VaeConfig config)
    {
        var frame = new VaeRegion(0, 0, height, width);
        return
        [
            .. from row in Cuts(height, Height, config.SpatialStride)
               from column in Cuts(width, Width, config.SpatialStride)
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
