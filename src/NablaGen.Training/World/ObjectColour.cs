namespace NablaGen.Training.World;

/// <summary>An object's colour: eight vivid hues, at least 30° apart in OKLab.</summary>
public enum ObjectColour
{
    /// <summary>Red.</summary>
    Red,

    /// <summary>Orange.</summary>
    Orange,

    /// <summary>Yellow.</summary>
    Yellow,

    /// <summary>Green.</summary>
    Green,

    /// <summary>Teal.</summary>
    Teal,

    /// <summary>Blue.</summary>
    Blue,

    /// <summary>Purple.</summary>
    Purple,

    /// <summary>Pink.</summary>
    Pink,
}
