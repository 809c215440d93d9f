namespace NablaGen.Video.Labels;

/// <summary>Reads several videos at once, a frame of each at a time: one decoding for all that shows them beside one another.</summary>
/// <remarks>Not thread-safe.</remarks>
internal sealed class LabelledReader : IDisposable
{
    private readonly List<VideoReader> _readers = [];
    private readonly byte[][] _frames;

    private LabelledReader(IReadOnlyList<LabelledVideo> videos, FfmpegTools? tools, CancellationToken cancellation)
    {
        Videos = videos;
        try
        {
            _readers.AddRange(videos.Select(video => VideoReader.Open(video.Path, tools, cancellation)));
            if (_readers.FindIndex(reader => (reader.Info.Width, reader.Info.Height) != (Info.Width, Info.Height)) is var other and >= 0)
            {
                throw new NablaGenException($"{videos[other].Path}: expected {Info.Width}x{Info.Height} as in {videos[0].Path}, "
                    + $"found {_readers[other].Info.Width}x{_readers[other].Info.Height}");
            }
        }
        catch
        {
            Dispose();
            throw;
        }

        _frames = [.. _readers.Select(reader => new byte[reader.FrameBytes])];
        FrameCount = _readers.Min(reader => reader.Info.FrameCount);
    }

    /// <summary>What is read.</summary>
    public IReadOnlyList<LabelledVideo> Videos { get; }

    /// <summary>The first video's size and rate; the size is that of all.</summary>
    public VideoInfo Info => _readers[0].Info;

    /// <summary>Frames of the shortest video: so many are read.</summary>
    public int FrameCount { get; }

    /// <summary>The number of the frames that were read last, from 0; -1 before the first.</summary>
    public int Time { get; private set; } = -1;

    /// <summary>Opens the videos.</summary>
    /// <param name="videos">The videos, of one size.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <param name="cancellation">Ends ffmpeg.</param>
    /// <exception cref="NablaGenException">A video cannot be read or is of another size.</exception>
    public static LabelledReader Open(IReadOnlyList<LabelledVideo> videos, FfmpegTools? tools = null, CancellationToken cancellation = default)
    {
        ArgumentOutOfRangeException.ThrowIfZero(videos.Count);
        return new LabelledReader(videos, tools, cancellation);
    }

    /// <summary>Reads the next frame of each video. False at the end of the shortest.</summary>
    /// <exception cref="NablaGenException">ffmpeg cannot decode a video.</exception>
    public bool Read()
    {
        if (Time + 1 == FrameCount)
        {
            return false;
        }

        for (var i = 0; i < _readers.Count; i++)
        {
            _readers[i].ReadFrame(_frames[i]);
        }

        Time++;
        return true;
    }

    /// <summary>A video's frame of this moment: [height, width, 3]. Valid until the next <see cref="Read"/>.</summary>
    public ReadOnlySpan<byte> Frame(int video) => _frames[video];

    /// <summary>The frames of a video, all in all.</summary>
    public int FramesOf(int video) => _readers[video].Info.FrameCount;

    /// <summary>Ends ffmpeg.</summary>
    public void Dispose() => _readers.ForEach(reader => reader.Dispose());
}
