using NablaGen.Video.Pictures;

namespace NablaGen.Video.Labels;

/// <summary>
/// Stills of several videos as one picture: a row each, with frames spread over the whole length, and below them a row for every video
/// but the first with its amplified difference to the first.
/// </summary>
public sealed class ContactSheet
{
    private const int MaxColumns = 6;
    private const int MaxThumbWidth = 320;
    private const int Gap = 6;
    private const int Margin = 16;
    private const float NameSize = 17;
    private const float DetailSize = 13;

    // The last gain is for videos that are nearly equal.
    private static readonly int[] Gains = [1, 2, 4, 8, 16, 32];

    private readonly IReadOnlyList<LabelledVideo> _videos;
    private readonly VideoInfo _info;
    private readonly int[] _columns;
    private readonly List<byte[]>[] _frames;

    /// <summary>A sheet without frames yet.</summary>
    /// <param name="videos">What to show, of one size and length; differences are to the first.</param>
    /// <exception cref="NablaGenException">A video is longer or shorter than the first.</exception>
    internal ContactSheet(LabelledReader videos)
    {
        (_videos, _info) = (videos.Videos, videos.Info);
        var frames = _info.FrameCount;
        for (var i = 1; i < _videos.Count; i++)
        {
            if (videos.FramesOf(i) != frames)
            {
                throw new NablaGenException($"{_videos[i].Path}: expected {frames} frames of {_info.Width}x{_info.Height}, "
                    + $"found {videos.FramesOf(i)} of {_info.Width}x{_info.Height}");
            }
        }

        var count = Math.Min(MaxColumns, frames);
        _columns = [.. Enumerable.Range(0, count).Select(i => count == 1 ? 0 : (int)Math.Round(i * (frames - 1.0) / (count - 1)))];
        _frames = [.. _videos.Select(_ => new List<byte[]>())];
    }

    /// <summary>What the differences are multiplied with: the largest of 1, 2, 4 … 32 that leaves 99% of them below white.</summary>
    public int Gain { get; private set; }

    /// <summary>Writes the sheet.</summary>
    /// <param name="output">The PNG to write.</param>
    /// <param name="videos">What to show, of one size and length; differences are to the first.</param>
    /// <param name="text">Text chunks, as for <see cref="PictureFile.SavePng"/>.</param>
    /// <param name="tools">The ffmpeg to use; <see cref="FfmpegTools.Find()"/> if null.</param>
    /// <param name="cancellation">Stops the work.</param>
    /// <returns>The sheet that was written.</returns>
    /// <exception cref="NablaGenException">A video cannot be read or is of another form, or the output cannot be written.</exception>
    public static ContactSheet Write(
        string output, IReadOnlyList<LabelledVideo> videos, IReadOnlyDictionary<string, string>? text = null, FfmpegTools? tools = null,
        CancellationToken cancellation = default)
    {
        using var reader = LabelledReader.Open(videos, tools, cancellation);
        var sheet = new ContactSheet(reader);
        while (reader.Read())
        {
            sheet.Add(reader);
        }

        sheet.Save(output, text);
        return sheet;
    }

    /// <summary>Keeps the frames that were read last, where they have a column.</summary>
    internal void Add(LabelledReader videos)
    {
        if (_columns.Contains(videos.Time))
        {
            for (var i = 0; i < _frames.Length; i++)
            {
                _frames[i].Add(videos.Frame(i).ToArray());
            }
        }
    }

    /// <summary>Draws and writes the sheet.</summary>
    internal void Save(string output, IReadOnlyDictionary<string, string>? text = null)
    {
        Gain = PickGain();
        using var image = Draw();
        PictureFile.SavePng(output, image.Width, image.Height, image.ToRgb24(), text);
    }

    private RgbImage Draw()
    {
        var thumbWidth = Math.Min(_info.Width, MaxThumbWidth);
        var thumbHeight = Math.Max(1, (int)Math.Round((double)_info.Height * thumbWidth / _info.Width));
        var rowHeight = Math.Max(thumbHeight, (int)(3 * (NameSize + DetailSize) / 2));
        var rows = Rows().ToArray();
        var left = 2 * Margin + rows.Max(row => Math.Max(LabelFont.Width(row.Name, NameSize), LabelFont.Width(row.Detail, DetailSize)));
        var top = Margin + (int)(2 * DetailSize);
        // A column is as wide as its heading at least.
        var columnWidth = Math.Max(thumbWidth, LabelFont.Width(Heading(_info.FrameCount - 1), DetailSize)) + Gap;

        var image = new RgbImage(
            left + _columns.Length * columnWidth - Gap + Margin, top + rows.Length * (rowHeight + Gap) - Gap + Margin, LabelColours.Background);
        for (var i = 0; i < _columns.Length; i++)
        {
            image.Text(Heading(_columns[i]), left + i * columnWidth, Margin + (int)DetailSize, DetailSize, LabelColours.Detail);
        }

        for (var row = 0; row < rows.Length; row++)
        {
            var y = top + row * (rowHeight + Gap);
            image.Text(rows[row].Name, Margin, y + (int)NameSize, NameSize, LabelColours.Text);
            image.Text(rows[row].Detail, Margin, y + (int)(NameSize + 1.5f * DetailSize), DetailSize, LabelColours.Detail);
            for (var i = 0; i < _columns.Length; i++)
            {
                using var thumb = RgbImage.Of(_info.Width, _info.Height, rows[row].Frame(i));
                image.Place(thumb, left + i * columnWidth, y, thumbWidth, thumbHeight);
            }
        }

        return image;
    }

    private string Heading(int frame) => $"frame {frame + 1}, {frame / _info.Fps:0.00} s";

    private IEnumerable<(string Name, string Detail, Func<int, byte[]> Frame)> Rows()
    {
        for (var i = 0; i < _videos.Count; i++)
        {
            var video = i;
            yield return (_videos[i].Name, _videos[i].Detail, column => _frames[video][column]);
        }

        for (var i = 1; i < _videos.Count; i++)
        {
            var video = i;
            yield return ($"{_videos[i].Name} \u2212 {_videos[0].Name}", $"difference \u00d7 {Gain}",
                column => Difference(_frames[video][column], _frames[0][column], Gain));
        }
    }

    private static byte[] Difference(byte[] a, byte[] b, int gain)
    {
        var difference = new byte[a.Length];
        for (var i = 0; i < a.Length; i++)
        {
            difference[i] = (byte)Math.Min(255, Math.Abs(a[i] - b[i]) * gain);
        }

        return difference;
    }

    private int PickGain()
    {
        var counts = new long[256];
        foreach (var video in _frames.Skip(1))
        {
            for (var column = 0; column < _columns.Length; column++)
            {
                foreach (var value in Difference(video[column], _frames[0][column], 1))
                {
                    counts[value]++;
                }
            }
        }

        var total = counts.Sum();
        return Gains.Last(gain => gain == 1 || counts.Skip(255 / gain + 1).Sum() <= total / 100);
    }
}
