using TorchSharp;

namespace NablaGen.Training.World;

/// <summary>
/// A world's clips with more of those that are hard: of three, one is drawn as ever, one is the fastest of three and one the most detailed
/// of three. What moves farthest from frame to frame, such as a bounce at the ground, is what a VAE smears first; the points of a small star
/// that spins are what a transformer learns last.
/// </summary>
/// <param name="world">The world, which stays the caller's.</param>
public sealed class HardClips(ShapeWorld world) : IClipSource
{
    private const int Candidates = 3, Moments = 33;

    /// <inheritdoc/>
    public ClipBatch Next(long firstIndex, int count, ClipSize size, torch.Device device)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        long[] chosen = [.. Enumerable.Range(0, count).Select(i => Choose(firstIndex + i))];
        return new ClipBatch(world.Render([.. chosen.Select(world.SceneAt)], size, device), [.. chosen.Select(index => world.CaptionAt(index))]);
    }

    /// <inheritdoc/>
    public string CaptionAt(long index, int wording) => world.CaptionAt(Choose(index), wording);

    /// <summary>How fast a scene's fastest object is at its fastest, in half sides a clip: its middle, its edge as it turns, and its size.</summary>
    internal static double PeakSpeed(Scene scene) => scene.Objects.Max(o => Enumerable.Range(1, Moments - 1).Max(i =>
    {
        var (before, after) = (Pose.At(o, (i - 1.0) / (Moments - 1), 1, 1), Pose.At(o, i / (Moments - 1.0), 1, 1));
        var way = Math.Sqrt(Math.Pow(after.X - before.X, 2) + Math.Pow(after.Y - before.Y, 2));
        return (Moments - 1) * (way + Math.Abs(after.Angle - before.Angle) * after.Radius + Math.Abs(after.Radius - before.Radius));
    }));

    /// <summary>
    /// How much a scene's most intricate object asks of its outline: how far the outline is from round, more the farther it turns, and more where
    /// few patches hold it. The fastest clips alone would have no spins: a bounce is five times as fast.
    /// </summary>
    internal static double Detail(Scene scene) => scene.Objects.Max(o =>
        Relief(o.Shape) * (1 + (o.Motion == MotionKind.Spin ? Math.Abs(o.Turn) : 0)) / Math.Sqrt(Math.Min(o.Radius, o.EndRadius)));

    // How far an outline's edge goes in and out on the way round, by its corners: what is round looks the same at any angle.
    private static double Relief(ShapeKind shape) => shape switch
    {
        ShapeKind.Star => 0.9,
        ShapeKind.Triangle => 0.5,
        ShapeKind.Heart => 0.5,
        ShapeKind.Square => 0.4,
        _ => 0.1,
    };

    // A world's clip for each of ours; no two of ours show the same.
    private long Choose(long index) => (index % 3) switch
    {
        0 => Candidates * index,
        1 => BestOf(index, PeakSpeed),
        _ => BestOf(index, Detail),
    };

    private long BestOf(long index, Func<Scene, double> measure) =>
        Enumerable.Range(0, Candidates).Select(i => (Candidates * index) + i).MaxBy(candidate => measure(world.SceneAt(candidate)));
}
