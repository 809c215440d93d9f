namespace NablaGen.Video.Pictures;

/// <summary>A picture in memory.</summary>
/// <param name="Width">Width in pixels.</param>
/// <param name="Height">Height in pixels.</param>
/// <param name="Rgb24">height × width × 3 bytes: rows from the top, pixels from the left, red, green, blue.</param>
public sealed record Picture(int Width, int Height, byte[] Rgb24);
