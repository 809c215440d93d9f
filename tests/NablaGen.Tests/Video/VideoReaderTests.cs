using System.Buffers.Binary;
using NablaGen.Video;
using NablaGen.Video.Pictures;

namespace NablaGen.Tests.Video;

public class VideoReaderTests
{
    [Fact]
    public void A_slow_reader_gets_every_frame_in_order()
    {
        const int Width = 320, Height = 240, Frames = 24;
        using var folder = new TempFolder();
        using (var writer = Mp4Writer.Open(folder["video.mp4"], Width, Height, 24, cancellation: TestContext.Current.CancellationToken))
        {
            for (var t = 0; t < Frames; t++)
            {
                writer.WriteFrame(Clip.Bars(Width, Height, t * 8, 0xe0e0e0));
            }

            writer.Complete();
        }

        using var reader = VideoReader.Open(folder["video.mp4"]);
        Assert.Equal(Frames, reader.Info.FrameCount);
        // Time enough for ffmpeg to fill its pipe and wait.
        Thread.Sleep(500);
        var frame = new byte[reader.FrameBytes];
        for (var t = 0; t < Frames; t++)
        {
            Assert.True(reader.ReadFrame(frame));
            Assert.InRange(frame[Width * Height], 0xe0 - t * 8 - 3, 0xe0 - t * 8 + 3);
        }

        Assert.False(reader.ReadFrame(frame));
    }

    [Fact]
    public void A_telephones_upright_video_is_upright()
    {
        using var folder = new TempFolder();
        // Red, green, blue and grey bars from left to right: turned by a quarter, from the top down.
        Clip.Write(folder["lying.mp4"], 64, 32, 2, 16);
        var bytes = File.ReadAllBytes(folder["lying.mp4"]);
        var matrix = bytes.AsSpan().IndexOf("tkhd"u8) + 44;
        int[] quarter = [0, 0x10000, 0, -0x10000, 0, 0, 32 << 16, 0, 0x40000000];
        for (var i = 0; i < quarter.Length; i++)
        {
            BinaryPrimitives.WriteInt32BigEndian(bytes.AsSpan(matrix + (4 * i)), quarter[i]);
        }

        File.WriteAllBytes(folder["upright.mp4"], bytes);
        var last = VideoFrames.Last(folder["upright.mp4"]);
        Assert.Equal((32, 64), (last.Width, last.Height));
        Assert.True(Red(4) > Green(4) && Green(20) > Red(20));

        int Red(int row) => last.Rgb24[((row * 32) + 16) * 3];
        int Green(int row) => last.Rgb24[(((row * 32) + 16) * 3) + 1];
    }

    [Fact]
    public void Disposing_half_way_is_fine()
    {
        using var folder = new TempFolder();
        Clip.Write(folder["video.mp4"], 320, 240, 30, 16);

        var reader = VideoReader.Open(folder["video.mp4"]);
        Assert.True(reader.ReadFrame(new byte[reader.FrameBytes]));
        reader.Dispose();
    }

    [Fact]
    public void A_file_is_probed_once_until_it_changes()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "the stand-in for ffprobe is a shell script");
        using var folder = new TempFolder();
        var tools = Clip.Probe(folder, "echo x >> \"$NABLAGEN_TEST/probes\"; exec \"$FFPROBE\" \"$@\"");
        Clip.Write(folder["video.mp4"], 64, 48, 2, 16);
        Assert.Equal(2, VideoProbe.Read(folder["video.mp4"], tools).FrameCount);
        Assert.Equal(2, VideoProbe.Read(folder["video.mp4"], tools).FrameCount);
        Assert.Single(File.ReadLines(folder["probes"]));
        Clip.Write(folder["video.mp4"], 64, 48, 3, 16);
        Assert.Equal(3, VideoProbe.Read(folder["video.mp4"], tools).FrameCount);
        File.Delete(folder["video.mp4"]);
        Assert.Contains("there is no such file", Assert.Throws<NablaGenException>(() => VideoProbe.Read(folder["video.mp4"], tools)).Message);
    }

    [Fact]
    public void A_file_that_is_no_video_gives_one_line()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["video.mp4"], "not a video, only text\n");
        PictureFile.SavePng(folder["still.png"], 4, 4, Clip.Noise(4, 4, 0));
        Clip.Write(folder["whole.mp4"], 320, 240, 30, 16);
        File.WriteAllBytes(folder["cut.mp4"], File.ReadAllBytes(folder["whole.mp4"])[..500]);

        Assert.Contains("there is no such file", Refused(folder["missing.mp4"]));
        Assert.Contains("not a video", Refused(folder["video.mp4"]));
        Assert.Contains("not a video", Refused(folder["cut.mp4"]));

        static string Refused(string path)
        {
            var message = Assert.Throws<NablaGenException>(() => VideoReader.Open(path)).Message;
            Assert.StartsWith(path, message);
            Assert.DoesNotContain('\n', message);
            return message;
        }
    }

    [Fact]
    public void A_video_whose_film_is_cut_off_gives_one_line()
    {
        using var folder = new TempFolder();
        using (var writer = Mp4Writer.Open(folder["whole.mp4"], 128, 128, 16, cancellation: TestContext.Current.CancellationToken))
        {
            for (var t = 0; t < 20; t++)
            {
                writer.WriteFrame(Clip.Noise(128, 128, t));
            }

            writer.Complete();
        }

        var bytes = File.ReadAllBytes(folder["whole.mp4"]);
        File.WriteAllBytes(folder["cut.mp4"], bytes[..(bytes.Length / 2)]);
        Assert.False(VideoProbe.Read(folder["cut.mp4"]).FastStart);

        var error = Assert.Throws<NablaGenException>(() =>
        {
            using var reader = VideoReader.Open(folder["cut.mp4"]);
            var frame = new byte[reader.FrameBytes];
            while (reader.ReadFrame(frame))
            {
            }
        });
        Assert.StartsWith(folder["cut.mp4"], error.Message);
    }
}
