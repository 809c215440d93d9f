namespace NablaGen.Video.Metrics;

/// <summary>
/// Peak signal-to-noise ratio of yuv420p videos in dB, as ffmpeg's <c>psnr</c> filter has it: the squared errors of all three planes are
/// averaged over all their values, so luma counts for two thirds; the video's value comes from the mean error over its frames.
/// </summary>
public sealed class Psnr
{
    private double _sum;
    private int _frames;

    /// <summary>The value over all frames so far: infinite where they are equal.</summary>
    public double Value => Decibels(_sum / _frames);

    /// <summary>Adds a pair of frames.</summary>
    /// <returns>The pair's own value.</returns>
    public double Add(YuvFrame reference, YuvFrame frame)
    {
        reference.CheckSameSize(frame);
        var error = 0L;
        for (var i = 0; i < reference.Bytes.Length; i++)
        {
            var difference = reference.Bytes[i] - frame.Bytes[i];
            error += difference * difference;
        }

        var mean = (double)error / reference.Bytes.Length;
        _sum += mean;
        _frames++;
        return Decibels(mean);
    }

    private static double Decibels(double squaredError) => 10 * Math.Log10(255.0 * 255.0 / squaredError);
}
