namespace NablaGen.Video;

/// <summary>What ffprobe says of a video file's first video stream.</summary>
/// <param name="Width">Width in pixels, as it is shown: a telephone's upright video is stored lying.</param>
/// <param name="Height">Height in pixels, as it is shown.</param>
/// <param name="FrameCount">Frames, counted one by one.</param>
/// <param name="Fps">Frames a second.</param>
/// <param name="Duration">Playing time, to the millisecond.</param>
/// <param name="Codec">FFmpeg's name of the codec, such as h264.</param>
/// <param name="PixelFormat">FFmpeg's name of the pixel format, such as yuv420p.</param>
/// <param name="ColorSpace">FFmpeg's name of the matrix between RGB and YUV, such as bt709; null if the file does not say.</param>
/// <param name="FastStart">Whether it is an MP4 whose index stands before the film, so that a player can start early.</param>
/// <param name="Tags">The file's tags, such as title and comment; keys in any case.</param>
public sealed record VideoInfo(
    int Width, int Height, int FrameCount, double Fps, TimeSpan Duration, string Codec, string PixelFormat, string? ColorSpace,
    bool FastStart, IReadOnlyDictionary<string, string> Tags);
