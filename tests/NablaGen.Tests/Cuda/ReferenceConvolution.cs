namespace NablaGen.Tests.Cuda;

/// <summary>Convolutions of frames in float64, by their definition.</summary>
internal static class ReferenceConvolution
{
    /// <summary>[frames, height, width, inputs] → [frames + missing − taps + 1, height, width, outputs]; twice the height and width where it doubles.</summary>
    public static double[] Run(
        double[] x, double[] w, double[] bias, (int Inputs, int Outputs, int Taps, int Side) kernel, (int Frames, int Height, int Width) sizes, int missing, bool doubles)
    {
        var (inputs, outputs, taps, side) = kernel;
        var scale = doubles ? 2 : 1;
        var (count, height, width) = (sizes.Frames + missing - taps + 1, sizes.Height * scale, sizes.Width * scale);
        // The input channels last here, so that the innermost sum walks both arrays in order.
        var weights = new double[w.Length];
        for (var i = 0; i < w.Length; i++)
        {
            var places = taps * side * side;
            weights[(i / places / inputs * places + i % places) * inputs + i / places % inputs] = w[i];
        }

        var y = new double[count * height * width * outputs];
        Parallel.For(0, count * height, line =>
        {
            var (frame, row) = (line / height, line % height);
            for (var column = 0; column < width; column++)
            {
                for (var output = 0; output < outputs; output++)
                {
                    var sum = bias[output];
                    for (var place = 0; place < taps * side * side; place++)
                    {
                        var (tap, i, j) = (place / side / side, row + place / side % side - side / 2, column + place % side - side / 2);
                        if (frame + tap < missing || i < 0 || j < 0 || i >= height || j >= width)
                        {
                            continue;
                        }

                        var from = (((frame + tap - missing) * sizes.Height + i / scale) * sizes.Width + j / scale) * inputs;
                        sum += Dot(x.AsSpan(from, inputs), weights.AsSpan((output * taps * side * side + place) * inputs, inputs));
                    }

                    y[(line * width + column) * outputs + output] = sum;
                }
            }
        });
        return y;
    }

    private static double Dot(ReadOnlySpan<double> a, ReadOnlySpan<double> b)
    {
        var sum = 0.0;
        for (var i = 0; i < a.Length; i++)
        {
            sum += a[i] * b[i];
        }

        return sum;
    }
}
