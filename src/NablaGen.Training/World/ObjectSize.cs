namespace NablaGen.Training.World;

/// <summary>How large an object is.</summary>
public enum ObjectSize
{
    /// <summary>A radius of 0.24 half sides (0.19 where there are two objects).</summary>
    Small,

    /// <summary>A radius of 0.33 half sides (0.25 where there are two objects).</summary>
    Medium,

    /// <summary>A radius of 0.44 half sides (0.32 where there are two objects).</summary>
    Big,
}
