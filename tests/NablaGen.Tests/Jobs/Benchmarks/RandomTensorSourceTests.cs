using System.Diagnostics;
using NablaGen.Jobs.Benchmarks;
using static TorchSharp.torch;

namespace NablaGen.Tests.Jobs.Benchmarks;

public class RandomTensorSourceTests
{
    private static RandomTensorSource Source() => RandomTensorSource.Steady("test", new Dictionary<string, long[]>
    {
        ["wide.weight"] = [512, 4096],
        ["other.weight"] = [512, 4096],
        ["norm.weight"] = [4096],
        ["wide.bias"] = [512],
    });

    [Fact]
    public void Weights_have_the_deviation_of_their_inputs_and_differ()
    {
        using var scope = NewDisposeScope();
        using var source = Source();
        var weight = source.Read("wide.weight").to_type(ScalarType.Float32);
        Assert.InRange(weight.std().item<float>() * Math.Sqrt(4096), 0.98, 1.02);
        Assert.InRange(weight.mean().item<float>() * Math.Sqrt(4096), -0.02, 0.02);
        // Rows that repeat would make a matrix of low rank, and tensors that repeat alike attentions.
        var normalized = weight.div(weight.norm(1, keepdim: true));
        var cosines = normalized.matmul(normalized.transpose(0, 1)).sub(eye(512));
        Assert.InRange(cosines.abs().max().item<float>(), 0, 0.2f);
        Assert.False(weight.eq(source.Read("other.weight").to_type(ScalarType.Float32)).all().item<bool>());
        Assert.Equal(1, source.Read("norm.weight").min().to_type(ScalarType.Float32).item<float>());
        Assert.Equal(0, source.Read("wide.bias").abs().max().to_type(ScalarType.Float32).item<float>());
    }

    [Fact]
    public void A_tensor_has_the_same_numbers_whatever_was_drawn_before()
    {
        using var scope = NewDisposeScope();
        Tensor Drawn()
        {
            using var source = Source();
            // Not contiguous: drawn, not copied.
            var target = empty([4096, 512], ScalarType.BFloat16).t();
            source.CopyTo("wide.weight", target);
            return cat([target, source.Read("other.weight")]);
        }

        var first = Drawn();
        _ = randn(7);
        Assert.True(first.eq(Drawn()).all().item<bool>());
    }

    [Fact]
    public void Filling_host_memory_is_a_copy_not_a_draw()
    {
        using var scope = NewDisposeScope();
        var target = empty([16, 1 << 20], ScalarType.BFloat16);
        using var source = RandomTensorSource.Steady("test", new Dictionary<string, long[]> { ["x.weight"] = target.shape });
        source.CopyTo("x.weight", target);
        double Best(Action work) => Enumerable.Range(0, 3).Min(_ =>
        {
            var watch = Stopwatch.StartNew();
            work();
            return watch.Elapsed.TotalSeconds;
        });
        var copied = Best(() => source.CopyTo("x.weight", target));
        var drawn = Best(() => RandomWeights.Fill("x.weight", target));
        Assert.True(copied < drawn / 4, $"{copied:0.000} s, drawn in {drawn:0.000} s");
    }
}
