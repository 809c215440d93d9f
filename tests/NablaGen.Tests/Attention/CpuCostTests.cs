using System.Diagnostics;
using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using static TorchSharp.torch;

namespace NablaGen.Tests.Attention;

[Trait(Lane.Name, Lane.Alone)]
[Collection(nameof(AloneCollection))]
public class CpuCostTests
{
    [Fact]
    public void At_density_0_2_it_takes_at_most_0_4_of_the_dense_time()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(8, 32, 32);
        var (q, k, v) = (randn(1, 1, layout.Tokens, 128), randn(1, 1, layout.Tokens, 128), randn(1, 1, layout.Tokens, 128));
        var dense = new DenseAttention();
        var sparse = new CpuBlockSparseBackend();
        var expression = AttentionExpression.Nabla(0.2);
        sparse.Forward(q, k, v, layout, expression, out var mask).Dispose();
        Assert.InRange(mask.Statistics.Value.Density, 0.19, 0.22);
        dense.Forward(q, k, v, layout, default).Dispose();

        // In turns, so that a slow spell of the machine meets both.
        var ratios = Enumerable.Range(0, 9).Select(_ =>
        {
            var denseTime = Time(() => dense.Forward(q, k, v, layout, default));
            return Time(() => sparse.Forward(q, k, v, layout, expression, out var _)) / denseTime;
        }).Order().ToArray();
        Assert.InRange(ratios[4], 0, 0.4);
    }

    [Fact]
    public void Memory_is_linear_in_tokens()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "reads /proc");
        using var scope = NewDisposeScope();
        // A mask of tokens × tokens bits alone would be 119 MiB here, and a map of floats 3.7 GiB; inputs and packed copy are 32 MiB.
        var layout = BlockLayout.Create(31, 32, 32);
        var (q, k, v) = (randn(1, 1, layout.Tokens, 32), randn(1, 1, layout.Tokens, 32), randn(1, 1, layout.Tokens, 32));
        var backend = new CpuBlockSparseBackend();
        backend.Forward(q, k, v, layout, AttentionExpression.Nabla(0.02), out var _).Dispose();
        ResidentMemory.ResetPeak();
        var before = ResidentMemory.Now;
        backend.Forward(q, k, v, layout, AttentionExpression.Nabla(0.02), out var _).Dispose();
        // More than the output, or nothing was measured.
        Assert.InRange(ResidentMemory.Peak - before, 4L << 20, 60L << 20);
    }

    private static double Time(Func<Tensor> work)
    {
        var watch = Stopwatch.StartNew();
        work().Dispose();
        return watch.Elapsed.TotalMilliseconds;
    }
}
