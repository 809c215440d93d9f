namespace NablaGen.Training.World;

/// <summary>What an object does in a clip.</summary>
public enum MotionKind
{
    /// <summary>It moves from left to right.</summary>
    Right,

    /// <summary>It moves from right to left.</summary>
    Left,

    /// <summary>It moves up.</summary>
    Rise,

    /// <summary>It moves down.</summary>
    Fall,

    /// <summary>It bounces up and down.</summary>
    Bounce,

    /// <summary>It goes round in a circle.</summary>
    Circle,

    /// <summary>It gets bigger.</summary>
    Grow,

    /// <summary>It gets smaller.</summary>
    Shrink,

    /// <summary>It turns about its middle (a ring: about its upright axis, like a coin).</summary>
    Spin,

    /// <summary>It stays as it is.</summary>
    Still,
}
