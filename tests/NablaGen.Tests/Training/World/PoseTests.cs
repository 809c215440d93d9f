using NablaGen.Training.World;

namespace NablaGen.Tests.Training.World;

public class PoseTests
{
    [Theory]
    [InlineData(1.0, 1.0)]
    [InlineData(1.75, 1.0)]
    [InlineData(1.0, 1.75)]
    public void Objects_stay_in_the_frame_and_apart(double halfWidth, double halfHeight)
    {
        using var world = new ShapeWorld(WorldSplit.All, 9);
        foreach (var scene in Enumerable.Range(0, 1500).Select(i => world.SceneAt(i)))
        {
            for (double u = 0; u <= 1; u += 0.1)
            {
                var poses = scene.Objects.Select(o => Pose.At(o, u, halfWidth, halfHeight)).ToArray();
                foreach (var pose in poses)
                {
                    // A corner's reach is 1.25; a little of a corner may leave when the camera pans.
                    Assert.True(Math.Abs(pose.X) + (1.2 * pose.Radius) < halfWidth, $"{scene} at {u}");
                    Assert.True(Math.Abs(pose.Y) + (1.2 * pose.Radius) < halfHeight, $"{scene} at {u}");
                }

                if (poses is [var a, var b])
                {
                    double apart = Math.Sqrt(Math.Pow(a.X - b.X, 2) + Math.Pow(a.Y - b.Y, 2));
                    Assert.True(apart > 1.1 * (a.Radius + b.Radius), $"{scene} at {u}");
                }
            }
        }
    }

    [Fact]
    public void Each_motion_does_what_it_is_called()
    {
        using var world = new ShapeWorld(WorldSplit.All, 2);
        foreach (var o in Enumerable.Range(0, 800).SelectMany(i => world.SceneAt(i).Objects))
        {
            var path = Enumerable.Range(0, 17).Select(i => Pose.At(o, i / 16.0, 1, 1)).ToArray();
            var (first, last) = (path[0], path[^1]);
            double across = last.X - first.X, down = last.Y - first.Y;
            switch (o.Motion)
            {
                case MotionKind.Right: Assert.True(across > 0.4 && Math.Abs(down) < 1e-9); break;
                case MotionKind.Left: Assert.True(across < -0.4 && Math.Abs(down) < 1e-9); break;
                case MotionKind.Rise: Assert.True(down < -0.4 && Math.Abs(across) < 1e-9); break;
                case MotionKind.Fall: Assert.True(down > 0.4 && Math.Abs(across) < 1e-9); break;
                case MotionKind.Grow: Assert.True(last.Radius > 1.6 * first.Radius); break;
                case MotionKind.Shrink: Assert.True(last.Radius < first.Radius / 1.6); break;
                case MotionKind.Spin: Assert.True(o.Shape == ShapeKind.Ring ? path.Min(p => p.ScaleX) < 0.6 : last.Angle - first.Angle > 2); break;
                case MotionKind.Bounce: Assert.InRange(path.Zip(path[1..], path[2..]).Count(p => p.Second.Y > p.First.Y && p.Second.Y >= p.Third.Y), 1, 2); break;
                case MotionKind.Circle: Assert.Equal(o.Reach, path.Max(p => p.X) - o.X, 0.03); break;
                default: Assert.All(path, p => Assert.Equal(first, p)); break;
            }
        }
    }

    [Fact]
    public void Two_seconds_have_half_the_motion_a_frame_and_every_length_the_whole_of_it()
    {
        using var world = new ShapeWorld(WorldSplit.All, 2);
        foreach (var o in Enumerable.Range(0, 400).SelectMany(i => world.SceneAt(i).Objects))
        {
            var (one, two, three) = (Largest(17), Largest(33), Largest(49));
            // About half as far; a little more where the path turns within a frame, as at the ground.
            Assert.InRange(two, 0, (0.75 * one) + 1e-9);
            Assert.InRange(three, 0, two + 1e-9);
            // At most a seventh of the frame's height from one frame to the next.
            Assert.InRange(two, 0, 0.28);

            double Largest(int frames) => Enumerable.Range(1, frames - 1).Max(t =>
            {
                var (before, here) = (Pose.At(o, (t - 1.0) / (frames - 1), 1, 1), Pose.At(o, t / (frames - 1.0), 1, 1));
                return Math.Sqrt(Math.Pow(here.X - before.X, 2) + Math.Pow(here.Y - before.Y, 2));
            });
        }
    }

    [Fact]
    public void Hard_clips_are_faster_or_more_intricate_and_always_the_same()
    {
        using var world = new ShapeWorld(WorldSplit.All, 2);
        var hard = new HardClips(world);
        var plain = Enumerable.Range(0, 200).Average(i => HardClips.PeakSpeed(world.SceneAt(i)));
        var size = new ClipSize(1, 16, 16);
        using var clips = hard.Next(6, 3, size, TorchSharp.torch.CPU);
        Assert.Equal([hard.CaptionAt(6, 0), hard.CaptionAt(7, 0), hard.CaptionAt(8, 0)], clips.Captions);
        // Of its own three, which no other clip shows, the fastest.
        var three = Enumerable.Range(21, 3).Select(i => world.SceneAt(i)).OrderByDescending(HardClips.PeakSpeed).ToArray();
        using var fastest = world.Render([three[0]], size, TorchSharp.torch.CPU);
        Assert.True(fastest[0].equal(clips.Frames[1]).all().item<bool>());
        Assert.InRange(Enumerable.Range(0, 60).Average(i => Enumerable.Range(3 * i, 3).Max(at => HardClips.PeakSpeed(world.SceneAt(at)))), 1.2 * plain, 10 * plain);
        // And the most detailed; among many of those, stars and spins are more than a sixth and a tenth of the objects.
        var detailed = Enumerable.Range(24, 3).Select(i => world.SceneAt(i)).MaxBy(HardClips.Detail)!;
        using var picture = world.Render([detailed], size, TorchSharp.torch.CPU);
        Assert.InRange((picture[0] - clips.Frames[2]).abs().max().item<float>(), 0, 1e-5f);
        SceneObject[] objects = [.. Enumerable.Range(0, 100).SelectMany(i => Enumerable.Range(3 * i, 3).Select(at => world.SceneAt(at)).MaxBy(HardClips.Detail)!.Objects)];
        Assert.InRange(objects.Average(o => o.Shape == ShapeKind.Star ? 1.0 : 0), 0.25, 0.8);
        Assert.InRange(objects.Average(o => o.Motion == MotionKind.Spin ? 1.0 : 0), 0.2, 0.8);
    }
}
