using TorchSharp;

namespace NablaGen.Training.World;

/// <summary>
/// A world's clips with more of those that are hard: every other one is the fastest of three. What moves farthest from frame to frame, such
/// as a bounce at the ground, is what a VAE smears first, a transformer learns last, and both see too seldom.
/// </summary>
/// <param name="world">The world, which stays the caller's.</param>
public sealed class LivelyClips(ShapeWorld world) : IClipSource
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

    // A world's clip for each of ours; no two of ours show the same.
    private long Choose(long index) => index % 2 == 0
        ? Candidates * index
        : Enumerable.Range(0, Candidates).Select(i => Candidates * index + i).MaxBy(candidate => PeakSpeed(world.SceneAt(candidate)));
}
