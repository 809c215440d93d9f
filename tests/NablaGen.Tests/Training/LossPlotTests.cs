using NablaGen.Training.Runs;
using SkiaSharp;

namespace NablaGen.Tests.Training;

public class LossPlotTests
{
    [Fact]
    public void A_falling_loss_goes_from_the_top_left_to_the_bottom_right_of_the_picture()
    {
        using var folder = new TempFolder();

        Assert.Null(LossPlot.Save(folder["loss.png"], "dit", [.. Enumerable.Range(1, 500).Select(step => (step, 2 / Math.Sqrt(step)))]));

        using var plot = SKBitmap.Decode(folder["loss.png"]);
        Assert.Equal((900, 500), (plot.Width, plot.Height));
        List<(int X, int Y)> line = [];
        for (var i = 0; i < plot.Width * plot.Height; i++)
        {
            if (plot.GetPixel(i % plot.Width, i / plot.Width) == new SKColor(30, 90, 170))
            {
                line.Add((i % plot.Width, i / plot.Width));
            }
        }

        Assert.InRange(line[0].Y, 20, 100);
        Assert.InRange(line[^1].Y, 350, 480);
        Assert.True(line[0].X < line[^1].X);
        Assert.InRange(line[^1].X, 800, 900);
    }

    [Fact]
    public void One_record_makes_no_picture()
    {
        using var folder = new TempFolder();
        Assert.NotNull(LossPlot.Save(folder["loss.png"], "dit", [(1, 0.5)]));
        Assert.Empty(folder.Files);
    }
}
