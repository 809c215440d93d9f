using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Attention.Cuda;
using NablaGen.Tensors;
using NablaGen.Tests.Cuda;
using static TorchSharp.torch;

namespace NablaGen.Tests.Attention;

[Trait("gpu", "true")]
public class CudaPooledTailTests
{
    // Full and ragged blocks, one block, more than 32 · n of them; both head sizes and types; with a window and a floor.
    public static TheoryData<int, int, int, int, string, ScalarType> Cases() => new()
    {
        { 2, 16, 16, 128, "nabla-0.5+tail", ScalarType.BFloat16 },
        { 3, 13, 10, 64, "nabla-0.7+tail", ScalarType.BFloat16 },
        { 4, 17, 23, 128, "nabla-0.2+tail", ScalarType.Float16 },
        { 5, 40, 56, 64, "nabla-0.1+top3+tail", ScalarType.BFloat16 },
        { 3, 33, 20, 128, "nabla-0.3+tail_sta-3-1-1", ScalarType.BFloat16 },
        { 1, 5, 3, 128, "nabla-0.9+tail", ScalarType.BFloat16 },
    };

    [Theory, MemberData(nameof(Cases))]
    public void Output_equals_the_cpus_to_the_types_rounding(int time, int height, int width, int dim, string text, ScalarType type)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(time, height, width);
        var (q, k, v) = Draw(layout.Tokens, dim, type);
        var expression = AttentionExpression.Parse(text);
        var expected = new CpuBlockSparseBackend().Forward(q.@float(), k.@float(), v.@float(), layout, expression, out _);
        using var backend = new CudaBlockSparseBackend(CUDA);
        foreach (var tokensFirst in new[] { false, true })
        {
            var (there, theres, values) = (There(q, tokensFirst), There(k, tokensFirst), There(v, tokensFirst));
            var output = backend.Forward(there, theres, values, layout, expression, out _);
            Assert.Equal(type, output.dtype);
            // Two roundings of the output and the kernel's own of the weights; a block at the threshold may fall to the other side.
            var error = (output.cpu().@float() - expected).square().mean().sqrt().item<float>() / expected.square().mean().sqrt().item<float>();
            Assert.True(error < 0.01, $"{text}: relative error {error}");
            // With means made before, as rms_norm_rope does.
            var means = new BlockMeans(Pool(q, layout).to(CUDA), Pool(k, layout).to(CUDA));
            var again = backend.Forward(there, theres, values, layout, expression, out _, 0, means).cpu().@float();
            Assert.True((again - expected).square().mean().sqrt().item<float>() / expected.square().mean().sqrt().item<float>() < 0.01);
        }
    }

    [Theory]
    [InlineData("nabla-1")]
    [InlineData("nabla-0.4+top10000")]
    public void No_bit_changes_where_nothing_is_dropped(string text)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 13, 20);
        var (q, k, v) = Draw(layout.Tokens, 128, ScalarType.BFloat16);
        (q, k, v) = (q.cuda(), k.cuda(), v.cuda());
        using var backend = new CudaBlockSparseBackend(CUDA);
        var with = backend.Forward(q, k, v, layout, AttentionExpression.Parse(text + "+tail"), out _);
        Assert.True(with.eq(backend.Forward(q, k, v, layout, AttentionExpression.Parse(text), out _)).all().item<bool>());
    }

    [Fact]
    public void Eight_bits_agree_to_their_precision()
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        Gpu.EightBitKernels(Gpu.Require());
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(4, 33, 40);
        var (q, k, v) = Draw(layout.Tokens, 128, ScalarType.BFloat16);
        // A mean that all keys share, which the eight-bit kernel's log-sum-exp leaves out.
        k = (k.@float() + 1.5f).to_type(ScalarType.BFloat16);
        var expression = AttentionExpression.Parse("nabla-0.3+tail");
        var expected = new CpuBlockSparseBackend().Forward(q.@float(), k.@float(), v.@float(), layout, expression, out _);
        using var backend = new CudaBlockSparseBackend(CUDA, eightBits: true);
        var output = backend.Forward(q.cuda(), k.cuda(), v.cuda(), layout, expression, out _);
        var error = (output.cpu().@float() - expected).square().mean().sqrt().item<float>() / expected.square().mean().sqrt().item<float>();
        Assert.True(error < 0.06, $"relative error {error}");
    }

    [Theory]
    [InlineData("nabla-0.2+top5")]
    [InlineData("nabla-0.05+top40")]
    [InlineData("nabla-0.3+top1")]
    [InlineData("nabla-0.05+top2_sta-3-1-1")]
    [InlineData("nabla-0.05+top100000")]
    public void A_floor_keeps_what_the_cpu_keeps(string text)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(5, 17, 39);
        var (q, k, v) = Draw(layout.Tokens, 64, ScalarType.BFloat16);
        var expression = AttentionExpression.Parse(text);
        new CpuBlockSparseBackend().Forward(q, k, v, layout, expression, out var cpu);
        using var backend = new CudaBlockSparseBackend(CUDA);
        backend.Forward(q.cuda(), k.cuda(), v.cuda(), layout, expression, out var kept);
        foreach (var (found, expected) in kept.Statistics.Value.HeadDensities.Zip(cpu.Statistics.Value.HeadDensities))
        {
            Assert.Equal(expected, found, 3);
        }
    }

    private static (Tensor Q, Tensor K, Tensor V) Draw(int tokens, int dim, ScalarType type)
    {
        var (q, k, v) = BlockSparseTests.Random(2, 3, tokens, dim);
        return (q.to_type(type), k.to_type(type), v.to_type(type));
    }

    private static Tensor There(Tensor x, bool tokensFirst) =>
        tokensFirst ? x.transpose(1, 2).contiguous().cuda().transpose(1, 2) : x.cuda();

    private static Tensor Pool(Tensor x, BlockLayout layout) => stack(
        Enumerable.Range(0, layout.Blocks).Select(i => x.@float().narrow(2, layout.Starts[i], layout.Lengths[i]).mean([2])), 2).flatten(0, 1);
}
