namespace NablaGen.Training.World;

/// <summary>What a caption is sure to say; of two objects, what it says of both.</summary>
[Flags]
public enum CaptionContent
{
    /// <summary>Nothing of what the clip shows.</summary>
    None = 0,

    /// <summary>What the objects are.</summary>
    Shapes = 1,

    /// <summary>Their colours.</summary>
    Colours = 2,

    /// <summary>What they do.</summary>
    Motions = 4,

    /// <summary>Which of two is on which side.</summary>
    Sides = 8,
}
