namespace NablaGen.Video.Metrics;

/// <summary>How a video looks beside a reference, and by itself.</summary>
/// <param name="Psnr">See <see cref="Metrics.Psnr"/>; null without a reference.</param>
/// <param name="Ssim">See <see cref="Metrics.Ssim"/>; null without a reference.</param>
/// <param name="Flicker">See <see cref="Metrics.Flicker"/>; null below three frames.</param>
/// <param name="PsnrByFrame">PSNR of each frame; null without a reference.</param>
/// <param name="SsimByFrame">SSIM of each frame; null without a reference.</param>
public sealed record VideoQuality(
    double? Psnr, double? Ssim, double? Flicker, IReadOnlyList<double>? PsnrByFrame, IReadOnlyList<double>? SsimByFrame)
{
    /// <summary>Measures a video as it is stored, frame by frame.</summary>
    /// <param name="path">The video.</param>
    /// <param name="reference">The video to compare it with; null for none.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <param name="cancellation">Stops between frames.</param>
    /// <exception cref="NablaGenException">A file cannot be read, or the two differ in size or number of frames.</exception>
    public static VideoQuality Measure(
        string path, string? reference = null, FfmpegTools? tools = null, CancellationToken cancellation = default)
    {
        using var video = YuvReader.Open(path, tools, cancellation);
        using var original = reference is null ? null : YuvReader.Open(reference, tools, cancellation);
        if (original is not null && Form(original) != Form(video))
        {
            throw new NablaGenException($"{path}: expected {Form(original)} as in {reference}, found {Form(video)}");
        }

        var (psnr, ssim, flicker) = (new Psnr(), new Ssim(), new Flicker());
        var (psnrs, ssims) = (new List<double>(), new List<double>());
        var frame = video.NewFrame();
        var originalFrame = original?.NewFrame();
        while (video.ReadFrame(frame))
        {
            cancellation.ThrowIfCancellationRequested();
            flicker.Add(frame);
            if (original is null)
            {
                continue;
            }

            if (!original.ReadFrame(originalFrame!))
            {
                throw new NablaGenException($"{reference}: it ends before {path}");
            }

            psnrs.Add(psnr.Add(originalFrame!, frame));
            ssims.Add(ssim.Add(originalFrame!, frame));
        }

        return original is null
            ? new VideoQuality(null, null, flicker.Value, null, null)
            : new VideoQuality(psnr.Value, ssim.Value, flicker.Value, psnrs, ssims);
    }

    private static string Form(YuvReader video) => $"{video.Info.FrameCount} frames of {video.Info.Width}x{video.Info.Height}";
}
