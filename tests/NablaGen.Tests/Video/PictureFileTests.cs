using System.Buffers.Binary;
using System.Diagnostics;
using System.Text;
using NablaGen.Video;
using NablaGen.Video.Pictures;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.Metadata.Profiles.Exif;
using SixLabors.ImageSharp.PixelFormats;
using SkiaSharp;

namespace NablaGen.Tests.Video;

public class PictureFileTests
{
    [Fact]
    public void Pixels_survive_exactly()
    {
        using var folder = new TempFolder();
        var frame = Clip.Noise(37, 23, 1);

        PictureFile.SavePng(folder["new/still.png"], 37, 23, frame);

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

        PictureFile.SavePng(folder["still.png"], 4, 4, Clip.Noise(4, 4, 0), text);

        Assert.Equal(text, Texts(File.ReadAllBytes(folder["still.png"])));
        Assert.Equal("", CheckSums(folder["still.png"]));
    }

    [Fact]
    public void The_strict_reader_sees_a_wrong_checksum()
    {
        using var folder = new TempFolder();
        PictureFile.SavePng(folder["still.png"], 4, 4, Clip.Noise(4, 4, 0), new Dictionary<string, string> { ["Title"] = "text" });
        var bytes = File.ReadAllBytes(folder["still.png"]);
        bytes[bytes.AsSpan().IndexOf("text"u8)]++;
        File.WriteAllBytes(folder["still.png"], bytes);

        Assert.NotEqual("", CheckSums(folder["still.png"]));
    }

    [Fact]
    public void Text_is_read_as_it_was_written_and_by_the_versions_before()
    {
        using var folder = new TempFolder();
        var text = new Dictionary<string, string> { ["Title"] = "plain", ["Comment"] = "{\"prompt\": \"Äpfel 世界 🎬\",\n \"n\": \"" + new string('x', 20_000) + "\"}" };
        PictureFile.SavePng(folder["still.png"], 4, 4, Clip.Noise(4, 4, 0), text);
        Assert.Equal(text, PictureFile.ReadTexts(folder["still.png"]));

        // As NablaGen 0.1 wrote them: iTXt with neither a language nor a translated keyword, behind the header.
        PictureFile.SavePng(folder["still.png"], 4, 4, Clip.Noise(4, 4, 0));
        File.WriteAllBytes(folder["old.png"], PngBytes.WithChunk(File.ReadAllBytes(folder["still.png"]), "iTXt", "Comment\0\0\0\0\0older"u8));
        Assert.Equal("older", PictureFile.ReadTexts(folder["old.png"])["Comment"]);
    }

    [Theory]
    [InlineData("tEXt", false, false)]
    [InlineData("zTXt", true, false)]
    [InlineData("iTXt", false, false)]
    [InlineData("iTXt", true, false)]
    [InlineData("tEXt", false, true)]
    [InlineData("zTXt", true, true)]
    [InlineData("iTXt", true, true)]
    public void Text_is_read_in_each_form_before_and_behind_the_pixels(string type, bool packed, bool behind)
    {
        using var folder = new TempFolder();
        PictureFile.SavePng(folder["still.png"], 4, 4, Clip.Noise(4, 4, 0));
        const string Value = "{\"prompt\": \"a ball\"}";
        var value = packed ? PngBytes.Packed(Encoding.UTF8.GetBytes(Value)) : Encoding.UTF8.GetBytes(Value);
        byte[] data = type switch
        {
            "tEXt" => [.. "Comment\0"u8, .. value],
            "zTXt" => [.. "Comment\0\0"u8, .. value],
            _ => [.. "Comment\0"u8, packed ? (byte)1 : (byte)0, 0, .. "en\0Kommentar\0"u8, .. value],
        };
        File.WriteAllBytes(folder["text.png"], PngBytes.WithChunk(File.ReadAllBytes(folder["still.png"]), type, data, behind));

        Assert.Equal(Value, Assert.Contains("Comment", PictureFile.ReadTexts(folder["text.png"])));
    }

    [Theory]
    [InlineData(1, 3, 2)]
    [InlineData(3, 3, 2)]
    [InlineData(6, 2, 3)]
    [InlineData(8, 2, 3)]
    public void A_photo_is_turned_as_its_orientation_says(ushort orientation, int width, int height)
    {
        using var folder = new TempFolder();
        using (var image = new Image<Rgb24>(3 * 16, 2 * 16, new Rgb24(0, 0, 200)))
        {
            for (var i = 0; i < 16 * 16; i++)
            {
                image[i % 16, i / 16] = new Rgb24(200, 0, 0);
            }

            image.Metadata.ExifProfile = new ExifProfile();
            image.Metadata.ExifProfile.SetValue(ExifTag.Orientation, orientation);
            image.SaveAsJpeg(folder["photo.jpg"]);
        }

        Assert.Equal(new PictureInfo("JPEG", width * 16, height * 16), PictureFile.Identify(folder["photo.jpg"]));
        var picture = PictureFile.Load(folder["photo.jpg"]);
        Assert.Equal((width * 16, height * 16), (picture.Width, picture.Height));
        // The red corner was at the upper left of what is stored.
        var (x, y) = orientation switch { 1 => (0, 0), 3 => (2, 1), 6 => (1, 0), _ => (0, 2) };
        for (var corner = 0; corner < width * height; corner++)
        {
            var at = ((corner / width * 16 + 8) * picture.Width + corner % width * 16 + 8) * 3;
            Assert.Equal((corner % width, corner / width) == (x, y), picture.Rgb24[at] > 120);
        }
    }

    [Theory]
    [InlineData("png")]
    [InlineData("jpg")]
    [InlineData("webp")]
    [InlineData("bmp")]
    public void Each_format_is_known_by_its_bytes_and_loaded(string extension)
    {
        using var folder = new TempFolder();
        using (var image = new Image<Rgba32>(20, 12, new Rgba32(200, 100, 50, 255)))
        {
            image.Save(folder["a." + extension]);
        }

        File.Move(folder["a." + extension], folder["picture"]);
        Assert.Equal((20, 12), (PictureFile.Identify(folder["picture"]).Width, PictureFile.Identify(folder["picture"]).Height));
        var picture = PictureFile.Load(folder["picture"]);
        Assert.InRange(picture.Rgb24[3 * (6 * 20 + 10)], 195, 205);
        Assert.Equal(20 * 12 * 3, picture.Rgb24.Length);
    }

    [Theory]
    [InlineData("png")]
    [InlineData("webp")]
    public void What_is_transparent_shows_a_white_ground(string extension)
    {
        using var folder = new TempFolder();
        using (var image = new Image<Rgba32>(3, 1))
        {
            (image[0, 0], image[1, 0], image[2, 0]) = (new Rgba32(10, 20, 30, 0), new Rgba32(0, 0, 0, 128), new Rgba32(0, 0, 0, 255));
            if (extension == "png")
            {
                image.SaveAsPng(folder["a.png"]);
            }
            else
            {
                image.SaveAsWebp(folder["a.webp"], new SixLabors.ImageSharp.Formats.Webp.WebpEncoder { FileFormat = SixLabors.ImageSharp.Formats.Webp.WebpFileFormatType.Lossless });
            }
        }

        var picture = PictureFile.Load(folder["a." + extension]);
        Assert.Equal([255, 255, 255], picture.Rgb24[..3]);
        Assert.InRange(picture.Rgb24[3], 126, 128);
        Assert.Equal([0, 0, 0], picture.Rgb24[6..]);
    }

    [Theory]
    [InlineData("png")]
    [InlineData("jpg")]
    [InlineData("webp")]
    [InlineData("bmp")]
    public void A_picture_that_is_cut_off_is_refused_by_its_length(string extension)
    {
        using var folder = new TempFolder();
        using (var image = Image.LoadPixelData<Rgb24>(Clip.Noise(40, 24, 3), 40, 24))
        {
            // A thumbnail with an end of its own, as cameras write them.
            image.Metadata.ExifProfile = new ExifProfile();
            image.Metadata.ExifProfile.SetValue(ExifTag.UserComment, new EncodedString("\u00ff\u00d9"));
            image.Save(folder["whole." + extension]);
        }

        var whole = File.ReadAllBytes(folder["whole." + extension]);
        if (extension != "webp")
        {
            // What some cameras append is no harm.
            File.WriteAllBytes(folder["more." + extension], [.. whole, 0, 1, 2]);
            Assert.Equal(40, PictureFile.Load(folder["more." + extension]).Width);
        }

        foreach (var length in new[] { whole.Length / 2, whole.Length - 20, whole.Length - 1 })
        {
            File.WriteAllBytes(folder["cut." + extension], whole[..length]);
            var message = Assert.Throws<NablaGenException>(() => PictureFile.Identify(folder["cut." + extension])).Message;
            Assert.Equal($"{folder["cut." + extension]}: a {(extension == "jpg" ? "JPEG" : extension == "webp" ? "WebP" : extension.ToUpperInvariant())} that is cut off", message);
        }
    }

    [Theory]
    [InlineData(60_000, 2)]
    [InlineData(2, 60_000)]
    public void A_long_and_thin_picture_fits_without_much_memory(int width, int height)
    {
        var picture = new Picture(width, height, [.. Enumerable.Repeat((byte)200, width * height * 3)]);
        var padded = PictureScaling.Pad(picture, 64, 32);
        Assert.Equal((64, 32), (padded.Width, padded.Height));
        Assert.Equal(0, padded.Rgb24[0]);
        Assert.Equal(200, padded.Rgb24[3 * (16 * 64 + 32)]);
        var covering = PictureScaling.Cover(picture, 832, 480);
        Assert.Equal((832, 480), (covering.Width, covering.Height));
        Assert.All(covering.Rgb24, value => Assert.Equal(200, value));
    }

    [Fact]
    public void A_missing_file_and_what_is_no_picture_are_one_line()
    {
        using var folder = new TempFolder();
        File.WriteAllText(folder["text.png"], "no picture");
        File.WriteAllBytes(folder["empty.jpg"], []);
        Assert.Equal($"{folder["none.png"]}: there is no such file", Assert.Throws<NablaGenException>(() => PictureFile.Load(folder["none.png"])).Message);
        Assert.Contains("expected PNG, JPEG, WebP or BMP", Assert.Throws<NablaGenException>(() => PictureFile.Load(folder["text.png"])).Message);
        Assert.Contains("not a picture", Assert.Throws<NablaGenException>(() => PictureFile.Identify(folder["empty.jpg"])).Message);
        Assert.Equal($"{folder.Path}: a folder, not a picture", Assert.Throws<NablaGenException>(() => PictureFile.Load(folder.Path)).Message);
        Assert.Empty(PictureFile.ReadTexts(folder["text.png"]));
    }

    [Fact]
    public void A_bad_name_keyword_or_size_leaves_nothing()
    {
        using var folder = new TempFolder();
        var frame = Clip.Noise(4, 4, 0);

        Assert.Contains("must end in .png", Assert.Throws<NablaGenException>(() => PictureFile.SavePng(folder["a.jpg"], 4, 4, frame)).Message);
        Assert.Throws<ArgumentException>(() => PictureFile.SavePng(folder["a.png"], 5, 4, frame));
        Assert.ThrowsAny<Exception>(() =>
            PictureFile.SavePng(folder["a.png"], 4, 4, frame, new Dictionary<string, string> { ["Größe"] = "4" }));

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
                // Keyword; not compressed; no language; the keyword once more as its own translation.
                var end = data.IndexOf((byte)0);
                Assert.Equal(new byte[4], data.Slice(end, 4).ToArray());
                var keyword = Encoding.ASCII.GetString(data[..end]);
                Assert.Equal(keyword + "\0", Encoding.ASCII.GetString(data.Slice(end + 4, end + 1)));
                texts.Add(keyword, Encoding.UTF8.GetString(data[(end + 4 + end + 1)..]));
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
