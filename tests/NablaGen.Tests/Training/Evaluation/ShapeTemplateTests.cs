using NablaGen.Training.Evaluation;
using NablaGen.Training.World;

namespace NablaGen.Tests.Training.Evaluation;

public class ShapeTemplateTests
{
    // OutlineFit leaves pixels out by it.
    [Fact]
    public void No_distance_changes_faster_than_the_slope()
    {
        var random = new Random(3);
        double Draw(double most) => ((2 * random.NextDouble()) - 1) * most;
        foreach (var template in Enum.GetValues<ShapeKind>().Select(ShapeTemplate.Of))
        {
            Assert.InRange(template.Slope, 1, 1.6);
            for (int i = 0; i < 20_000; i++)
            {
                double u = Draw(2.5), v = Draw(2.5), across = Draw(0.3), down = Draw(0.3);
                double change = Math.Abs(template.Distance(u + across, v + down) - template.Distance(u, v));
                Assert.True(change <= (template.Slope * Math.Sqrt((across * across) + (down * down))) + 1e-5, $"{change} from ({u}, {v}) to ({u + across}, {v + down})");
            }
        }
    }
}
