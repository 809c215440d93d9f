using NablaGen.Jobs.Compare;

namespace NablaGen.Tests.Jobs.Compare;

public sealed class MeanExpressionTests
{
    // PSNR from the mean squared error: 20 and 40 dB are errors of 1/100 and 1/10,000. An equal video has none.
    [Theory]
    [InlineData(20, 40, 22.967086)]
    [InlineData(20, double.PositiveInfinity, 23.0103)]
    [InlineData(double.PositiveInfinity, double.PositiveInfinity, double.PositiveInfinity)]
    public void Means_are_over_errors_and_sums_of_seconds(double first, double second, double psnr)
    {
        var mean = MeanExpression.Mean([Of(0.2, 10, 2, first, 0.8), Of(0.4, 30, 1, second, 0.9)]);
        Assert.Equal(psnr, mean.Psnr!.Value, 5);
        Assert.Equal((0.3, 20, 0.85), (mean.Density, mean.SamplingSeconds, Math.Round(mean.Ssim!.Value, 6)));
        // 20 s and 30 s of the first expression over 10 s and 30 s.
        Assert.Equal(1.25, mean.SpeedUp, 5);
        Assert.Null(mean.Flicker);
    }

    [Fact]
    public void The_first_has_nothing_that_it_is_compared_with()
    {
        var mean = MeanExpression.Mean([Of(1, 10, 1, null, null), Of(1, 30, 1, null, null)]);
        Assert.Null(mean.Psnr);
        Assert.Null(mean.Ssim);
        Assert.Equal("nabla-0.5,1,20,1,,,,", mean.Csv);
    }

    private static MeanExpression Of(double density, double seconds, double speedUp, double? psnr, double? ssim) =>
        new("nabla-0.5", density, seconds, speedUp, psnr, ssim, null, null);
}
