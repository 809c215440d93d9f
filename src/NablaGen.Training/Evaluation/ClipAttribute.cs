namespace NablaGen.Training.Evaluation;

/// <summary>What of a clip is judged.</summary>
public enum ClipAttribute
{
    /// <summary>How many objects there are.</summary>
    Count,

    /// <summary>An object's colour.</summary>
    Colour,

    /// <summary>An object's shape.</summary>
    Shape,

    /// <summary>An object's size.</summary>
    Size,

    /// <summary>What an object does.</summary>
    Motion,

    /// <summary>Where an object is.</summary>
    Place,

    /// <summary>How two objects lie to each other.</summary>
    Arrangement,

    /// <summary>What is behind the objects.</summary>
    Backdrop,

    /// <summary>Whether the picture is steady.</summary>
    Flicker,

    /// <summary>Whether an object keeps its shape's outline in every frame.</summary>
    Outline,

    /// <summary>Whether an object goes on smoothly from frame to frame.</summary>
    Jumps,

    /// <summary>Whether there is nothing as vivid as an object beside the objects.</summary>
    Ghosts,

    /// <summary>Whether the backdrop is free of blocks' edges.</summary>
    Blocks,

    /// <summary>Whether the first frame is the picture that was given.</summary>
    Picture,
}
