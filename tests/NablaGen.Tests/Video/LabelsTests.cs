using NablaGen.Video;
using NablaGen.Video.Labels;
using SixLabors.ImageSharp.PixelFormats;
using SkiaSharp;

namespace NablaGen.Tests.Video;

public sealed class LabelsTests(LabelsTests.Coloured coloured) : IClassFixture<LabelsTests.Coloured>, IDisposable
{
    private static readonly int[] Colours = [0xd02020, 0x20d020, 0x2020d0, 0xd0d020, 0x20d0d0];

    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData(1, 1)]
    [InlineData(2, 2)]
    [InlineData(3, 3)]
    [InlineData(4, 2)]
    [InlineData(5, 3)]
    [InlineData(9, 3)]
    public void Up_to_three_stand_in_a_row_and_more_in_a_grid(int count, int columns) => Assert.Equal(columns, SideBySideVideo.Columns(count));

    [Theory]
    [InlineData(2, 2, 1)]
    [InlineData(5, 3, 2)]
    public void Side_by_side_each_video_stands_under_its_label(int count, int columns, int rows)
    {
        SideBySideVideo.Write(_folder["all.mp4"], coloured.Videos[..count], cancellation: TestContext.Current.CancellationToken);

        using var reader = VideoReader.Open(_folder["all.mp4"]);
        var (width, height) = (reader.Info.Width, reader.Info.Height);
        Assert.Equal(3, reader.Info.FrameCount);
        Assert.Equal((0, 0), (width % 2, height % 2));
        Assert.InRange(width, columns * 320, columns * 330);
        Assert.InRange(height, rows * (64 + 30), rows * (64 + 60));

        var frame = new byte[reader.FrameBytes];
        Assert.True(reader.ReadFrame(frame));
        for (var i = 0; i < count; i++)
        {
            // A cell's frame is at its foot; above it is the label, dark with light letters.
            var (left, top) = (i % columns * width / columns, i / columns * height / rows);
            AssertNear(Colours[i], frame, width, left + 160, top + height / rows - 32);
            var label = Enumerable.Range(top, 30).SelectMany(y => Enumerable.Range(left + 8, 100).Select(x => (int)frame[(y * width + x) * 3])).ToArray();
            Assert.True(label.Min() < 40 && label.Max() > 180, $"label {i}: from {label.Min()} to {label.Max()}");
        }
    }

    [Fact]
    public void A_small_videos_cell_is_as_wide_as_its_label()
    {
        var videos = Enumerable.Range(0, 2).Select(i => Write($"{i}.mp4", 32, 32, 1, _ => 0x808080, $"nabla-0.{i + 1}_sta-11-3-3")).ToArray();
        SideBySideVideo.Write(_folder["all.mp4"], videos, cancellation: TestContext.Current.CancellationToken);
        Assert.InRange(VideoProbe.Read(_folder["all.mp4"]).Width, 250, 500);
    }

    [Fact]
    public void Videos_of_another_size_are_refused()
    {
        LabelledVideo[] videos = [Write("a.mp4", 64, 64, 1, _ => 0, "a"), Write("b.mp4", 64, 32, 1, _ => 0, "b")];
        var error = Assert.Throws<NablaGenException>(
            () => SideBySideVideo.Write(_folder["all.mp4"], videos, cancellation: TestContext.Current.CancellationToken));
        Assert.Contains("b.mp4: expected 64x64", error.Message);
    }

    [Theory]
    [InlineData(9, 6)]
    [InlineData(1, 1)]
    public void A_contact_sheet_has_a_row_a_video_and_one_of_the_difference(int frames, int columns)
    {
        LabelledVideo[] videos =
        [
            Write("a.mp4", 160, 96, frames, _ => 0x404040, "dense"), Write("b.mp4", 160, 96, frames, t => t == frames - 1 ? 0x444444 : 0x404040, "nabla-0.7"),
        ];
        var sheet = ContactSheet.Write(_folder["sheet.png"], videos, new Dictionary<string, string> { ["Title"] = "A cat" });

        using var png = SKBitmap.Decode(_folder["sheet.png"]);
        Assert.InRange(png.Width, columns * 160 + 60, columns * 166 + 260);
        Assert.InRange(png.Height, 3 * 96, 3 * 102 + 80);
        // Four levels apart in the last column alone.
        Assert.Equal(32, sheet.Gain);
        var (x, y) = (png.Width - 16 - 80, png.Height - 16 - 48);
        Assert.InRange(png.GetPixel(x, y).Red, 3 * 32, 5 * 32);
        Assert.InRange(png.GetPixel(x, y - 2 * 102).Red, 0x3e, 0x42);
        if (columns > 1)
        {
            Assert.InRange(png.GetPixel(x - 166, y).Red, 0, 32);
        }
    }

    [Fact]
    public void A_label_has_letters_without_any_font_on_the_machine()
    {
        Assert.InRange(LabelFont.Width("density 0.312 \u00b7 12.3 s", 20), 150, 300);
        using var a = new RgbImage(40, 40, new Rgb24(0, 0, 0));
        using var b = new RgbImage(40, 40, new Rgb24(0, 0, 0));
        a.Text("8", 5, 30, 30, new Rgb24(255, 255, 255));
        b.Text("1", 5, 30, 30, new Rgb24(255, 255, 255));
        Assert.NotEqual(a.ToRgb24(), b.ToRgb24());
    }

    public void Dispose() => _folder.Dispose();

    private LabelledVideo Write(string name, int width, int height, int frames, Func<int, int> colour, string label) =>
        Write(_folder, name, width, height, frames, colour, label);

    private static LabelledVideo Write(TempFolder folder, string name, int width, int height, int frames, Func<int, int> colour, string label)
    {
        using var writer = Mp4Writer.Open(folder[name], width, height, 8, cancellation: TestContext.Current.CancellationToken);
        for (var t = 0; t < frames; t++)
        {
            writer.WriteFrame(Clip.Bars(width, height, 0, colour(t)));
        }

        writer.Complete();
        return new LabelledVideo(folder[name], label, "density 0.312 \u00b7 12.3 s");
    }

    private static void AssertNear(int colour, byte[] frame, int width, int x, int y)
    {
        for (var channel = 0; channel < 3; channel++)
        {
            var expected = colour >> (16 - 8 * channel) & 255;
            Assert.InRange(frame[(y * width + x) * 3 + channel], expected - 12, expected + 12);
        }
    }

    /// <summary>A video a colour, written once.</summary>
    public sealed class Coloured : IDisposable
    {
        private readonly TempFolder _folder = new();

        public Coloured() => Videos = [.. Colours.Select((colour, i) => Write(_folder, $"{i}.mp4", 320, 64, 3, _ => colour, $"nabla-0.{i + 1}"))];

        public LabelledVideo[] Videos { get; }

        public void Dispose() => _folder.Dispose();
    }
}
