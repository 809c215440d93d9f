using NablaGen.Jobs.Calibration;

namespace NablaGen.Tests.Jobs.Calibration;

public class ThresholdAllocationTests
{
    private static readonly double[] Thresholds = [0.1, 0.3, 0.5, 0.8, 1];

    [Theory]
    [InlineData(1, true)]
    [InlineData(2, true)]
    [InlineData(3, false)]
    [InlineData(4, false)]
    public void No_choice_of_points_has_less_loss_at_its_density(int seed, bool convex)
    {
        var curves = Draw(seed, convex);
        var choices = AllChoices(curves);
        double Best(double density) => choices.Where(choice => choice.Density <= density + 1e-12).Min(choice => choice.Loss);
        Allocation Found(double density) => ThresholdAllocation.ForDensity([.. curves.Select(points => new HeadCurve(points))], density);

        // Where only whole steps are taken, the points themselves are chosen.
        var breaks = Breaks(curves).ToArray();
        Assert.True(breaks.Length > curves.Length);
        foreach (var density in breaks)
        {
            Assert.All(Found(density).Thresholds, threshold => Assert.Contains(Thresholds, point => Math.Abs(point - threshold) < 1e-9));
            Assert.Equal(Best(density), Found(density).Loss, 1e-9);
            Assert.Equal(density, Found(density).Density, 1e-9);
        }

        foreach (var (density, _) in convex ? choices : [])
        {
            Assert.True(Found(density).Loss <= Best(density) + 1e-9, $"{Found(density).Loss} at {density}, and {Best(density)} can be had");
        }
    }

    [Theory]
    [InlineData(5)]
    [InlineData(6)]
    public void No_choice_of_points_has_less_density_at_its_error(int seed)
    {
        var curves = Draw(seed, convex: true);
        foreach (var (_, loss) in AllChoices(curves))
        {
            var found = ThresholdAllocation.ForError(curves.Select(points => new HeadCurve(points)).ToArray(), Math.Sqrt(loss));
            Assert.True(found.Loss <= loss + 1e-9, $"a loss of {loss} is asked for, {found.Loss} found");
            var best = AllChoices(curves).Where(choice => choice.Loss <= loss + 1e-12).Min(choice => choice.Density);
            Assert.True(found.Density <= best + 1e-9, $"{found.Density} at {loss}, and {best} can be had");
        }
    }

    [Theory]
    [InlineData(0.15)]
    [InlineData(0.4)]
    [InlineData(0.77)]
    public void The_density_is_met_and_one_threshold_for_all_is_worse(double density)
    {
        var curves = Draw(7, convex: true).Select(points => new HeadCurve(points)).ToArray();
        var (found, global) = (ThresholdAllocation.ForDensity(curves, density), ThresholdAllocation.Global(curves, density));
        Assert.Equal(density, found.Density, 1e-9);
        Assert.Equal(density, global.Density, 1e-9);
        Assert.Single(global.Thresholds.Distinct());
        Assert.True(found.Loss < global.Loss, $"{found.Loss}, {global.Loss}");
    }

    [Fact]
    public void What_cannot_be_met_gives_the_curves_ends()
    {
        var curves = Draw(8, convex: true).Select(points => new HeadCurve(points)).ToArray();
        Assert.All(ThresholdAllocation.ForDensity(curves, 0.001).Thresholds, threshold => Assert.Equal(Thresholds[0], threshold));
        Assert.All(ThresholdAllocation.ForDensity(curves, 1).Thresholds, threshold => Assert.Equal(1, threshold));
        Assert.All(ThresholdAllocation.ForError(curves, 100).Thresholds, threshold => Assert.Equal(Thresholds[0], threshold));
        Assert.Equal(0, ThresholdAllocation.ForError(curves, 0).Loss, 1e-12);
    }

    // The mean densities at which the climb is between two steps.
    private static IEnumerable<double> Breaks(CurvePoint[][] curves)
    {
        var heads = curves.Select(points => new HeadCurve(points)).ToArray();
        var density = heads.Sum(head => head.Hull[0].Density);
        yield return density / heads.Length;
        var steps = heads.SelectMany(head => head.Hull.Zip(head.Hull.Skip(1), (a, b) => (Width: b.Density - a.Density, Gain: (a.Loss - b.Loss) / (b.Density - a.Density))));
        foreach (var step in steps.OrderByDescending(step => step.Gain))
        {
            density += step.Width;
            yield return density / heads.Length;
        }
    }

    private static (double Density, double Loss)[] AllChoices(CurvePoint[][] curves)
    {
        IEnumerable<(double Density, double Loss)> choices = [(0, 0)];
        foreach (var points in curves)
        {
            choices = choices.SelectMany(choice => points.Select(point => (choice.Density + point.Density / curves.Length, choice.Loss + point.Loss))).ToArray();
        }

        return choices.ToArray();
    }

    private static CurvePoint[][] Draw(int seed, bool convex)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, 3).Select(_ =>
        {
            var densities = Thresholds.Select(_ => random.NextDouble()).Order().ToArray();
            (densities[0], densities[^1]) = (0.05, 1);
            var scale = Math.Exp(3 * random.NextDouble());
            // A convex function, or points anywhere below a line.
            return Thresholds.Select((threshold, i) => new CurvePoint(
                threshold, densities[i], i == Thresholds.Length - 1 ? 0 : scale * (convex ? Math.Pow(1 - densities[i], 2) : random.NextDouble()))).ToArray();
        })];
    }
}
