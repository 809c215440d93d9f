namespace NablaGen.Training.World;

/// <summary>A caption, and what one can know from it.</summary>
/// <param name="Text">The words.</param>
/// <param name="Says">What they say.</param>
public readonly record struct Caption(string Text, CaptionContent Says);
