using NablaGen.Tensors;
using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Evaluation;

/// <summary>
/// Which backdrop a clip has: the mean OKLab colour of eight bands from top to bottom, objects and their surroundings left out, is
/// compared to those of twelve paintings of each backdrop; the nearest counts if it is within 0.07 a band.
/// </summary>
internal static class BackdropMeter
{
    private const int Bands = 8, Paintings = 12;
    private const double Farthest = 0.07;

    private static readonly Lazy<(Backdrop Backdrop, double[] Bands)[]> Known = new(() =>
    [
        .. from backdrop in Enum.GetValues<Backdrop>()
           from seed in Enumerable.Range(0, Paintings)
           select (backdrop, OfPainting(backdrop, (ulong)seed)),
    ]);

    /// <summary>The backdrop; null if it is like none.</summary>
    public static Backdrop? Measure(ClipPixels pixels)
    {
        var bands = BandsOf(pixels);
        var (backdrop, distance) = Known.Value.Select(k => (k.Backdrop, Distance(bands, k.Bands))).MinBy(k => k.Item2);
        return distance <= Farthest ? backdrop : null;
    }

    private static double[] OfPainting(Backdrop backdrop, ulong seed)
    {
        using var scope = NewDisposeScope();
        var size = new ClipSize(1, 64, 64);
        var (rows, columns) = BackdropPainter.Border(size);
        var picture = BackdropPainter.Paint(backdrop, seed, size, CPU).narrow(1, rows, 64).narrow(2, columns, 64);
        return BandsOf(new ClipPixels(FrameBytes.Of(picture.unsqueeze(1).Times(2).Minus(1))));
    }

    // [band, channel]; a band that shows nothing but objects is NaN.
    private static double[] BandsOf(ClipPixels pixels)
    {
        var sums = new double[Bands * 3];
        var counts = new int[Bands];
        for (int t = 0; t < pixels.Frames; t += 4)
        {
            for (int band = 0; band < Bands; band++)
            {
                for (int row = band * pixels.Height / Bands; row < (band + 1) * pixels.Height / Bands; row += 2)
                {
                    for (int column = 0; column < pixels.Width; column += 2)
                    {
                        if (pixels.Weights(t)[(row * pixels.Width) + column] > 0)
                        {
                            continue;
                        }

                        counts[band]++;
                        for (int channel = 0; channel < 3; channel++)
                        {
                            sums[(band * 3) + channel] += pixels.Plane(channel, t)[(row * pixels.Width) + column];
                        }
                    }
                }
            }
        }

        return [.. sums.Select((sum, i) => counts[i / 3] == 0 ? double.NaN : sum / counts[i / 3])];
    }

    // Root mean square over the bands of the distance in OKLab.
    private static double Distance(double[] one, double[] other)
    {
        double[] squares = [.. one.Zip(other, (a, b) => (a - b) * (a - b)).Where(s => !double.IsNaN(s))];
        return squares.Length == 0 ? double.MaxValue : Math.Sqrt(3 * squares.Average());
    }
}
