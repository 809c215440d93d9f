using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using NablaGen.Video;
using SkiaSharp;

namespace NablaGen.Tests.Video;

public class StillWriterTests
{
    [Fact]
    public void Pixels_survive_exactly()
    {
        using var folder = new TempFolder();
        var frame = Clip.Noise(37, 23, 1);

        StillWriter.SavePng(folder["new/still.png"], 37, 23, frame);

        using var read = SKBitmap.Decode(folder["new/still.png"]);
        Assert.Equal((37, 23), (read.Width, read.Height));
        for (var i = 0; i < 37 * 23; i++)
        {
            Assert.Equal(new SKColor(frame[3 * i], frame[3 * i + 1], frame[3 * i + 2]), read.GetPixel(i % 37, i / 37));
        }

        Assert.Equal([folder["new/still.png"]], folder.Files);
    }

    [Fact]
    public void Text_stands_in_chunks_that_a_strict_reader_accepts()
    {
        using var folder = new TempFolder();
        var text = new Dictionary<string, string> { ["Title"] = "Äpfel, 世界 🎬", ["Comment"] = "{\"seed\": 1,\n \"a\": \"=;#\"}" };

        StillWriter.SavePng(folder["still.png"], 4, 4, Clip.Noise(4, 4, 0), text);

        Assert.Equal(text, Texts(File.ReadAllBytes(folder["still.png"])));
        Assert.Equal("", CheckSums(folder["still.png"]));
    }

    [Fact]
    public void The_strict_reader_sees_a_wrong_checksum()
    {
        using var folder = new TempFolder();
        StillWriter.SavePng(folder["still.png"], 4, 4, Clip.Noise(4, 4, 0), new Dictionary<string, string> { ["Title"] = "text" });
        var bytes = File.ReadAllBytes(folder["still.png"]);
        bytes[bytes.AsSpan().IndexOf("text"u8)]++;
        File.WriteAllBytes(folder["still.png"], bytes);

        Assert.NotEqual("", CheckSums(folder["still.png"]));
    }

    [Fact]
    public void A_bad_name_keyword_or_size_leaves_nothing()
    {
        using var folder = new TempFolder();
        var frame = Clip.Noise(4, 4, 0);

        Assert.Contains("must end in .png", Assert.Throws<NablaGenException>(() => StillWriter.SavePng(folder["a.jpg"], 4, 4, frame)).Message);
        Assert.Throws<ArgumentException>(() => StillWriter.SavePng(folder["a.png"], 5, 4, frame));
        Assert.ThrowsAny<Exception>(() =>
            StillWriter.SavePng(folder["a.png"], 4, 4, frame, new Dictionary<string, string> { ["Größe"] = "4" }));

        Assert.Empty(folder.Files);
    }

    private static Dictionary<string, string> Texts(ReadOnlySpan<byte> png)
    {
        var texts = new Dictionary<string, string>();
        for (var at = 8; at < png.Length;)
        {
            var data = png.Slice(at + 8, BinaryPrimitives.ReadInt32BigEndian(png[at..]));
            if (png.Slice(at + 4, 4).SequenceEqual("iTXt"u8))
            {
                // Keyword; not compressed; neither a language nor a translated keyword.
                var end = data.IndexOf((byte)0);
                Assert.Equal(new byte[5], data.Slice(end, 5).ToArray());
                texts.Add(Encoding.ASCII.GetString(data[..end]), Encoding.UTF8.GetString(data[(end + 5)..]));
            }

            at += data.Length + 12;
        }

        return texts;
    }

    // What ffmpeg has to say of the file when it checks every chunk's CRC.
    private static string CheckSums(string path)
    {
        string[] arguments = ["-v", "error", "-err_detect", "crccheck+explode", "-i", path, "-f", "null", "-"];
        using var ffmpeg = Process.Start(
            new ProcessStartInfo(FfmpegTools.Find().Ffmpeg, arguments) { RedirectStandardError = true })!;
        return ffmpeg.StandardError.ReadToEnd();
    }
}
