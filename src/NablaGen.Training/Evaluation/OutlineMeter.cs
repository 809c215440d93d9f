using NablaGen.Training.World;

namespace NablaGen.Training.Evaluation;

/// <summary>Whether an object keeps its shape in every frame, and whether it jumps from one to the next.</summary>
internal static class OutlineMeter
{
    // Half way from the backdrops' vividness to the objects': fainter ones are a backdrop's own, such as a sunset's.
    private const float Vivid = 0.5f;

    // A frame fits up to here; of a small object a pixel is a larger part. In parts of the shape's area, and those times its radius in pixels.
    private const double Fits = 0.02, FitsPixels = 0.3;

    /// <summary>The shape over an object, by frame of the clip; null where it was not found.</summary>
    public static OutlineFit?[] Fit(ClipPixels pixels, ShapeKind? shape, IReadOnlyList<Blob> blobs, IReadOnlyList<RadialProfile> profiles)
    {
        var fits = new OutlineFit?[pixels.Frames];
        Parallel.For(0, blobs.Count, i =>
        {
            // What is like no shape is compared with the one that it is least unlike.
            var kind = shape ?? Enum.GetValues<ShapeKind>().MinBy(profiles[i].Unlike);
            fits[blobs[i].Frame] = OutlineFit.Of(pixels, blobs[i], kind, profiles[i]);
        });
        return fits;
    }

    /// <summary>The outline over all frames of the clip: one without the object does not fit at all.</summary>
    public static OutlineQuality Measure(IReadOnlyList<OutlineFit?> fits)
    {
        double[] misfits = [.. fits.Select(fit => fit?.Misfit ?? 1)];
        int fitting = fits.Count(fit => fit is not null && fit.Misfit <= Fits + (FitsPixels / fit.Radius));
        return new OutlineQuality(fitting / (double)misfits.Length, misfits.Max(), Array.IndexOf(misfits, misfits.Max()));
    }

    /// <summary>
    /// The largest jump: how far the object's way in a frame is from that in the frame before (half sides), or how much its area changes (its
    /// logarithm), each over the most that the world's own motions have at so many frames. 1 or less is smooth.
    /// </summary>
    public static double Jump(ClipPixels pixels, IReadOnlyList<OutlineFit?> fits, IReadOnlyList<Blob> blobs)
    {
        // A bounce turns round at the ground, and a ring that turns like a coin gets narrow: the fastest there is.
        double mostTurn = 0.06 + (13.0 / Math.Max(1, pixels.Frames - 1)), mostGrowth = 0.1 + (4.0 / Math.Max(1, pixels.Frames - 1)), worst = 0;
        for (int i = 1; i < blobs.Count; i++)
        {
            var (before, here) = (fits[blobs[i - 1].Frame]!, fits[blobs[i].Frame]!);
            worst = Math.Max(worst, Math.Abs(Math.Log(blobs[i].Area / blobs[i - 1].Area)) / mostGrowth);
            if (i > 1 && fits[blobs[i - 2].Frame] is { } first)
            {
                double x = here.X - (2 * before.X) + first.X, y = here.Y - (2 * before.Y) + first.Y;
                worst = Math.Max(worst, Math.Sqrt((x * x) + (y * y)) / pixels.HalfSide / mostTurn);
            }
        }

        return worst;
    }

    /// <summary>The largest part of a frame that is as vivid as an object and belongs to none.</summary>
    public static double Ghosts(ClipPixels pixels, IReadOnlyList<OutlineFit?[]> objects)
    {
        var parts = new double[pixels.Frames];
        Parallel.For(0, pixels.Frames, t =>
        {
            OutlineFit[] here = [.. objects.Select(fits => fits[t]).OfType<OutlineFit>()];
            var weights = pixels.Weights(t);
            for (int i = 0; i < weights.Length; i++)
            {
                if (weights[i] >= Vivid && Array.TrueForAll(here, fit => fit.IsOutside(i % pixels.Width, i / pixels.Width)))
                {
                    parts[t]++;
                }
            }

            parts[t] /= weights.Length;
        });
        return parts.Max();
    }
}
