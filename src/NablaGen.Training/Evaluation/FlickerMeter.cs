namespace NablaGen.Training.Evaluation;

/// <summary>
/// How much the backdrop flickers: the lightness (OKLab, 0 to 1) of cells of 16 × 16 a frame, where no object is in three frames
/// running; how far the middle frame is from the mean of its neighbours, root mean square. What drifts evenly does not count.
/// </summary>
internal static class FlickerMeter
{
    private const int Cells = 16;

    /// <summary>The flicker; 0 for fewer than three frames.</summary>
    public static double Measure(ClipPixels pixels)
    {
        var light = Enumerable.Range(0, pixels.Frames).Select(t => CellsOf(pixels, t)).ToArray();
        double sum = 0;
        int count = 0;
        for (int t = 1; t + 1 < pixels.Frames; t++)
        {
            for (int cell = 0; cell < Cells * Cells; cell++)
            {
                double off = light[t][cell] - ((light[t - 1][cell] + light[t + 1][cell]) / 2);
                if (!double.IsNaN(off))
                {
                    sum += off * off;
                    count++;
                }
            }
        }

        return count == 0 ? 0 : Math.Sqrt(sum / count);
    }

    // Mean lightness a cell; NaN where an object is, in or next to it.
    private static double[] CellsOf(ClipPixels pixels, int frame)
    {
        var light = pixels.Plane(0, frame);
        var weights = pixels.Weights(frame);
        var sums = new double[Cells * Cells];
        var counts = new int[Cells * Cells];
        var taken = new bool[Cells * Cells];
        for (int i = 0; i < light.Length; i++)
        {
            int cell = (i / pixels.Width * Cells / pixels.Height * Cells) + (i % pixels.Width * Cells / pixels.Width);
            sums[cell] += light[i];
            counts[cell]++;
            taken[cell] |= weights[i] > 0.1f;
        }

        return
        [
            .. sums.Select((sum, i) =>
            {
                bool near = false;
                for (int row = Math.Max(0, (i / Cells) - 1); row <= Math.Min(Cells - 1, (i / Cells) + 2); row++)
                {
                    for (int column = Math.Max(0, (i % Cells) - 1); column <= Math.Min(Cells - 1, (i % Cells) + 1); column++)
                    {
                        near |= taken[(row * Cells) + column];
                    }
                }

                return near || counts[i] == 0 ? double.NaN : sum / counts[i];
            }),
        ];
    }
}
