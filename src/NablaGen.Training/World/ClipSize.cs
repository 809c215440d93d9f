namespace NablaGen.Training.World;

/// <summary>A clip's size.</summary>
/// <param name="Frames">How many frames; 4n + 1 for the VAE.</param>
/// <param name="Height">Rows of pixels.</param>
/// <param name="Width">Columns of pixels.</param>
public readonly record struct ClipSize(int Frames, int Height, int Width);
