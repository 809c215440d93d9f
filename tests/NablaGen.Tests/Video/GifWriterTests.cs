using NablaGen.Video;
using SixLabors.ImageSharp;
using SixLabors.ImageSharp.PixelFormats;

namespace NablaGen.Tests.Video;

public class GifWriterTests
{
    [Fact]
    public void Frames_follow_one_another_for_ever_in_their_colours()
    {
        using var folder = new TempFolder();
        int[] colours = [0xc02020, 0x20c020, 0x2020c0, 0x808080];
        GifWriter.Save(folder["new/a.gif"], 24, 16, 6, [.. colours.AsEnumerable().Select(colour => Clip.Bars(24, 16, 0, colour, 0xffffff))]);

        Assert.Equal([folder["new/a.gif"]], folder.Files);
        using var gif = Image.Load<Rgb24>(folder["new/a.gif"]);
        Assert.Equal((24, 16, 4), (gif.Width, gif.Height, gif.Frames.Count));
        Assert.Equal(0, gif.Metadata.GetGifMetadata().RepeatCount);
        // A sixth of a second is 16.67 hundredths: none may be lost.
        Assert.Equal([17, 16, 17, 17], gif.Frames.Cast<ImageFrame>().Select(frame => frame.Metadata.GetGifMetadata().FrameDelay));
        for (var t = 0; t < colours.Length; t++)
        {
            var (left, right) = (gif.Frames[t][4, 8], gif.Frames[t][20, 8]);
            Assert.InRange(left.R, (colours[t] >> 16) - 8, (colours[t] >> 16) + 8);
            Assert.InRange(left.B, (colours[t] & 255) - 8, (colours[t] & 255) + 8);
            Assert.InRange(right.G, 247, 255);
        }
    }

    [Fact]
    public void A_bad_name_or_size_leaves_nothing()
    {
        using var folder = new TempFolder();
        Assert.Throws<NablaGenException>(() => GifWriter.Save(folder["a.png"], 4, 4, 4, [Clip.Noise(4, 4, 0)]));
        Assert.Throws<ArgumentException>(() => GifWriter.Save(folder["a.gif"], 5, 4, 4, [Clip.Noise(4, 4, 0)]));
        Assert.Throws<ArgumentException>(() => GifWriter.Save(folder["a.gif"], 4, 4, 4, []));
        Assert.Empty(folder.Files);
    }
}
