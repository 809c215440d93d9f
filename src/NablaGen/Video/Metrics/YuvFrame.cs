namespace NablaGen.Video.Metrics;

/// <summary>A frame as it is stored in a yuv420p video: luma, and two chroma planes of half the width and height (rounded up).</summary>
public sealed class YuvFrame
{
    private readonly byte[] _bytes;

    /// <summary>A frame of zeros.</summary>
    /// <param name="width">Width in pixels.</param>
    /// <param name="height">Height in pixels.</param>
    public YuvFrame(int width, int height)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(width, 1);
        ArgumentOutOfRangeException.ThrowIfLessThan(height, 1);
        Width = width;
        Height = height;
        _bytes = new byte[Enumerable.Range(0, Planes).Sum(plane => PlaneWidth(plane) * PlaneHeight(plane))];
    }

    /// <summary>How many planes there are: Y, U and V.</summary>
    public const int Planes = 3;

    /// <summary>Width in pixels.</summary>
    public int Width { get; }

    /// <summary>Height in pixels.</summary>
    public int Height { get; }

    /// <summary>All planes, one after the other, rows from the top.</summary>
    public Span<byte> Bytes => _bytes;

    /// <summary>A plane's width.</summary>
    /// <param name="plane">0 is Y, 1 is U, 2 is V.</param>
    public int PlaneWidth(int plane) => plane == 0 ? Width : (Width + 1) / 2;

    /// <summary>A plane's height.</summary>
    /// <param name="plane">0 is Y, 1 is U, 2 is V.</param>
    public int PlaneHeight(int plane) => plane == 0 ? Height : (Height + 1) / 2;

    /// <summary>A plane's values, rows from the top.</summary>
    /// <param name="plane">0 is Y, 1 is U, 2 is V.</param>
    public ReadOnlySpan<byte> Plane(int plane)
    {
        var luma = Width * Height;
        var chroma = PlaneWidth(1) * PlaneHeight(1);
        return plane == 0 ? _bytes.AsSpan(0, luma) : _bytes.AsSpan(luma + (plane - 1) * chroma, chroma);
    }

    internal void CheckSameSize(YuvFrame other)
    {
        if (Width != other.Width || Height != other.Height)
        {
            throw new ArgumentException($"Frames to compare have one size, found {Width}x{Height} and {other.Width}x{other.Height}.");
        }
    }
}
