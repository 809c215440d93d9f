using System.Globalization;

namespace NablaGen.Training.World;

/// <summary>A clip's size.</summary>
/// <param name="Frames">How many frames; 4n + 1 for the VAE.</param>
/// <param name="Height">Rows of pixels.</param>
/// <param name="Width">Columns of pixels.</param>
public readonly record struct ClipSize(int Frames, int Height, int Width)
{
    /// <summary>Reads <c>320x192</c> or <c>320x192x33</c>: width, height and perhaps frames.</summary>
    /// <param name="text">The text.</param>
    /// <param name="frames">The frames of a text that names none.</param>
    /// <exception cref="InvalidRequestException">It is no such text.</exception>
    public static ClipSize Parse(string text, int frames)
    {
        ArgumentNullException.ThrowIfNull(text);
        int[] sides = [.. text.Split('x').Select(part => int.TryParse(part, NumberStyles.None, CultureInfo.InvariantCulture, out var side) ? side : 0)];
        return sides.Length is 2 or 3 && sides.All(side => side > 0)
            ? new ClipSize(sides.Length == 3 ? sides[2] : frames, sides[1], sides[0])
            : throw new InvalidRequestException($"size '{text}': expected width and height, and frames if they differ, such as 320x192 or 320x192x17");
    }

    /// <inheritdoc/>
    public override string ToString() => $"{Width}x{Height}x{Frames}";
}
