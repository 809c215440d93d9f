namespace NablaGen.Video.Labels;

/// <summary>Several videos as one: up to three in a row, more in a grid, each under its label.</summary>
public static class SideBySideVideo
{
    private const int Gap = 8;
    private const int Padding = 8;

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
        ArgumentOutOfRangeException.ThrowIfZero(videos.Count);
        var readers = new List<VideoReader>();
        try
        {
            readers.AddRange(videos.Select(video => VideoReader.Open(video.Path, tools, cancellation)));
            var first = readers[0].Info;
            if (readers.FindIndex(reader => (reader.Info.Width, reader.Info.Height) != (first.Width, first.Height)) is var other and >= 0)
            {
                throw new NablaGenException($"{videos[other].Path}: expected {first.Width}x{first.Height} as in {videos[0].Path}, "
                    + $"found {readers[other].Info.Width}x{readers[other].Info.Height}");
            }

            var layout = new Layout(videos, first.Width, first.Height);
            using var writer = Mp4Writer.Open(output, layout.Width, layout.Height, first.Fps, metadata, tools, cancellation);
            var picture = layout.DrawLabels(videos);
            var frame = new byte[readers[0].FrameBytes];
            for (var t = 0; t < readers.Min(reader => reader.Info.FrameCount); t++)
            {
                for (var i = 0; i < readers.Count; i++)
                {
                    readers[i].ReadFrame(frame);
                    layout.Put(frame, i, picture);
                }

                writer.WriteFrame(picture);
            }

            writer.Complete();
        }
        finally
        {
            readers.ForEach(reader => reader.Dispose());
        }
    }

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
