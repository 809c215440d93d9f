using NablaGen.Video;

namespace NablaGen.Tests.Video;

public class Mp4WriterTests
{
    [Theory]
    [InlineData(64, 48, 9, 16)]
    [InlineData(130, 98, 1, 30000 / 1001.0)]
    [InlineData(832, 480, 33, 12.5)]
    public void Size_count_rate_and_form_survive(int width, int height, int frames, double fps)
    {
        using var folder = new TempFolder();

        Clip.Write(folder["video.mp4"], width, height, frames, fps);
        var info = VideoProbe.Read(folder["video.mp4"]);

        Assert.Equal((width, height, frames), (info.Width, info.Height, info.FrameCount));
        Assert.Equal(fps, info.Fps, tolerance: 1e-6);
        Assert.Equal(frames / fps, info.Duration.TotalSeconds, tolerance: 2e-3);
        Assert.Equal(("h264", "yuv420p", "bt709", true), (info.Codec, info.PixelFormat, info.ColorSpace, info.FastStart));
        Assert.Equal([folder["video.mp4"]], folder.Files);
    }

    [Fact]
    public void Colours_survive()
    {
        int[] colours = [0xff0000, 0x00ff00, 0x0000ff, 0x808080, 0xffffff, 0x000000, 0xc8a080, 0x204060];
        const int Width = 256, Height = 64, Frames = 5;
        using var folder = new TempFolder();
        using (var writer = Mp4Writer.Open(folder["video.mp4"], Width, Height, 16, cancellation: TestContext.Current.CancellationToken))
        {
            for (var t = 0; t < Frames; t++)
            {
                writer.WriteFrame(Clip.Bars(Width, Height, 8 * t, colours));
            }

            writer.Complete();
        }

        using var reader = VideoReader.Open(folder["video.mp4"]);
        var frame = new byte[reader.FrameBytes];
        for (var t = 0; t < Frames; t++)
        {
            Assert.True(reader.ReadFrame(frame));
            var expected = Clip.Bars(Width, Height, 8 * t, colours);
            for (var bar = 0; bar < colours.Length; bar++)
            {
                // In the middle of a bar: chroma is half as fine, so that edges bleed.
                var at = (Height / 2 * Width + bar * 32 + 16) * 3;
                for (var channel = 0; channel < 3; channel++)
                {
                    Assert.InRange(frame[at + channel], expected[at + channel] - 4, expected[at + channel] + 4);
                }
            }
        }

        Assert.False(reader.ReadFrame(frame));
    }

    public static TheoryData<string> HostileTexts { get; } =
    [
        "a=b; c#d \\ e\\\\ 'f' \"g\" `h` $(i) %04d",
        "two\nlines, \r\nthree\n\n\ttab \u0001 end\\",
        "\\",
        "#not a comment\n;nor this\n[CHAPTER]\ntitle=other",
        "Привет, 世界, 🎬, é (e\u0301), \u202ertl",
        " leading and trailing ",
        """{"prompt":"a cat, \"quoted\"\nand a newline","seed":42,"width":832}""",
    ];

    [Theory]
    [MemberData(nameof(HostileTexts))]
    public void Tags_read_back_exactly(string text)
    {
        using var folder = new TempFolder();

        Clip.Write(folder["video.mp4"], 32, 32, 2, 16, new Dictionary<string, string> { ["title"] = text, ["comment"] = text + "\n" + text });
        var info = VideoProbe.Read(folder["video.mp4"]);

        Assert.Equal(text, info.Tags["title"]);
        Assert.Equal(text + "\n" + text, info.Tags["comment"]);
    }

    [Fact]
    public void A_long_tag_reads_back_and_what_MP4_cannot_hold_is_replaced()
    {
        using var folder = new TempFolder();
        var recipe = string.Concat(Enumerable.Range(0, 20_000).Select(i => $"{i}={(char)(0x4e00 + i)};\n"));

        Clip.Write(folder["video.mp4"], 32, 32, 2, 16, new Dictionary<string, string> { ["comment"] = recipe, ["title"] = "a\0b \ud800 c" });
        var info = VideoProbe.Read(folder["video.mp4"]);

        Assert.Equal(recipe, info.Tags["comment"]);
        Assert.Equal("a\ufffdb \ufffd c", info.Tags["title"]);
        Assert.True(info.FastStart);
    }

    [Fact]
    public void A_tag_unknown_to_MP4_is_refused() =>
        Assert.Throws<ArgumentException>(() =>
            Mp4Writer.Open(
                "video.mp4", 32, 32, 16, new Dictionary<string, string> { ["prompt"] = "a cat" },
                cancellation: TestContext.Current.CancellationToken));

    [Theory]
    [InlineData("a name with spaces.mp4")]
    [InlineData("Äpfel, 世界 🎬.MP4")]
    [InlineData("it's 100% %03d [a]{b}:c&d;e|f$HOME.mp4")]
    [InlineData("-y.mp4")]
    [InlineData("new/sub folder/video.mp4")]
    [InlineData("quo\"te\\\".mp4")]
    [InlineData("back\\slash\\.mp4")]
    public void Any_path_works(string name)
    {
        Assert.SkipWhen(OperatingSystem.IsWindows() && name.AsSpan().IndexOfAny(":|\"\\") >= 0, "Windows has no such names");
        using var folder = new TempFolder();

        Clip.Write(folder[name], 32, 32, 3, 16, new Dictionary<string, string> { ["title"] = name });

        Assert.Equal([folder[name]], folder.Files);
        Assert.Equal(name, VideoProbe.Read(folder[name]).Tags["title"]);
        using var reader = VideoReader.Open(folder[name]);
        Assert.True(reader.ReadFrame(new byte[reader.FrameBytes]));
    }

    [Fact]
    public void A_relative_path_with_a_leading_dash_works()
    {
        var name = $"-{Guid.NewGuid():N}.mp4";
        try
        {
            Clip.Write(name, 32, 32, 3, 16);
            Assert.Equal(3, VideoProbe.Read(name).FrameCount);
        }
        finally
        {
            File.Delete(name);
        }
    }

    [Fact]
    public void A_file_that_is_there_is_replaced_at_the_end_only()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["video.mp4"], "old");

        using (var writer = Mp4Writer.Open(folder["video.mp4"], 32, 32, 16, cancellation: TestContext.Current.CancellationToken))
        {
            writer.WriteFrame(Clip.Noise(32, 32, 0));
            Assert.Equal("old", File.ReadAllText(folder["video.mp4"]));
            writer.Complete();
        }

        Assert.Equal(1, VideoProbe.Read(folder["video.mp4"]).FrameCount);
    }

    [Fact]
    public void A_frame_of_another_size_and_an_empty_video_are_refused()
    {
        using var folder = new TempFolder();
        using (var writer = Mp4Writer.Open(folder["video.mp4"], 32, 32, 16, cancellation: TestContext.Current.CancellationToken))
        {
            Assert.Throws<ArgumentException>(() => writer.WriteFrame(new byte[32 * 32]));
            Assert.Throws<InvalidOperationException>(writer.Complete);
        }

        Assert.Empty(folder.Files);
    }

    [Theory]
    [InlineData(33, 32, 16.0)]
    [InlineData(32, 0, 16.0)]
    [InlineData(32, 32, 0.0)]
    [InlineData(32, 32, double.NaN)]
    public void A_size_or_rate_that_H264_cannot_have_is_refused(int width, int height, double fps)
    {
        using var folder = new TempFolder();
        Assert.Throws<NablaGenException>(() =>
            Mp4Writer.Open(folder["video.mp4"], width, height, fps, cancellation: TestContext.Current.CancellationToken));
        Assert.Empty(folder.Files);
    }

    [Fact]
    public void The_target_is_checked_before_the_work()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["file"], "");
        Directory.CreateDirectory(folder["folder.mp4"]);

        Mp4Writer.CheckTarget(folder["new/video.mp4"]);

        Assert.Equal([folder["file"]], folder.Files);
        Assert.True(Directory.Exists(folder["new"]));
        Assert.Contains("must end in .mp4", Refused(folder["video.avi"]));
        Assert.Contains("must end in .mp4", Refused(""));
        Assert.Contains("this is a folder", Refused(folder["folder.mp4"]));
        Assert.Contains("cannot be written", Refused(folder["file/video.mp4"]));
        Assert.Contains("cannot be written", Refused(folder[new string('x', 250) + ".mp4"]));
        Assert.Contains("cannot be written", Refused("nul\0character.mp4"));

        static string Refused(string path)
        {
            var message = Assert.Throws<NablaGenException>(() => Mp4Writer.CheckTarget(path)).Message;
            Assert.StartsWith(path, message);
            Assert.DoesNotContain('\n', message);
            return message;
        }
    }
}
