using SkiaSharp;

namespace NablaGen.Video.Labels;

/// <summary>The colours around labelled frames: the report's own in the dark.</summary>
internal static class LabelColours
{
    public static SKColor Background { get; } = new(0x11, 0x14, 0x1a);

    public static SKColor Text { get; } = new(0xf1, 0xf4, 0xf9);

    public static SKColor Detail { get; } = new(0x9a, 0xa6, 0xb8);
}
