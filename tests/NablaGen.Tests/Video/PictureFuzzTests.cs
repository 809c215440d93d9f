using System.Buffers.Binary;
using NablaGen.Video.Pictures;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace NablaGen.Tests.Video;

/// <summary>Pictures as a stranger may send them: each is read, or refused in one line, with little memory.</summary>
public sealed class PictureFuzzTests : IDisposable
{
    private const int Rounds = 400;
    private const long MaxBytes = 256 << 20;

    private readonly TempFolder _folder = new();

    [Theory]
    [InlineData("png")]
    [InlineData("jpg")]
    [InlineData("webp")]
    [InlineData("bmp")]
    public void A_damaged_picture_is_read_or_refused_in_one_line(string extension)
    {
        using (var image = Image.LoadPixelData<Rgb24>(Clip.Noise(24, 16, 3), 24, 16))
        {
            image.Metadata.ExifProfile = new();
            image.Save(_folder["whole." + extension]);
        }

        var whole = File.ReadAllBytes(_folder["whole." + extension]);
        if (extension == "png")
        {
            whole = PngBytes.WithChunk(PngBytes.WithChunk(whole, "zTXt", [.. "Comment\0\0"u8, .. PngBytes.Packed("some text"u8)]), "tEXt", "Title\0a"u8, behind: true);
        }

        var random = new Random(5);
        var refused = 0;
        for (var round = 0; round < Rounds; round++)
        {
            refused += Read(Mutated(whole, random)) ? 0 : 1;
        }

        // A mutation that no decoder minds would test nothing.
        Assert.InRange(refused, Rounds / 20, Rounds);
    }

    [Fact]
    public void A_picture_of_too_many_pixels_is_refused_by_its_head()
    {
        PictureFile.SavePng(_folder["small.png"], 4, 4, Clip.Noise(4, 4, 0));
        var small = File.ReadAllBytes(_folder["small.png"]);
        foreach (var (width, height) in new[] { (8193, 8192), (30_000, 30_000), (int.MaxValue, int.MaxValue), (1, 100_000_000) })
        {
            Assert.False(Read(PngBytes.WithSize(small, width, height), out var line));
            Assert.Contains("too large", line);
        }
    }

    [Fact]
    public void Texts_that_take_gigabytes_are_refused_by_their_lengths()
    {
        PictureFile.SavePng(_folder["small.png"], 4, 4, Clip.Noise(4, 4, 0));
        var small = File.ReadAllBytes(_folder["small.png"]);
        // 100 MB of zeros pack to 100 kB.
        var zeros = PngBytes.Packed(new byte[100 << 20]);
        byte[][] bombs =
        [
            PngBytes.WithChunk(small, "zTXt", [.. "Comment\0\0"u8, .. zeros]), PngBytes.WithChunk(small, "iTXt", [.. "Comment\0\u0001\0\0\0"u8, .. zeros], behind: true),
            PngBytes.WithChunk(small, "tEXt", [.. "Comment\0"u8, .. new byte[16 << 20]]), Sparse(small),
        ];
        foreach (var bomb in bombs)
        {
            Assert.False(Read(bomb, out var line));
            Assert.Contains("holds more text", line);
        }
    }

    public void Dispose() => _folder.Dispose();

    // Many texts, each allowed by itself.
    private static byte[] Sparse(byte[] png)
    {
        for (var i = 0; i < 5; i++)
        {
            png = PngBytes.WithChunk(png, "iTXt", [.. "Comment\0\0\0\0\0"u8, .. new byte[1 << 20]]);
        }

        return png;
    }

    private static byte[] Mutated(byte[] whole, Random random)
    {
        var bytes = whole.ToArray();
        switch (random.Next(4))
        {
            case 0:
                return bytes[..random.Next(bytes.Length)];
            case 1:
                // A length or a size somewhere, as large as it goes.
                var at = random.Next(bytes.Length - 4);
                var large = (uint[])[0, 1, 0x7fffffff, 0xffffffff, 0x00010000, 0x40000000];
                if (random.Next(2) == 0)
                {
                    BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(at), large[random.Next(large.Length)]);
                }
                else
                {
                    BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), large[random.Next(large.Length)]);
                }

                return bytes;
            case 2:
                var from = random.Next(bytes.Length);
                return [.. bytes[..from], .. bytes[random.Next(bytes.Length)..]];
            default:
                // Most of the structure is in the head.
                for (var i = random.Next(1, 8); i > 0; i--)
                {
                    bytes[random.Next(random.Next(2) == 0 ? Math.Min(64, bytes.Length) : bytes.Length)] = (byte)random.Next(256);
                }

                return bytes;
        }
    }

    private bool Read(byte[] bytes) => Read(bytes, out _);

    private bool Read(byte[] bytes, out string? line)
    {
        var path = _folder["picture.png"];
        File.WriteAllBytes(path, bytes);
        var before = GC.GetAllocatedBytesForCurrentThread();
        line = null;
        try
        {
            PictureFile.ReadTexts(path);
            PictureFile.Identify(path);
            PictureFile.Load(path);
        }
        catch (NablaGenException error)
        {
            line = error.Message;
            Assert.StartsWith(path + ": ", line);
            Assert.DoesNotContain('\n', line);
        }

        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, MaxBytes);
        return line is null;
    }
}
