using NablaGen.Tensors;
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

    /// <summary>Reads a clip.</summary>
    public ClipPixels(FrameBytes clip)
    {
        clip = Smaller(clip);
        (Frames, Height, Width) = (clip.Frames, clip.Height, clip.Width);
        int frame = Height * Width, plane = Frames * frame;
        var rgb = clip.Rgb;
        _lab = new float[3 * plane];
        _weight = new float[plane];
        double faint = 0.999 * None * HueWheel.LeastChroma;
        Parallel.For(0, Frames, t =>
        {
            for (int i = t * frame; i < (t + 1) * frame; i++)
            {
                var (l, a, b) = OkLab.FromRgb(rgb[i], rgb[plane + i], rgb[(2 * plane) + i]);
                (_lab[i], _lab[plane + i], _lab[(2 * plane) + i]) = (l, a, b);
                // Most pixels are a backdrop's, whose hue makes no difference.
                _weight[i] = (a * a) + (b * b) < faint * faint ? 0 : (float)Math.Clamp((HueWheel.Vividness(a, b) - None) / (Whole - None), 0, 1);
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

    private static FrameBytes Smaller(FrameBytes clip)
    {
        int shorter = Math.Min(clip.Height, clip.Width);
        if (shorter <= LongestShortSide)
        {
            return clip;
        }

        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        double by = LongestShortSide / (double)shorter;
        var frames = tensor(clip.Rgb, [3, clip.Frames, clip.Height, clip.Width]).to(ScalarType.Float32).Over(127.5).Minus(1).transpose(0, 1);
        return FrameBytes.Of(nn.functional.interpolate(
            frames, [(long)Math.Round(clip.Height * by), (long)Math.Round(clip.Width * by)], mode: InterpolationMode.Area).transpose(0, 1));
    }
}
