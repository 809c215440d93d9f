using NablaGen.Attention;
using NablaGen.Jobs.Benchmarks;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Text;
using NablaGen.Tensors;
using NablaGen.Training.Dit.Ops;

namespace NablaGen.Tests.Models;

public class DitBenchmarkTests
{
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Passes_and_training_steps_can_be_timed(bool training)
    {
        using var golden = Golden.Open("dit");
        using var sizes = golden.Dit();
        var model = WanVideoModel.InMemory(sizes.Config, new NablaGenJson() with { TextEncoder = TextEncoderConfig.UmT5Xxl with { Dim = sizes.Config.TextDim } }, null, RandomTensorSource.Normal);
        var timings = DitBenchmark.Run(
            model, (2, 32, 32), [AttentionExpression.Parse("dense"), AttentionExpression.Nabla(0.3)], ModuleOptions.Cpu, repeats: 1,
            training: training ? DitTrainingOps.Pass : null, cancellation: TestContext.Current.CancellationToken).ToArray();
        Assert.Equal(["dense", "nabla-0.3"], timings.Select(timing => timing.Attention));
        Assert.Equal(1, timings[0].Density);
        Assert.InRange(timings[1].Density, 0.01, 0.9);
        Assert.All(timings, timing => Assert.True(timing.Milliseconds > 0));
    }
}
