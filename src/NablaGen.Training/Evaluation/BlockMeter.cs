namespace NablaGen.Training.Evaluation;

/// <summary>
/// The sharpest upright edge along the borders of a transformer's tokens, where blocks of tokens that attention left out end: no backdrop has an
/// upright edge. Lightness from one column to the next, less the slope beside it, the median over 16 rows without objects.
/// </summary>
internal static class BlockMeter
{
    // Pixels a token in the model in the box and in Wan2.1: 2 × 2 latents of 8 × 8.
    private const int Token = 16;

    // How far from an object an edge is none of it: its soft edge and shadow.
    private const int Margin = 4;

    /// <summary>The sharpest edge, of 1 from black to white; 0 where frames were made smaller or there is nothing to see.</summary>
    /// <param name="pixels">The clip.</param>
    /// <param name="clip">The same as bytes.</param>
    public static double Measure(ClipPixels pixels, FrameBytes clip)
    {
        if (pixels.Width != clip.Width || clip.Width < 2 * Token)
        {
            return 0;
        }

        var worst = new double[pixels.Frames];
        Parallel.For(0, pixels.Frames, t =>
        {
            var light = pixels.Plane(0, t);
            var weights = pixels.Weights(t);
            var steps = new List<double>(Token);
            for (int x = Token; x + Token <= pixels.Width; x += Token)
            {
                for (int top = 0; top + Token <= pixels.Height; top += Token)
                {
                    steps.Clear();
                    for (int row = top; row < top + Token; row++)
                    {
                        int at = (row * pixels.Width) + x;
                        if (weights.Slice(at - Margin, 2 * Margin).ContainsAnyExceptInRange(0f, 0.02f))
                        {
                            continue;
                        }

                        double slope = (light[at + 1] - light[at] + light[at - 1] - light[at - 2]) / 2;
                        steps.Add(light[at] - light[at - 1] - slope);
                    }

                    // Where most rows show an object there is no telling.
                    if (steps.Count >= Token - Margin)
                    {
                        steps.Sort();
                        worst[t] = Math.Max(worst[t], Math.Abs(steps[steps.Count / 2]));
                    }
                }
            }
        });
        return worst.Max();
    }
}
