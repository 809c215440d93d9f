namespace NablaGen.Training.World;

/// <summary>Where an object that stays in its place is.</summary>
public enum Place
{
    /// <summary>In the middle.</summary>
    Centre,

    /// <summary>To the left of the middle.</summary>
    Left,

    /// <summary>To the right of the middle.</summary>
    Right,

    /// <summary>Above the middle.</summary>
    Top,

    /// <summary>Below the middle.</summary>
    Bottom,
}
