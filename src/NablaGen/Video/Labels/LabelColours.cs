using SixLabors.ImageSharp.PixelFormats;

namespace NablaGen.Video.Labels;

/// <summary>The colours around labelled frames: the report's own in the dark.</summary>
internal static class LabelColours
{
    public static Rgb24 Background { get; } = new(0x11, 0x14, 0x1a);

    public static Rgb24 Text { get; } = new(0xf1, 0xf4, 0xf9);

    public static Rgb24 Detail { get; } = new(0x9a, 0xa6, 0xb8);
}
