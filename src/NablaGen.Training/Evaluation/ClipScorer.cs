using NablaGen.Training.World;
using static TorchSharp.torch;

namespace NablaGen.Training.Evaluation;

/// <summary>Measures clips: which objects there are, what they look like and what they do. No model, no caption: pixels alone.</summary>
/// <remarks>
/// <para>Objects: connected pixels as vivid as the world's object colours and no backdrop is, at least 1/500 of the frame, followed from frame to
/// frame by place and colour; those seen in at least 60% of the frames count.</para>
/// <para>Shape: from the third of the frames in which the object is largest. A ring if the middle is mostly empty; else the shape whose outline
/// (distance from the middle in 72 directions, over its mean) differs least at any angle; none if that is more than 0.16.</para>
/// <para>Motion, lengths in half of the shorter side, the first that fits: circle (at least 250° around its mean place), bounce (up and down by
/// 0.25 or more, turning twice), right, left, rise, fall (0.3 that way), grow, shrink (by a factor of 1.35), spin (70° or more; a ring: narrows
/// like a coin), still (moves less than 0.2). The camera's drift is below all of them.</para>
/// <para>Every frame: the shape is laid over the object where it fits best, edges left out; at most a little of its area may be wrong, in nearly all
/// frames, and never much (<see cref="OutlineQuality"/>). Its place and area change no faster than the world's motions have it. Nothing else in
/// a frame is as vivid as an object, and the backdrop has no upright edge along the tokens' borders.</para>
/// <para>Frames above 256 pixels are scaled down. Fast motions need at least 13 frames.</para>
/// </remarks>
public static class ClipScorer
{
    // Geometric means of neighbouring sizes: for one object, for two.
    private static readonly (double Small, double Big) BordersOfOne = (0.281, 0.381), BordersOfTwo = (0.218, 0.283);

    // How far the points of each shape spread around their middle, in radii.
    private static readonly double[] Spreads = [.. Enum.GetValues<ShapeKind>().Select(SpreadOf)];

    /// <summary>The rules' number: what is measured by other rules is not to be compared.</summary>
    public const int Rules = 3;

    /// <summary>Measures a clip.</summary>
    /// <param name="frames">[3, T, H, W], a floating type, on any device; red, green, blue in [−1, 1]. Unchanged.</param>
    /// <exception cref="ArgumentException">Another shape or type, or frames smaller than 16 × 16.</exception>
    public static ClipMeasurement Measure(Tensor frames) => Measure(FrameBytes.Of(frames));

    /// <summary>Measures a clip.</summary>
    /// <param name="clip">Frames of at least 16 × 16.</param>
    /// <exception cref="ArgumentException">They are smaller.</exception>
    public static ClipMeasurement Measure(FrameBytes clip)
    {
        ArgumentNullException.ThrowIfNull(clip);
        if (Math.Min(clip.Height, clip.Width) < 16)
        {
            throw new ArgumentException($"Expected frames of at least 16x16, found {clip.Width}x{clip.Height}.", nameof(clip));
        }

        var pixels = new ClipPixels(clip);
        var tracks = ObjectTrack.Follow(pixels);
        var described = tracks.Select(track => Describe(pixels, track, tracks.Count)).ToArray();
        MeasuredObject[] objects = [.. described.Select(one => one.Object)];
        Arrangement? arrangement = objects.Length == 2 ? ArrangementOf(objects[0], objects[1]) : null;
        return new ClipMeasurement(
            objects, arrangement, BackdropMeter.Measure(pixels), FlickerMeter.Measure(pixels),
            OutlineMeter.Ghosts(pixels, [.. described.Select(one => one.Fits)]), BlockMeter.Measure(pixels, clip));
    }

    /// <summary>How one object lies to another: by the longer way between them.</summary>
    internal static Arrangement ArrangementOf(MeasuredObject one, MeasuredObject other)
    {
        double across = one.X - other.X, down = one.Y - other.Y;
        return Math.Abs(across) > Math.Abs(down) ? across < 0 ? Arrangement.LeftOf : Arrangement.RightOf
            : down < 0 ? Arrangement.Above : Arrangement.Below;
    }

    private static (MeasuredObject Object, OutlineFit?[] Fits) Describe(ClipPixels pixels, ObjectTrack track, int count)
    {
        var blobs = track.Blobs;
        var profiles = new RadialProfile[blobs.Count];
        Parallel.For(0, blobs.Count, i => profiles[i] = RadialProfile.Of(pixels, blobs[i]));
        var shape = ShapeMeter.Measure(blobs, profiles);
        var motion = MotionMeter.Measure(pixels, shape, blobs, () => SpinMeter.Spins(pixels, shape, blobs, profiles));
        double x = (2 * (blobs.Average(b => b.X) + 0.5) / pixels.Width) - 1, y = (2 * (blobs.Average(b => b.Y) + 0.5) / pixels.Height) - 1;
        var fits = OutlineMeter.Fit(pixels, shape, blobs, profiles);
        var found = new MeasuredObject(
            HueWheel.Nearest(blobs.Average(b => b.A), blobs.Average(b => b.B)), shape, SizeOf(pixels, blobs, shape, count), motion, PlaceOf(x, y), x, y,
            OutlineMeter.Measure(fits), OutlineMeter.Jump(pixels, fits, blobs));
        return (found, fits);
    }

    private static ObjectSize SizeOf(ClipPixels pixels, IReadOnlyList<Blob> blobs, ShapeKind? shape, int count)
    {
        double spread = blobs.Select(b => b.Spread(shape)).Order().ElementAt(blobs.Count / 2);
        double radius = spread / Spreads[(int)(shape ?? ShapeKind.Ball)] / pixels.HalfSide;
        var (small, big) = count > 1 ? BordersOfTwo : BordersOfOne;
        return radius < small ? ObjectSize.Small : radius > big ? ObjectSize.Big : ObjectSize.Medium;
    }

    private static Place PlaceOf(double x, double y)
    {
        const double Middle = 0.18;
        return Math.Max(Math.Abs(x), Math.Abs(y)) < Middle ? Place.Centre
            : Math.Abs(x) > Math.Abs(y) ? x < 0 ? Place.Left : Place.Right
            : y < 0 ? Place.Top : Place.Bottom;
    }

    private static double SpreadOf(ShapeKind shape)
    {
        const double Step = 0.02;
        var outline = ShapeOutline.Of(shape);
        double points = 0, middle = 0, squares = 0;
        for (double y = -1.6; y < 1.6; y += Step)
        {
            for (double x = -1.6; x < 1.6; x += Step)
            {
                if (outline.Distance(x, y) < 0)
                {
                    // The shapes are even from left to right.
                    points++;
                    middle += y;
                    squares += (x * x) + (y * y);
                }
            }
        }

        middle /= points;
        return Math.Sqrt(((squares / points) - (middle * middle)) / 2);
    }
}
