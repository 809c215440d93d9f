using static TorchSharp.torch;

namespace NablaGen.Training.Evaluation;

/// <summary>A clip's pixels for measuring: OKLab, and how much each belongs to an object.</summary>
/// <remarks>
/// Frames whose shorter side is above 256 pixels are averaged down to that first. A pixel belongs to an object by its vividness
/// (<see cref="HueWheel"/>): not at all below 0.35, wholly above 0.55; half way is where an edge is.
/// </remarks>
internal sealed class ClipPixels
{
    private const int LongestShortSide = 256;
    private const double None = 0.35, Whole = 0.55;

    private readonly float[] _lab;
    private readonly float[] _weight;

    /// <summary>Reads frames.</summary>
    /// <param name="frames">[3, T, H, W], a floating type, in [−1, 1].</param>
    public ClipPixels(Tensor frames)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        var rgb = frames.to(ScalarType.Float32).cpu().clamp(-1, 1).add(1).mul(0.5);
        long shorter = Math.Min(rgb.shape[2], rgb.shape[3]);
        if (shorter > LongestShortSide)
        {
            double by = LongestShortSide / (double)shorter;
            rgb = nn.functional.interpolate(
                rgb.transpose(0, 1), [(long)Math.Round(rgb.shape[2] * by), (long)Math.Round(rgb.shape[3] * by)], mode: InterpolationMode.Area).transpose(0, 1);
        }

        (Frames, Height, Width) = ((int)rgb.shape[1], (int)rgb.shape[2], (int)rgb.shape[3]);
        _lab = OkLab.FromRgb(rgb.contiguous()).data<float>().ToArray();
        _weight = new float[Frames * Height * Width];
        Parallel.For(0, Frames, t =>
        {
            for (int i = t * Height * Width; i < (t + 1) * Height * Width; i++)
            {
                double vividness = HueWheel.Vividness(_lab[_weight.Length + i], _lab[(2 * _weight.Length) + i]);
                _weight[i] = (float)Math.Clamp((vividness - None) / (Whole - None), 0, 1);
            }
        });
    }

    /// <summary>How many frames.</summary>
    public int Frames { get; }

    /// <summary>Rows.</summary>
    public int Height { get; }

    /// <summary>Columns.</summary>
    public int Width { get; }

    /// <summary>Half the shorter side, in pixels: the unit of all lengths that are measured.</summary>
    public double HalfSide => Math.Min(Height, Width) / 2.0;

    /// <summary>A frame's plane of OKLab: 0 lightness, 1 a, 2 b; rows from the top.</summary>
    public ReadOnlySpan<float> Plane(int channel, int frame) => _lab.AsSpan(((channel * Frames) + frame) * Height * Width, Height * Width);

    /// <summary>How much each pixel of a frame belongs to an object, 0 to 1.</summary>
    public ReadOnlySpan<float> Weights(int frame) => _weight.AsSpan(frame * Height * Width, Height * Width);

    /// <summary>A plane between its pixels; the pixel in column 0 has its middle at x = 0.</summary>
    public float Between(ReadOnlySpan<float> plane, double x, double y)
    {
        x = Math.Clamp(x, 0, Width - 1.001);
        y = Math.Clamp(y, 0, Height - 1.001);
        int column = (int)x, row = (int)y, at = (row * Width) + column;
        float across = (float)(x - column), down = (float)(y - row);
        float top = plane[at] + ((plane[at + 1] - plane[at]) * across);
        float bottom = plane[at + Width] + ((plane[at + Width + 1] - plane[at + Width]) * across);
        return top + ((bottom - top) * down);
    }
}
