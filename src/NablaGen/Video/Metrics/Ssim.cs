namespace NablaGen.Video.Metrics;

/// <summary>
/// Structural similarity of yuv420p videos, at most 1, as ffmpeg's <c>ssim</c> filter has it: windows of 8 × 8 values, one every 4 values,
/// all of one weight; planes are weighted by their size, frames are averaged.
/// </summary>
/// <remarks>
/// Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", 2004, with K₁ = 0.01, K₂ = 0.03. The values
/// are those of the filter's C code; its SSE code may differ where the width is not a multiple of 32.
/// </remarks>
public sealed class Ssim
{
    /// <summary>The least width and height: the chroma planes have to hold a window.</summary>
    public const int MinSide = 15;

    private const int Block = 4;
    private const double WindowValues = 64;

    // The filter adds K₁² L² · 64 to products of sums over 64 values, which have a factor of 64²: its C₁ is the paper's over 64.
    private const double C1 = 0.01 * 0.01 * 255 * 255 / WindowValues;
    private const double C2 = 0.03 * 0.03 * 255 * 255;

    private double _sum;
    private int _frames;

    /// <summary>The mean over all frames so far.</summary>
    public double Value => _sum / _frames;

    /// <summary>Adds a pair of frames.</summary>
    /// <returns>The pair's own value.</returns>
    /// <exception cref="ArgumentException">Their sizes differ, or a side is below <see cref="MinSide"/>.</exception>
    public double Add(YuvFrame reference, YuvFrame frame)
    {
        reference.CheckSameSize(frame);
        if (Math.Min(frame.Width, frame.Height) < MinSide)
        {
            throw new ArgumentException($"SSIM needs frames of {MinSide}x{MinSide} or more, found {frame.Width}x{frame.Height}.", nameof(frame));
        }

        var value = 0.0;
        for (var plane = 0; plane < YuvFrame.Planes; plane++)
        {
            var weight = (double)frame.Plane(plane).Length / frame.Bytes.Length;
            value += weight * OfPlane(reference.Plane(plane), frame.Plane(plane), frame.PlaneWidth(plane), frame.PlaneHeight(plane));
        }

        _sum += value;
        _frames++;
        return value;
    }

    // A window is 2 × 2 blocks, so each block's sums are taken once and used in four windows.
    private static double OfPlane(ReadOnlySpan<byte> x, ReadOnlySpan<byte> y, int width, int height)
    {
        var (columns, rows) = (width / Block, height / Block);
        var (above, here) = (new Sums[columns], new Sums[columns]);
        var total = 0.0;
        for (var row = 0; row < rows; row++)
        {
            (above, here) = (here, above);
            for (var column = 0; column < columns; column++)
            {
                here[column] = Sums.OfBlock(x, y, row * Block * width + column * Block, width);
                if (row > 0 && column > 0)
                {
                    total += OfWindow(above[column - 1] + above[column] + here[column - 1] + here[column]);
                }
            }
        }

        return total / ((double)(rows - 1) * (columns - 1));
    }

    private static double OfWindow(Sums sums)
    {
        var (meanX, meanY) = (sums.X / WindowValues, sums.Y / WindowValues);
        // Variances are the sample's, over n − 1 values.
        var variances = (sums.Squares - WindowValues * (meanX * meanX + meanY * meanY)) / (WindowValues - 1);
        var covariance = (sums.Products - WindowValues * meanX * meanY) / (WindowValues - 1);
        return (2 * meanX * meanY + C1) * (2 * covariance + C2) / ((meanX * meanX + meanY * meanY + C1) * (variances + C2));
    }

    // Over some values: Σx, Σy, Σ(x² + y²), Σxy.
    private readonly record struct Sums(int X, int Y, int Squares, int Products)
    {
        public static Sums operator +(Sums a, Sums b) => new(a.X + b.X, a.Y + b.Y, a.Squares + b.Squares, a.Products + b.Products);

        public static Sums OfBlock(ReadOnlySpan<byte> x, ReadOnlySpan<byte> y, int start, int width)
        {
            var (sumX, sumY, squares, products) = (0, 0, 0, 0);
            for (var row = 0; row < Block; row++, start += width)
            {
                for (var i = start; i < start + Block; i++)
                {
                    int a = x[i], b = y[i];
                    sumX += a;
                    sumY += b;
                    squares += a * a + b * b;
                    products += a * b;
                }
            }

            return new Sums(sumX, sumY, squares, products);
        }
    }
}
