using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>
/// How far an object turns. An outline that is no circle is turned against that of the frame before, by at most 30°; a ball is followed by its
/// band, a ring by how narrow it gets.
/// </summary>
internal static class SpinMeter
{
    private const double MostPerFrame = 30 * Math.PI / 180;

    // Lightness by which a band must stand out, and how narrow and wide a ring gets that turns like a coin.
    private const double LeastBand = 0.012, Narrow = 0.65, Wide = 0.85;

    /// <summary>Whether it turns at least 70°, or like a coin.</summary>
    public static bool Spins(ClipPixels pixels, ShapeKind? shape, IReadOnlyList<Blob> blobs, IReadOnlyList<RadialProfile> profiles) => shape switch
    {
        ShapeKind.Ring => LikeACoin(blobs),
        ShapeKind.Ball => Math.Abs(BandTurn(pixels, blobs, profiles)) >= 70 * Math.PI / 180,
        _ => Math.Abs(Enumerable.Range(1, profiles.Count - 1).Sum(i => profiles[i].TurnFrom(profiles[i - 1], MostPerFrame))) >= 70 * Math.PI / 180,
    };

    private static bool LikeACoin(IReadOnlyList<Blob> blobs)
    {
        var ratios = blobs.Select(b => b.SpreadX / Math.Max(1e-6, b.SpreadY)).Order().ToArray();
        return ratios[1] < Narrow && ratios[^2] > Wide;
    }

    // The lightness inside, less its mean over the clip: what is left turns with the object. A band is the same turned by half.
    private static double BandTurn(ClipPixels pixels, IReadOnlyList<Blob> blobs, IReadOnlyList<RadialProfile> profiles)
    {
        const int Rings = 6, Directions = 48;
        var patches = new double[blobs.Count][];
        for (int t = 0; t < blobs.Count; t++)
        {
            var light = pixels.Plane(0, blobs[t].Frame);
            patches[t] = new double[Rings * Directions];
            for (int i = 0; i < patches[t].Length; i++)
            {
                double r = (0.25 + (0.1 * (i / Directions))) * profiles[t].MeanRadius, angle = 2 * Math.PI * (i % Directions) / Directions;
                patches[t][i] = pixels.Between(light, blobs[t].X + (r * Math.Cos(angle)), blobs[t].Y + (r * Math.Sin(angle)));
            }
        }

        double turn = 0, strength = 0, last = double.NaN;
        for (int t = 0; t < patches.Length; t++)
        {
            double re = 0, im = 0;
            for (int i = 0; i < patches[t].Length; i++)
            {
                double angle = 4 * Math.PI * (i % Directions) / Directions, left = patches[t][i] - patches.Average(p => p[i]);
                re += left * Math.Cos(angle) / patches[t].Length;
                im += left * Math.Sin(angle) / patches[t].Length;
            }

            double phase = Math.Atan2(im, re);
            strength += Math.Sqrt((re * re) + (im * im)) / patches.Length;
            turn += double.IsNaN(last) ? 0 : Math.IEEERemainder(phase - last, 2 * Math.PI) / 2;
            last = phase;
        }

        return strength < LeastBand ? 0 : turn;
    }
}
