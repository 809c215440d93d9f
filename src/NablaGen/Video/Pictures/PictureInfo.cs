namespace NablaGen.Video.Pictures;

/// <summary>What a picture file says of itself in its head.</summary>
/// <param name="Format">The format's name: PNG, JPEG, Webp or BMP.</param>
/// <param name="Width">Width in pixels, the right way up.</param>
/// <param name="Height">Height in pixels, the right way up.</param>
public sealed record PictureInfo(string Format, int Width, int Height);
