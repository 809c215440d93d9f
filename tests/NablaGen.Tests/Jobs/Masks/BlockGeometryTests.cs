using NablaGen.Attention;
using NablaGen.Jobs.Masks;
using NablaGen.Models;

namespace NablaGen.Tests.Jobs.Masks;

public class BlockGeometryTests
{
    [Fact]
    public void A_block_is_its_tiles_pixels_in_its_frames()
    {
        // 20 × 12 tokens of 16 × 16 pixels: tiles of 8, 8 and 4 columns, and of 8 and 4 rows.
        var geometry = new BlockGeometry(BlockLayout.Create(3, 12, 20), Patches((1, 2, 2)), new LatentTraits(16, 4, 8));
        Assert.Equal((320, 192), (geometry.Width, geometry.Height));
        Assert.Equal(new BlockPlace(0, 0, 0, 0, 128, 128), geometry.Of(0));
        Assert.Equal(new BlockPlace(0, 0, 256, 0, 64, 128), geometry.Of(2));
        Assert.Equal(new BlockPlace(1, 4, 128, 128, 128, 64), geometry.Of(10));
        Assert.Equal(new BlockPlace(5, 8, 256, 128, 64, 64), geometry.Of(17));
    }

    [Theory]
    [InlineData(2, 9, 17, 1, 2, 2, 4, 8)]
    [InlineData(1, 8, 8, 1, 2, 2, 4, 16)]
    [InlineData(3, 5, 11, 2, 1, 4, 4, 8)]
    public void Every_token_of_a_block_lies_in_its_pixels_and_frames(int time, int height, int width, int pt, int ph, int pw, int stride, int side)
    {
        var layout = BlockLayout.Create(time, height, width);
        var geometry = new BlockGeometry(layout, Patches((pt, ph, pw)), new LatentTraits(4, stride, side));
        var covered = 0L;
        for (var block = 0; block < layout.Blocks; block++)
        {
            var place = geometry.Of(block);
            for (var i = layout.Starts[block]; i < layout.Starts[block] + layout.Lengths[block]; i++)
            {
                // Raster order: (t, h, w). A token's latent frames are pt; the first latent frame is one frame, each later one as many as the stride.
                var (t, h, w) = (layout.Order[i] / (height * width), layout.Order[i] / width % height, layout.Order[i] % width);
                Assert.InRange(w * pw * side, place.Left, place.Left + place.Width - pw * side);
                Assert.InRange(h * ph * side, place.Top, place.Top + place.Height - ph * side);
                Assert.Equal(t == 0 ? 0 : (t * pt - 1) * stride + 1, place.FirstFrame);
                Assert.Equal(((t + 1) * pt - 1) * stride, place.LastFrame);
            }

            covered += (long)place.Width * place.Height * (place.LastFrame - place.FirstFrame + 1);
        }

        // No pixel twice, and none left out.
        Assert.Equal((long)width * pw * side * height * ph * side * ((time * pt - 1) * stride + 1), covered);
    }

    private static TransformerTraits Patches((int Time, int Height, int Width) patch) => new()
    {
        Layers = 1,
        Heads = 1,
        HeadDim = 64,
        FeedForwardWidth = 64,
        Patch = patch,
        Channels = 4,
        TextTokens = 1,
        TextWidth = 1,
    };
}
