using NablaGen.Attention;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Tests.Cuda;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>Sparse + low-rank attention on a CUDA device against the CPU's in float32, of the same numbers.</summary>
[Trait("gpu", "true")]
public class CudaRolaTests
{
    // Rounding the operands of two products costs two or three times what rounding the result does.
    private const double Rounding = 0.006;

    [Theory]
    [InlineData(128, 3, 2, ScalarType.BFloat16)]
    [InlineData(64, 2, 1, ScalarType.BFloat16)]
    [InlineData(128, 1, 1, ScalarType.Float16)]
    public void The_low_rank_branch_agrees(int dim, int heads, int batch, ScalarType type)
    {
        Gpu.Require();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        random.manual_seed(dim);
        var layout = BlockLayout.Raster(3, 11, 13);
        Tensor Draw(double scale, params long[] shape) => (randn(shape) * scale).to_type(type);
        // As one product leaves them: queries, keys and values side by side.
        var joined = Draw(1, batch, layout.Tokens, 3, heads, dim);
        var x = Draw(1, batch, layout.Tokens, heads * dim);
        var sparse = Draw(0.5, batch, layout.Tokens, heads, dim).transpose(1, 2);
        var small = new[] { Draw(0.2, 64, dim), Draw(0.2, 64, dim), Draw(0.1, 1, dim), Draw(1, 1, heads, 1, 1) };

        Tensor Run(Device device, IDitOps ops, ScalarType dtype)
        {
            Tensor There(Tensor t) => t.to(device).to_type(dtype);
            Parameter Weight(int i) => new(There(small[i]), requires_grad: false);
            using var head = new RopeTable(layout, dim, device);
            using var rope = new LowRankRope(head, 64, type);
            var all = There(joined);
            Tensor Part(int part) => all.select(2, part).transpose(1, 2);
            return ops.AddLowRank(new LowRankWeights(Weight(0), Weight(1), Weight(2), Weight(3)), There(sparse), Part(0), Part(1), Part(2), There(x), rope).cpu();
        }

        using var fused = new CudaDitOps(CUDA, type, layout) { FusesLowRank = true };
        using var plain = new TorchDitOps();
        var (exact, actual) = (Run(CPU, plain, ScalarType.Float32), Run(CUDA, fused, type));
        // Each by itself, so that a failure says which.
        Assert.Multiple(
            () => Assert.InRange(Golden.RelativeError(Run(CUDA, plain, type), exact), 0, Rounding),
            () => Assert.InRange(Golden.RelativeError(actual, exact), 0, Rounding));
        // It is the branch's doing that they agree: without it they are far apart.
        Assert.InRange(Golden.RelativeError(sparse, exact), 0.05, double.MaxValue);
    }

    [Theory]
    [InlineData(128, 1050, 52)]
    [InlineData(128, 512, 51)]
    [InlineData(64, 33, 1)]
    [InlineData(64, 7, 7)]
    [InlineData(128, 150, 149)]
    public void The_mask_has_the_highest_scores(int headSize, int blocks, int count)
    {
        const int Heads = 3;
        var device = Gpu.Require();
        var draw = new Draw(blocks);
        // Far apart: as exponentials most of them would be zero alike.
        float[] q = draw.Floats(Heads * blocks * headSize, 8), k = draw.Floats(Heads * blocks * headSize, 8);
        using CudaBuffer pooledQ = CudaBuffer.From<float>(device, q), pooledK = CudaBuffer.From<float>(device, k);
        // The last block is not full, which counts for nothing.
        using var offsets = new BlockOffsets(device, [.. Enumerable.Repeat(64, blocks - 1), 3]);
        using var mask = new DeviceBlockMask(device, Heads, blocks, withLists: true);
        using var builder = new NablaMaskBuilder(device, 2L * blocks * (blocks + 3) * 4);
        var any = new AttentionTensor(0, ElementType.BFloat16, 1, Heads, offsets.Tokens, headSize, 0, 0, 0);
        builder.RunTop(any, any, offsets, (pooledQ.Pointer, pooledK.Pointer), count, mask);
        device.Synchronize();

        var (got, lists, different) = (mask.ToHost(), mask.ListsToHost(), 0);
        for (var row = 0; row < Heads * blocks; row++)
        {
            var at = row / blocks * blocks;
            double Score(int key) => Enumerable.Range(0, headSize).Sum(d => (double)q[(row * headSize) + d] * k[((at + key) * headSize) + d]);
            var expected = Enumerable.Range(0, blocks).OrderByDescending(Score).Take(count).ToHashSet();
            var kept = Enumerable.Range(0, blocks).Where(key => got[row / blocks, row % blocks, key]).Select(key => (ushort)key).ToArray();
            Assert.Equal(kept, lists[row]);
            Assert.InRange(kept.Length, count, count + 1);
            different += kept.Count(key => !expected.Contains(key));
        }

        Assert.InRange(different, 0, 0.001 * Heads * blocks * count);
    }

    [Theory]
    [InlineData("rola-0.1")]
    [InlineData("rola-1")]
    public void A_transformer_agrees(string expression)
    {
        Gpu.Require();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        random.manual_seed(2);
        var config = new DitConfig { Dim = 256, FfnDim = 256, NumHeads = 2, NumLayers = 2, FreqDim = 64, TextDim = 64, TextLen = 64, LowRank = 64 };
        using var exact = new WanModel(config, ModuleOptions.Cpu);
        using var rounded = new WanModel(config, ModuleOptions.Cpu with { Dtype = ScalarType.BFloat16 });
        using var actual = new WanModel(config, new ModuleOptions(CUDA, ScalarType.BFloat16));
        foreach (var ((parameter, other), third) in exact.parameters().Zip(rounded.parameters()).Zip(actual.parameters()))
        {
            other.copy_(parameter.normal_(0, 0.08));
            third.copy_(parameter);
            parameter.copy_(other);
        }

        var (x, t, context) = (randn([1, 16, 5, 30, 26]), tensor(new[] { 500.0 }), randn([1, 20, 64]));
        Tensor Run(WanModel model)
        {
            var device = model.Options.Device;
            using var attention = AttentionFactory.Create(AttentionExpression.Parse(expression), device);
            using var run = new DitRun(config, 5, 30, 26, attention, model.Options);
            return model.forward(x.to(device), t.to(device), context.to(device), run).cpu();
        }

        // As the other models: at most twice as far as the CPU in bfloat16, and a little, for rounding moves blocks.
        var expected = Run(exact);
        Assert.InRange(Golden.RelativeError(Run(actual), expected), 0, 2 * Golden.RelativeError(Run(rounded), expected) + 0.01);
    }
}
