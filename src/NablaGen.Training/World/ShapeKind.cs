namespace NablaGen.Training.World;

/// <summary>What an object is.</summary>
public enum ShapeKind
{
    /// <summary>A ball with a darker band, by which one sees it turn.</summary>
    Ball,

    /// <summary>A square with rounded corners.</summary>
    Square,

    /// <summary>An equilateral triangle, point up.</summary>
    Triangle,

    /// <summary>A star of five points.</summary>
    Star,

    /// <summary>A ring, its hole half its width.</summary>
    Ring,

    /// <summary>A heart.</summary>
    Heart,
}
