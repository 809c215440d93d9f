namespace NablaGen.Video.Labels;

/// <summary>Several videos as one: up to three in a row, more in a grid, each under its label.</summary>
public sealed class SideBySideVideo : IDisposable
{
    private const int Gap = 8;
    private const int Padding = 8;

    private readonly Layout _layout;
    private readonly Mp4Writer _writer;
    private readonly byte[] _picture;

    private SideBySideVideo(string output, LabelledReader videos, IReadOnlyDictionary<string, string>? metadata, FfmpegTools? tools, CancellationToken cancellation)
    {
        _layout = new Layout(videos.Videos, videos.Info.Width, videos.Info.Height);
        _picture = _layout.DrawLabels(videos.Videos);
        _writer = Mp4Writer.Open(output, _layout.Width, _layout.Height, videos.Info.Fps, metadata, tools, cancellation);
    }

    /// <summary>Writes the video.</summary>
    /// <param name="output">The MP4 to write.</param>
    /// <param name="videos">What to show, of one size and rate; it is as long as the shortest.</param>
    /// <param name="metadata">Tags, as for <see cref="Mp4Writer.Open"/>.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <param name="cancellation">Stops at once.</param>
    /// <exception cref="NablaGenException">A video cannot be read or is of another size, or the output cannot be written.</exception>
    public static void Write(
        string output, IReadOnlyList<LabelledVideo> videos, IReadOnlyDictionary<string, string>? metadata = null,
        FfmpegTools? tools = null, CancellationToken cancellation = default)
    {
        using var reader = LabelledReader.Open(videos, tools, cancellation);
        using var sideBySide = Open(output, reader, metadata, tools, cancellation);
        while (reader.Read())
        {
            sideBySide.Add(reader);
        }

        sideBySide.Complete();
    }

    /// <summary>Begins a video, aside. Stopped before <see cref="Complete"/> it leaves nothing.</summary>
    internal static SideBySideVideo Open(
        string output, LabelledReader videos, IReadOnlyDictionary<string, string>? metadata = null, FfmpegTools? tools = null,
        CancellationToken cancellation = default) => new(output, videos, metadata, tools, cancellation);

    /// <summary>Adds the frames that were read last.</summary>
    internal void Add(LabelledReader videos)
    {
        for (var i = 0; i < videos.Videos.Count; i++)
        {
            _layout.Put(videos.Frame(i), i, _picture);
        }

        _writer.WriteFrame(_picture);
    }

    /// <summary>Finishes the video and gives it its name.</summary>
    internal void Complete() => _writer.Complete();

    /// <summary>Ends ffmpeg.</summary>
    public void Dispose() => _writer.Dispose();

    /// <summary>How many videos stand in a row.</summary>
    internal static int Columns(int videos) => videos <= 3 ? videos : (int)Math.Ceiling(Math.Sqrt(videos));

    // Where each video stands: cells with a label above the frame. All sides are even, as H.264 wants them.
    private sealed class Layout
    {
        private readonly int _frameWidth;
        private readonly int _frameHeight;
        private readonly int _columns;
        private readonly int _cellWidth;
        private readonly int _labelHeight;
        private readonly float _nameSize;
        private readonly float _detailSize;

        public Layout(IReadOnlyList<LabelledVideo> videos, int frameWidth, int frameHeight)
        {
            (_frameWidth, _frameHeight) = (frameWidth, frameHeight);
            _columns = Columns(videos.Count);
            _nameSize = Math.Clamp(frameWidth / 28f, 13, 28);
            _detailSize = MathF.Max(11, _nameSize * 0.8f);
            // A small video's cell is as wide as its label.
            var widest = videos.Max(video => Math.Max(LabelFont.Width(video.Name, _nameSize), LabelFont.Width(video.Detail, _detailSize)));
            _cellWidth = Even(Math.Max(frameWidth, widest + 2 * Padding));
            _labelHeight = Even((int)(1.35f * (_nameSize + _detailSize)) + Padding);
            Width = _columns * (_cellWidth + Gap) - Gap;
            Height = (videos.Count + _columns - 1) / _columns * (CellHeight + Gap) - Gap;
        }

        public int Width { get; }

        public int Height { get; }

        private int CellHeight => _labelHeight + Even(_frameHeight);

        public byte[] DrawLabels(IReadOnlyList<LabelledVideo> videos)
        {
            using var image = new RgbImage(Width, Height, LabelColours.Background);
            for (var i = 0; i < videos.Count; i++)
            {
                var (x, y) = Cell(i);
                var baseline = y + (int)(1.2f * _nameSize);
                image.Text(videos[i].Name, x + Padding, baseline, _nameSize, LabelColours.Text);
                image.Text(videos[i].Detail, x + Padding, baseline + (int)(1.4f * _detailSize), _detailSize, LabelColours.Detail);
            }

            return image.ToRgb24();
        }

        public void Put(ReadOnlySpan<byte> frame, int index, Span<byte> picture)
        {
            var (x, y) = Cell(index);
            x += (_cellWidth - _frameWidth) / 2;
            y += _labelHeight;
            var rowBytes = _frameWidth * 3;
            for (var row = 0; row < _frameHeight; row++)
            {
                frame.Slice(row * rowBytes, rowBytes).CopyTo(picture[(((y + row) * Width + x) * 3)..]);
            }
        }

        private (int X, int Y) Cell(int index) => (index % _columns * (_cellWidth + Gap), index / _columns * (CellHeight + Gap));

        private static int Even(int side) => side + side % 2;
    }
}
