namespace NablaGen.Training.World;

/// <summary>Where an object is at one moment, how large and how turned. Lengths in half sides, y down, angles clockwise.</summary>
internal readonly record struct Pose(double X, double Y, double Radius, double ScaleX, double ScaleY, double Angle)
{
    // From just past the top to the ground and up, and down again most of the way: slow enough for latents that hold four frames each, and no
    // clip ends at the ground, its hardest moment.
    private const double Bounces = 1.35, FirstPhase = 0.54, PhaseRange = 0.03;

    /// <summary>An object's pose.</summary>
    /// <param name="o">The object.</param>
    /// <param name="u">The time: 0 at the first frame, 1 at the last.</param>
    /// <param name="halfWidth">Half the frame's width, in half sides; at least 1.</param>
    /// <param name="halfHeight">Half the frame's height, in half sides; at least 1.</param>
    public static Pose At(SceneObject o, double u, double halfWidth, double halfHeight)
    {
        double x = o.X * halfWidth, y = o.Y * halfHeight, scaleX = 1, scaleY = 1, angle = o.Tilt;
        // Growth by equal factors looks even.
        double radius = o.Radius * Math.Pow(o.EndRadius / o.Radius, u);
        // From −1 to 1, sped up and slowed down a little.
        double along = (2 * (u + (0.6 * o.Phase * ((u * u * (3 - (2 * u))) - u)))) - 1;
        switch (o.Motion)
        {
            case MotionKind.Right or MotionKind.Left:
                double across = (o.Motion == MotionKind.Right ? along : -along) * o.Reach * halfWidth;
                x += across;
                // A ball rolls; the others lean into the way.
                angle += o.Shape == ShapeKind.Ball ? across / radius : 0;
                break;
            case MotionKind.Rise:
                y -= along * o.Reach * halfHeight;
                break;
            case MotionKind.Fall:
                // It falls faster and faster.
                y += ((2 * ((0.45 * u) + (0.55 * u * u))) - 1) * o.Reach * halfHeight;
                break;
            case MotionKind.Bounce:
                double phase = (Bounces * u) + FirstPhase + (PhaseRange * o.Phase);
                double f = phase - Math.Floor(phase), height = 4 * f * (1 - f);
                double squash = 0.14 * Math.Max(0, 1 - (height / 0.2));
                scaleX += squash;
                scaleY -= squash;
                y += (o.Reach * (1 - (2 * height))) + (squash * radius);
                break;
            case MotionKind.Circle:
                double way = (2 * Math.PI * o.Phase) + (o.Turn * u);
                x += o.Reach * Math.Cos(way);
                y += o.Reach * Math.Sin(way);
                break;
            case MotionKind.Spin when o.Shape == ShapeKind.Ring:
                // Turned in its plane, a ring looks the same: it turns like a coin, never quite edge on.
                double c = Math.Cos(o.Turn * u);
                scaleX = Math.Sqrt(0.16 + (0.84 * c * c));
                break;
            case MotionKind.Spin:
                angle += o.Turn * u;
                break;
        }

        return new Pose(x, y, radius, scaleX, scaleY, angle);
    }
}
