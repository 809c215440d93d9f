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
}
