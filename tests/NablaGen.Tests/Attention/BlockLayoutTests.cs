using NablaGen.Attention;

namespace NablaGen.Tests.Attention;

public class BlockLayoutTests
{
    [Theory]
    [InlineData(1, 8, 8)]
    [InlineData(2, 16, 24)]
    [InlineData(3, 13, 10)]
    [InlineData(1, 1, 1)]
    [InlineData(2, 9, 30)]
    public void Blocks_are_tiles_of_a_frame_in_raster_order(int time, int height, int width)
    {
        var layout = BlockLayout.Create(time, height, width);
        Assert.Equal(Enumerable.Range(0, time * height * width), layout.Order.Order());
        Assert.Equal(time * ((height + 7) / 8) * ((width + 7) / 8), layout.Blocks);
        var next = 0;
        for (var block = 0; block < layout.Blocks; block++)
        {
            Assert.Equal(next, layout.Starts[block]);
            next += layout.Lengths[block];
            var (t, row, column) = layout.Place(block);
            var expected =
                from h in Enumerable.Range(row * 8, Math.Min(8, height - row * 8))
                from w in Enumerable.Range(column * 8, Math.Min(8, width - column * 8))
                select (t * height + h) * width + w;
            Assert.Equal(expected, layout.Order.Skip(layout.Starts[block]).Take(layout.Lengths[block]));
        }

        Assert.Equal(layout.Tokens, next);
    }
}
