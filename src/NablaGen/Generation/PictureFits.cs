using NablaGen.Video.Pictures;

namespace NablaGen.Generation;

/// <summary>How a picture of another aspect than the video's becomes a frame of it.</summary>
public static class PictureFits
{
    /// <summary>What stands over on two sides is cut off.</summary>
    public const string Crop = "crop";

    /// <summary>Black bars on two sides.</summary>
    public const string Pad = "pad";

    /// <summary>The picture takes the video's aspect.</summary>
    public const string Stretch = "stretch";

    /// <summary>The names.</summary>
    public static IReadOnlyCollection<string> Names { get; } = [Crop, Pad, Stretch];

    /// <summary>What a picture shows of itself in a video's aspect, in its own resolution.</summary>
    /// <param name="picture">The picture.</param>
    /// <param name="fit">One of <see cref="Names"/>.</param>
    /// <param name="width">Width of the video.</param>
    /// <param name="height">Height of the video.</param>
    public static Picture Apply(Picture picture, string fit, int width, int height) => fit switch
    {
        Crop => PictureScaling.Crop(picture, width, height),
        Pad => PictureScaling.Pad(picture, width, height),
        Stretch => picture,
        _ => throw new ArgumentOutOfRangeException(nameof(fit)),
    };
}
