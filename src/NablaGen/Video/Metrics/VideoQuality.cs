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
        string path, string? reference = null, FfmpegTools? tools = null, CancellationToken cancellation = default) =>
        MeasureAll(reference is null ? [path] : [reference, path], tools, cancellation)[^1];

    /// <summary>Measures several videos, all beside the first. Each is decoded once, all at the same time.</summary>
    /// <param name="paths">The videos; the first, the reference, has no reference itself.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <param name="cancellation">Stops between frames.</param>
    /// <exception cref="NablaGenException">A file cannot be read, or one differs from the first in size or number of frames.</exception>
    public static IReadOnlyList<VideoQuality> MeasureAll(
        IReadOnlyList<string> paths, FfmpegTools? tools = null, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfZero(paths.Count);
        var videos = new List<Meter>();
        try
        {
            foreach (var path in paths)
            {
                videos.Add(new Meter(path, YuvReader.Open(path, tools, cancellation)));
                if (videos[^1].Form != videos[0].Form)
                {
                    throw new NablaGenException($"{path}: expected {videos[0].Form} as in {paths[0]}, found {videos[^1].Form}");
                }
            }

            while (videos[0].Read())
            {
                cancellation.ThrowIfCancellationRequested();
                foreach (var video in videos.Skip(1))
                {
                    if (!video.Read())
                    {
                        throw new NablaGenException($"{video.Path}: it ends before {paths[0]}");
                    }

                    video.Compare(videos[0]);
                }
            }

            if (videos.Skip(1).FirstOrDefault(video => video.Read()) is { } longer)
            {
                throw new NablaGenException($"{paths[0]}: it ends before {longer.Path}");
            }

            return [.. videos.Select((video, i) => video.Result(hasReference: i > 0))];
        }
        finally
        {
            videos.ForEach(video => video.Dispose());
        }
    }

    // A video while it is measured.
    private sealed class Meter(string path, YuvReader reader) : IDisposable
    {
        private readonly YuvFrame _frame = reader.NewFrame();
        private readonly Flicker _flicker = new();
        private readonly Psnr _psnr = new();
        private readonly Ssim _ssim = new();
        private readonly List<double> _psnrs = [], _ssims = [];

        public string Path => path;

        public string Form => $"{reader.Info.FrameCount} frames of {reader.Info.Width}x{reader.Info.Height}";

        public bool Read()
        {
            if (!reader.ReadFrame(_frame))
            {
                return false;
            }

            _flicker.Add(_frame);
            return true;
        }

        public void Compare(Meter reference)
        {
            _psnrs.Add(_psnr.Add(reference._frame, _frame));
            _ssims.Add(_ssim.Add(reference._frame, _frame));
        }

        public VideoQuality Result(bool hasReference) => hasReference
            ? new VideoQuality(_psnr.Value, _ssim.Value, _flicker.Value, _psnrs, _ssims)
            : new VideoQuality(null, null, _flicker.Value, null, null);

        public void Dispose() => reader.Dispose();
    }
}
