using NablaGen.Training.Evaluation.Results;
using NablaGen.Training.Runs;

namespace NablaGen.Tests.Training.Evaluation;

public sealed class QualityPlotTests
{
    // Wilson's interval, by scipy.stats.binomtest(right, all).proportion_ci(method="wilson").
    [Theory]
    [InlineData(0, 10, 0, 0.277533)]
    [InlineData(51, 56, 0.807374, 0.961311)]
    [InlineData(28, 28, 0.879356, 1)]
    public void A_part_has_an_interval(int right, int all, double low, double high)
    {
        var interval = SuccessInterval.Of(right, all);
        Assert.Equal(low, interval.Low, 4);
        Assert.Equal(high, interval.High, 4);
        Assert.Equal(interval, new SplitResult(all, right, new Dictionary<NablaGen.Training.Evaluation.ClipAttribute, double>()).Interval);
        Assert.Null(new SplitResult(0, 0, new Dictionary<NablaGen.Training.Evaluation.ClipAttribute, double>()).Interval);
    }

    [Fact]
    public void Labels_cover_no_point_and_no_other_label()
    {
        var placement = new LabelPlacement(400, 300);
        var points = Enumerable.Range(0, 12).Select(i => (X: 200 + (i * 4.0), Y: 150 + (i % 3))).ToArray();
        var boxes = points.Select(point => new LabelBox(point.X - 5, point.Y - 5, 10, 10)).ToList();
        boxes.ForEach(placement.Occupy);
        var labels = points.Select(point => placement.Place(point.X, point.Y, 30, 14, 5)).ToList();
        Assert.All(labels, label => Assert.NotNull(label));
        for (var i = 0; i < labels.Count; i++)
        {
            Assert.DoesNotContain(boxes, box => box.Meets(labels[i]!.Value));
            Assert.DoesNotContain(labels.Take(i), other => other!.Value.Meets(labels[i]!.Value));
            Assert.InRange(labels[i]!.Value.Left, 0, 370);
        }

        Assert.Null(new LabelPlacement(20, 20).Place(10, 10, 30, 14, 5));
    }
}
