namespace NablaGen.Training.World;

/// <summary>Draws scenes: the attributes first, each value as likely, then the numbers that fit them.</summary>
internal static class SceneSampler
{
    /// <summary>How far a shape reaches beyond its radius.</summary>
    public const double Reach = 1.25;

    // What stays free at the frame's edge: the camera's pan and a little air.
    private const double Margin = 0.12;

    // How far up and down a bounce goes: farther, it would cross its own size in a frame.
    private const double MostBounce = 0.4;

    private static readonly MotionKind[] AnyMotion = Enum.GetValues<MotionKind>();

    private static readonly MotionKind[] BesideMotion =
    [
        MotionKind.Rise, MotionKind.Fall, MotionKind.Bounce, MotionKind.Circle, MotionKind.Grow, MotionKind.Shrink, MotionKind.Spin,
        MotionKind.Still,
    ];

    private static readonly MotionKind[] StackedMotion =
    [
        MotionKind.Right, MotionKind.Left, MotionKind.Circle, MotionKind.Grow, MotionKind.Shrink, MotionKind.Spin, MotionKind.Still,
    ];

    /// <summary>Draws a scene of a split.</summary>
    public static Scene Sample(SplitMix64 random, WorldSplit split)
    {
        // More than a person would ask for: which of two is to do what is the hardest to learn.
        var two = random.Chance(0.45);
        Arrangement? arrangement = two ? random.Pick(Enum.GetValues<Arrangement>()) : null;
        SceneObject[] objects = two ? Pair(random, split, arrangement!.Value) : [Single(random, split)];
        var backdrop = random.Pick(Enum.GetValues<Backdrop>());
        return new Scene(objects, arrangement, backdrop, Camera(random), random.NextBits());
    }

    private static SceneObject Single(SplitMix64 random, WorldSplit split)
    {
        var (colour, shape, motion) = Combination(random, split, AnyMotion, null);
        ObjectSize? size = Resizes(motion) ? null : random.Pick(Enum.GetValues<ObjectSize>());
        var (start, end) = Radii(random, motion, size, 0.24, 0.33, 0.44);
        var room = Room(Math.Max(start, end));
        Place? place = StaysInPlace(motion) ? random.Pick(Enum.GetValues<Place>()) : null;
        double away = Math.Min(0.5, room) * random.Range(0.9, 1);
        double x = place switch { Place.Left => -away, Place.Right => away, _ => random.Range(-0.06, 0.06) };
        double y = place switch { Place.Top => -away, Place.Bottom => away, _ => random.Range(-0.06, 0.06) };
        switch (motion)
        {
            case MotionKind.Right or MotionKind.Left:
                y = random.Range(-0.7, 0.7) * room;
                break;
            case MotionKind.Rise or MotionKind.Fall or MotionKind.Bounce:
                x = random.Range(-0.7, 0.7) * room;
                break;
        }

        double reach = motion == MotionKind.Circle ? Math.Min(0.38, room) : motion == MotionKind.Bounce ? Math.Min(MostBounce, room) : room;
        return Make(random, shape, colour, size, motion, place, x, y, start, end, reach * random.Range(0.85, 1));
    }

    private static SceneObject[] Pair(SplitMix64 random, WorldSplit split, Arrangement arrangement)
    {
        var beside = arrangement is Arrangement.LeftOf or Arrangement.RightOf;
        var objects = new SceneObject[2];
        for (int i = 0; i < 2; i++)
        {
            MotionKind? same = i == 1 && random.Chance(0.5) ? objects[0].Motion : null;
            var (colour, shape, motion) = Combination(random, split, beside ? BesideMotion : StackedMotion, same);
            ObjectSize? size = Resizes(motion) ? null
                : motion == MotionKind.Circle ? random.Pick([ObjectSize.Small, ObjectSize.Medium])
                : random.Pick(Enum.GetValues<ObjectSize>());
            var (start, end) = Radii(random, motion, size, 0.19, 0.25, 0.32);
            double largest = Math.Max(start, end);
            bool first = (i == 0) == arrangement is Arrangement.LeftOf or Arrangement.Above;
            double lane = (first ? -0.5 : 0.5) + random.Range(-0.02, 0.02), across = random.Range(-0.05, 0.05);
            // A circle stays in its half of the frame.
            double reach = motion == MotionKind.Circle ? 0.47 - (Reach * largest) : Math.Min(Room(largest), motion == MotionKind.Bounce ? MostBounce : 0.55);
            objects[i] = Make(random, shape, colour, size, motion, null, beside ? lane : across, beside ? across : lane, start, end,
                reach * random.Range(0.88, 1));
        }

        return objects;
    }

    private static (ObjectColour Colour, ShapeKind Shape, MotionKind Motion) Combination(
        SplitMix64 random, WorldSplit split, MotionKind[] motions, MotionKind? same)
    {
        while (true)
        {
            var colour = random.Pick(Enum.GetValues<ObjectColour>());
            var shape = random.Pick(Enum.GetValues<ShapeKind>());
            var motion = same ?? random.Pick(motions);
            if (split == WorldSplit.All || HeldOutRule.IsHeldOut(colour, shape, motion) == (split == WorldSplit.HeldOut))
            {
                return (colour, shape, motion);
            }
        }
    }

    private static SceneObject Make(
        SplitMix64 random, ShapeKind shape, ObjectColour colour, ObjectSize? size, MotionKind motion, Place? place,
        double x, double y, double radius, double endRadius, double reach)
    {
        double sign = random.Chance(0.5) ? 1 : -1;
        double tilt = shape == ShapeKind.Ball ? random.Range(-0.6, 0.6) : random.Range(-0.15, 0.15) * (motion == MotionKind.Spin ? 0.3 : 1);
        double turn = motion switch
        {
            // Always clockwise and about as far: no caption says which way or how fast, and of two ways a model makes neither. A star looks the
            // same each 0.4 π: what leads or lags by half of that has its points between another's.
            MotionKind.Spin => random.Range(0.87, 0.93) * Math.PI,
            MotionKind.Circle => sign * random.Range(1.75, 2) * Math.PI,
            _ => 0,
        };
        return new SceneObject
        {
            Shape = shape,
            Colour = colour,
            Size = size,
            Motion = motion,
            Place = place,
            X = x,
            Y = y,
            Radius = radius,
            EndRadius = endRadius,
            Reach = reach,
            Tilt = shape == ShapeKind.Ring ? 0 : tilt,
            Turn = turn,
            Phase = random.NextDouble(),
            Brightness = random.Range(0.95, 1.04),
        };
    }

    private static (double Start, double End) Radii(
        SplitMix64 random, MotionKind motion, ObjectSize? size, double small, double medium, double big)
    {
        if (size is null)
        {
            double low = small * random.Range(0.75, 0.9), high = big * random.Range(0.93, 1);
            return motion == MotionKind.Grow ? (low, high) : (high, low);
        }

        double radius = size switch { ObjectSize.Small => small, ObjectSize.Medium => medium, _ => big } * random.Range(0.95, 1.05);
        return (radius, radius);
    }

    private static CameraDrift Camera(SplitMix64 random)
    {
        if (!random.Chance(0.3))
        {
            return CameraDrift.None;
        }

        double angle = random.Range(0, 2 * Math.PI), way = random.Range(0.03, 0.1), zoom = random.Chance(0.5) ? random.Range(0.94, 1.06) : 1;
        return new CameraDrift(way * Math.Cos(angle), way * Math.Sin(angle), zoom);
    }

    /// <summary>How far from the middle an object's centre may be for the object to stay in the frame.</summary>
    private static double Room(double radius) => 1 - (Reach * radius) - Margin;

    private static bool Resizes(MotionKind motion) => motion is MotionKind.Grow or MotionKind.Shrink;

    private static bool StaysInPlace(MotionKind motion) => motion is MotionKind.Still or MotionKind.Spin || Resizes(motion);
}
