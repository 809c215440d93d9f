using static TorchSharp.torch;

namespace NablaGen.Training.World;

/// <summary>The first or the second object of each clip: its numbers a frame, as tensors [B · T, …] for <see cref="SceneRenderer"/>.</summary>
internal sealed class SpriteLayer(IReadOnlyList<Scene> scenes, int index, View view, Device device)
{
    // To the light, upper left and in front; the highlight is half way to the eye.
    private const double LightX = -0.46, LightY = -0.62, LightDepth = 0.64;
    private static readonly double HalfLength = Math.Sqrt((LightX * LightX) + (LightY * LightY) + ((LightDepth + 1) * (LightDepth + 1)));

    /// <summary>The depth part of the direction to the light.</summary>
    public static float LightZ => (float)LightDepth;

    /// <summary>The depth part of the direction half way between light and eye.</summary>
    public static float HalfZ => (float)((LightDepth + 1) / HalfLength);

    /// <summary>Which picture of the atlas: [B · T] int64.</summary>
    public Tensor Shapes() => ShapeIndices(o => (long)o.Shape);

    /// <summary>From frame to picture coordinates: [B · T, 2, 3].</summary>
    public Tensor Matrices() => view.PerFrame(scenes, (scene, u) => Matrix(scene, u, PoseIn(scene, u)), device, 2, 3);

    /// <summary>How many pixels a radius has: [B · T, 1, 1, 1].</summary>
    public Tensor PixelsPerRadius() => view.PerFrame(
        scenes, (scene, u) => PoseIn(scene, u) is var p ? [p.Radius * Math.Sqrt(p.ScaleX * p.ScaleY) * View.Zoom(scene, u) * view.HalfSide] : [],
        device, 1, 1, 1);

    /// <summary>The object's colours: [B · T, 3, 1, 1].</summary>
    public Tensor Colours() => view.PerFrame(
        scenes,
        (scene, _) =>
        {
            var o = scene.Objects[index];
            var (r, g, b) = Palette.Of(o.Colour);
            return [r * o.Brightness, g * o.Brightness, b * o.Brightness];
        },
        device, 3, 1, 1);

    /// <summary>
    /// The directions to the light and half way to the eye, as the object sees them, which may be turned: x and y, [B · T, 1, 1, 1] each.
    /// </summary>
    public (Tensor LightX, Tensor LightY, Tensor HalfX, Tensor HalfY) Lights()
    {
        var all = view.PerFrame(
            scenes,
            (scene, u) =>
            {
                var (sin, cos) = Math.SinCos(PoseIn(scene, u).Angle);
                double x = (LightX * cos) + (LightY * sin), y = (LightY * cos) - (LightX * sin);
                return [x, y, x / HalfLength, y / HalfLength];
            },
            device, 4, 1, 1);
        return (all.narrow(1, 0, 1), all.narrow(1, 1, 1), all.narrow(1, 2, 1), all.narrow(1, 3, 1));
    }

    /// <summary>Which picture the shadow has: [B · T] int64. On a wall the object's own, on the ground a disc.</summary>
    public Tensor ShadowShapes() => ShapeIndices((o, backdrop) => OnGround(backdrop) ? (long)ShapeKind.Ball : (long)o.Shape);

    /// <summary>From frame to picture coordinates for the shadow: [B · T, 2, 3].</summary>
    public Tensor ShadowMatrices() => view.PerFrame(scenes, (scene, u) => Matrix(scene, u, ShadowPose(scene, u)), device, 2, 3);

    /// <summary>How dark the shadow is, 0 to 1, and how soft, in radii: two of [B · T, 1, 1, 1].</summary>
    public (Tensor Strength, Tensor Softness) Shadows()
    {
        var both = view.PerFrame(
            scenes,
            (scene, u) => scene.Backdrop switch
            {
                Backdrop.Meadow or Backdrop.Beach => [0.34 * Math.Exp(-0.9 * Gap(scene, u)), 0.5 + (0.3 * Math.Min(1, Gap(scene, u)))],
                Backdrop.White or Backdrop.Grey => [0.26, 0.34],
                // Where it is dark or nothing is near, nothing falls on it.
                _ => [0, 1],
            },
            device, 2, 1, 1);
        return (both.narrow(1, 0, 1), both.narrow(1, 1, 1));
    }

    private static bool OnGround(Backdrop backdrop) => backdrop is Backdrop.Meadow or Backdrop.Beach;

    private Tensor ShapeIndices(Func<SceneObject, Backdrop, long> shape) =>
        view.PerFrame(scenes, (scene, _) => [shape(scene.Objects[index], scene.Backdrop)], device).to(ScalarType.Int64);

    private Tensor ShapeIndices(Func<SceneObject, long> shape) => ShapeIndices((o, _) => shape(o));

    private Pose PoseIn(Scene scene, double u) => Pose.At(scene.Objects[index], u, view.HalfWidth, view.HalfHeight);

    // How high the object is above the ground, in half sides.
    private double Gap(Scene scene, double u) => Math.Max(0, GroundY - PoseIn(scene, u).Y - PoseIn(scene, u).Radius);

    private double GroundY => 0.86 * view.HalfHeight;

    private Pose ShadowPose(Scene scene, double u)
    {
        var pose = PoseIn(scene, u);
        if (!OnGround(scene.Backdrop))
        {
            return pose with { X = pose.X + (0.14 * pose.Radius), Y = pose.Y + (0.2 * pose.Radius) };
        }

        double width = 1 + (0.25 * Gap(scene, u));
        return new Pose(pose.X, GroundY, pose.Radius * width, pose.ScaleX, 0.2, 0);
    }

    // Frame coordinates (−1 to 1) → half sides → through the camera → the object's own → the picture's.
    private double[] Matrix(Scene scene, double u, Pose pose)
    {
        double zoom = View.Zoom(scene, u);
        var (panX, panY) = View.Pan(scene, u);
        var (sin, cos) = Math.SinCos(pose.Angle);
        double perX = 1 / (pose.Radius * pose.ScaleX * ShapeAtlas.Extent), perY = 1 / (pose.Radius * pose.ScaleY * ShapeAtlas.Extent);
        double offX = panX - pose.X, offY = panY - pose.Y;
        return
        [
            cos * view.HalfWidth / zoom * perX, sin * view.HalfHeight / zoom * perX, ((cos * offX) + (sin * offY)) * perX,
            -sin * view.HalfWidth / zoom * perY, cos * view.HalfHeight / zoom * perY, ((cos * offY) - (sin * offX)) * perY,
        ];
    }
}
