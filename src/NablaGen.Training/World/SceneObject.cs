namespace NablaGen.Training.World;

/// <summary>One object of a scene: what a caption may say of it, and the numbers that its picture needs.</summary>
/// <remarks>
/// Lengths are in half sides: half the frame's shorter side. <see cref="X"/> and <see cref="Y"/> are parts of half the width and half
/// the height (−1 left and top, 1 right and bottom), so that a scene fills a frame of any shape.
/// </remarks>
public sealed record SceneObject
{
    /// <summary>What it is.</summary>
    public required ShapeKind Shape { get; init; }

    /// <summary>Its colour.</summary>
    public required ObjectColour Colour { get; init; }

    /// <summary>Its size; null where it grows or shrinks, as it then has several.</summary>
    public required ObjectSize? Size { get; init; }

    /// <summary>What it does.</summary>
    public required MotionKind Motion { get; init; }

    /// <summary>Where it is; null where it moves about or is one of two.</summary>
    public required Place? Place { get; init; }

    /// <summary>Its place, or the middle of its path, across: −1 left to 1 right.</summary>
    public required double X { get; init; }

    /// <summary>Its place, or the middle of its path, down: −1 top to 1 bottom.</summary>
    public required double Y { get; init; }

    /// <summary>Its radius in half sides at the start.</summary>
    public required double Radius { get; init; }

    /// <summary>Its radius in half sides at the end.</summary>
    public required double EndRadius { get; init; }

    /// <summary>
    /// How far its path reaches from its middle: parts of half the width or height for straight paths, half sides for circles and bounces.
    /// </summary>
    public required double Reach { get; init; }

    /// <summary>Its angle at the start, in radians clockwise.</summary>
    public required double Tilt { get; init; }

    /// <summary>How far it turns (a spin) or goes round (a circle) in the clip, in radians clockwise.</summary>
    public required double Turn { get; init; }

    /// <summary>Where in its round it starts, in [0, 1); how much it speeds up and slows down on a straight path.</summary>
    public required double Phase { get; init; }

    /// <summary>A factor on its brightness, near 1.</summary>
    public required double Brightness { get; init; }
}
