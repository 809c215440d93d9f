namespace NablaGen.Training.World;

/// <summary>Where an object is at one moment, how large and how turned. Lengths in half sides, y down, angles clockwise.</summary>
internal readonly record struct Pose(double X, double Y, double Radius, double ScaleX, double ScaleY, double Angle)
{
    // From past the top to the ground and up, and down again half of the way: slow enough for latents that hold four frames each, and no
    // clip ends at the ground, its hardest moment.
    private const double Bounces = 1.2, FirstPhase = 0.6, PhaseRange = 0.03;

    // The ground is soft: in the lowest part of a fall without it, it slows an object like a spring. So the turn takes four of 33 frames: a hard
    // one lies within a latent frame, and a model of latents has learnt it last and worst.
    private const double Softness = 0.3, MostSquash = 0.14;
    private static readonly double Contact = (1 - Math.Sqrt(1 - Softness)) / 2, Stiffness = (2 * (1 - (2 * Contact))) / Contact;

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
                double squash = MostSquash * Sinking(phase);
                scaleX += squash;
                scaleY -= squash;
                y += o.Reach * (1 - (2 * Height(phase)));
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

    // How high a bounce is, 0 at its lowest to 1: a fall's parabola above the ground, joined at the same slope by a spring's below.
    private static double Height(double phase)
    {
        double d = FromGround(phase), lowest = Softness - (Stiffness * Contact * Contact);
        double height = d >= Contact ? 4 * d * (1 - d) : lowest + (Stiffness * d * d);
        return (height - lowest) / (1 - lowest);
    }

    // How far the ground gives way: 0 above it, 1 at the turn.
    private static double Sinking(double phase) => Math.Max(0, 1 - Math.Pow(FromGround(phase) / Contact, 2));

    private static double FromGround(double phase) => Math.Abs(phase - Math.Round(phase));
}
