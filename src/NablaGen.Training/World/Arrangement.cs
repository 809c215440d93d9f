namespace NablaGen.Training.World;

/// <summary>How two objects lie to each other; the first is named first.</summary>
public enum Arrangement
{
    /// <summary>The first is to the left of the second.</summary>
    LeftOf,

    /// <summary>The first is to the right of the second.</summary>
    RightOf,

    /// <summary>The first is above the second.</summary>
    Above,

    /// <summary>The first is below the second.</summary>
    Below,
}
