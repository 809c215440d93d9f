namespace NablaGen.Models;

/// <summary>Which pictures a model is told, and how they become the size of a video. <see cref="None"/> for a model that makes videos of text alone.</summary>
/// <param name="TakesFirst">Whether it can be told the first frame.</param>
/// <param name="NeedsFirst">Whether it makes no video without.</param>
/// <param name="NeedsLast">Whether it is told the last frame too.</param>
/// <param name="SizeStep">Width and height come in steps of this many pixels.</param>
/// <param name="CutsExactly">
/// Whether a picture is averaged down (Lanczos) and cut at its centre, and the size is the one nearest to its aspect, as Wan2.2-TI2V has it;
/// otherwise it is stretched (bicubic) to a size whose sides are rounded down each by itself.
/// </param>
public sealed record PictureTraits(bool TakesFirst, bool NeedsFirst, bool NeedsLast, int SizeStep, bool CutsExactly)
{
    /// <summary>No pictures.</summary>
    public static PictureTraits None { get; } = new(false, false, false, 1, false);

    /// <summary>
    /// The size of a video with a picture's aspect and about an area. Ports of the sizes in wan/image2video.py and of best_output_size,
    /// wan/utils/utils.py.
    /// </summary>
    /// <param name="area">Width times height to stay below.</param>
    /// <param name="width">The picture's width.</param>
    /// <param name="height">The picture's height.</param>
    /// <exception cref="InvalidRequestException">The picture is so long and thin that a side would have no pixels.</exception>
    public (int Width, int Height) SizeOf(long area, int width, int height)
    {
        var (exactWidth, exactHeight) = (Math.Sqrt((double)area * width / height), Math.Sqrt((double)area * height / width));
        var (wide, high) = (Down(exactWidth), Down(exactHeight));
        if (wide == 0 || high == 0)
        {
            throw new InvalidRequestException(
                $"a picture of {width}x{height} is too long and thin for a video of its aspect: cut it, or name --width and --height and a --fit");
        }

        if (!CutsExactly)
        {
            return (wide, high);
        }

        // Whichever side is rounded first, the other one gets what is left of the area.
        var byWidth = (Width: wide, Height: Down((double)area / wide));
        var byHeight = (Width: Down((double)area / high), Height: high);
        var aspect = (double)width / height;
        return Distance(byWidth, aspect) < Distance(byHeight, aspect) ? byWidth : byHeight;
    }

    private int Down(double side) => (int)(side / SizeStep) * SizeStep;

    private static double Distance((int Width, int Height) size, double aspect)
    {
        var own = (double)size.Width / size.Height;
        return Math.Max(aspect / own, own / aspect);
    }
}
