using NablaGen.Attention;
using NablaGen.Jobs.Benchmarks;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;

namespace NablaGen.Tests.Models;

public class DitBenchmarkTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Passes_and_training_steps_can_be_timed(bool training)
    {
        using var golden = Golden.Open("dit");
        using var model = golden.Dit();
        var timings = DitBenchmark.Run(
            model.Config, (2, 32, 32), [AttentionExpression.Parse("dense"), AttentionExpression.Nabla(0.3)], ModuleOptions.Cpu, repeats: 1,
            training: training ? () => new TorchDitOps() : null, cancellation: TestContext.Current.CancellationToken).ToArray();
        Assert.Equal(["dense", "nabla-0.3"], timings.Select(timing => timing.Attention));
        Assert.Equal(1, timings[0].Density);
        Assert.InRange(timings[1].Density, 0.01, 0.9);
        Assert.All(timings, timing => Assert.True(timing.Milliseconds > 0));
    }
}
