using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Attention.Cpu;
using NablaGen.Attention.Cuda;
using NablaGen.Cuda.Attention;
using NablaGen.Cuda.Device;
using NablaGen.Tests.Cuda;
using NablaGen.Training.Attention;
using static TorchSharp.torch;

namespace NablaGen.Tests.Attention;

public class HeadThresholdsTests
{
    private static readonly HeadThresholds Thresholds = new([[0.2, 0.9, 0.5], [1, 0.05, 0.7]]);

    [Theory]
    [InlineData("")]
    [InlineData("_sta-1-3-1")]
    public void Each_head_is_as_it_would_be_alone(string window)
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 20, 28);
        var (q, k, v) = (Draw(layout, 32, 1), Draw(layout, 32, 2), Draw(layout, 32, 3));
        var expression = AttentionExpression.ParseRecipe("nabla-some.json" + window, Thresholds);
        using var attention = AttentionFactory.Create(expression, CPU);
        var backend = new CpuBlockSparseBackend();
        for (var layer = 0; layer < 2; layer++)
        {
            var together = attention.Forward(q, k, v, layout, new AttentionSite(0, layer));
            backend.Forward(q, k, v, layout, expression, out var kept, layer);
            for (var head = 0; head < 6; head++)
            {
                // Two videos of three heads.
                var (video, own) = (head / 3, head % 3);
                Tensor Alone(Tensor x) => x.narrow(0, video, 1).narrow(1, own, 1).contiguous();
                var alone = backend.Forward(
                    Alone(q), Alone(k), Alone(v), layout, AttentionExpression.Parse($"nabla-{Thresholds[layer, own]}{window}"), out var keptAlone);
                Assert.True(Alone(together).eq(alone).all().item<bool>());
                var (mask, maskAlone) = ((NablaGen.Attention.BlockMask)kept, (NablaGen.Attention.BlockMask)keptAlone);
                for (var block = 0; block < layout.Blocks; block++)
                {
                    Assert.Equal(maskAlone.Row(0, block).ToArray(), mask.Row(head, block).ToArray());
                }
            }
        }
    }

    [Fact]
    public void The_gradient_goes_through_each_heads_own_blocks()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(2, 16, 16);
        Tensor[] Leaves() => [.. Enumerable.Range(1, 3).Select(seed => Draw(layout, 16, seed).requires_grad_())];
        var (together, alone) = (Leaves(), Leaves());
        using var attention = DifferentiableAttention.Create(AttentionExpression.Nabla(Thresholds, "x"), CPU);
        attention.Forward(together[0], together[1], together[2], layout, new AttentionSite(0, 1)).square().sum().backward();
        var heads = Enumerable.Range(0, 3).Select(head => DifferentiableBackend.Create(CPU).Forward(
            alone[0].narrow(1, head, 1), alone[1].narrow(1, head, 1), alone[2].narrow(1, head, 1), layout, AttentionExpression.Nabla(Thresholds[1, head]), out _));
        cat(heads.ToArray(), 1).square().sum().backward();
        for (var i = 0; i < 3; i++)
        {
            Assert.True(together[i].grad!.allclose(alone[i].grad!, 1e-5, 1e-6));
        }
    }

    [Fact]
    public void Another_models_heads_are_refused_in_one_line()
    {
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(1, 16, 16);
        var q = randn([1, 4, layout.Tokens, 16]);
        using var attention = AttentionFactory.Create(AttentionExpression.Nabla(Thresholds, "x.json"), CPU);
        Assert.Equal("attention 'nabla-x.json' has thresholds for 2 layers of 3 heads, and the model has 4 heads in layer 0",
            Assert.Throws<NablaGenException>(() => attention.Forward(q, q, q, layout, default)).Message);
        var three = q.narrow(1, 0, 3);
        Assert.Throws<NablaGenException>(() => attention.Forward(three, three, three, layout, new AttentionSite(0, 2)));
        var error = Assert.Throws<InvalidRequestException>(() => Thresholds.Check(AttentionExpression.Nabla(Thresholds, "x.json"), 7, 4));
        Assert.Equal("attention 'nabla-x.json' has thresholds for 2 layers of 3 heads, and the model has 7 layers of 4", error.Message);
    }

    [Fact]
    public void They_are_equal_by_their_numbers()
    {
        HeadThresholds same = new([[0.20001, 0.9, 0.5], [1, 0.05, 0.7]]), other = new([[0.2, 0.9, 0.5], [1, 0.05, 0.71]]);
        Assert.Equal(Thresholds, same);
        Assert.Equal((Thresholds.GetHashCode(), Thresholds.Hash), (same.GetHashCode(), same.Hash));
        Assert.NotEqual(Thresholds, other);
        Assert.NotEqual(Thresholds.Hash, other.Hash);
        Assert.Equal(0.0001, new HeadThresholds([[0.000001]])[0, 0]);
        var json = JsonSerializer.Serialize(Thresholds);
        Assert.Equal("[[0.2,0.9,0.5],[1,0.05,0.7]]", json);
        Assert.Equal(Thresholds, JsonSerializer.Deserialize<HeadThresholds>(json));
        Assert.Throws<JsonException>(() => JsonSerializer.Deserialize<HeadThresholds>("[[0.2],null]"));
    }

    [Theory, Trait("gpu", "true")]
    [InlineData("", 64)]
    [InlineData("_sta-1-3-1", 128)]
    public void On_cuda_each_head_is_as_it_would_be_alone(string window, int dim)
    {
        Gpu.Require();
        using var scope = NewDisposeScope();
        var layout = BlockLayout.Create(3, 20, 28);
        var (q, k, v) = (OnCuda(1), OnCuda(2), OnCuda(3));
        var expression = AttentionExpression.ParseRecipe("nabla-some.json" + window, Thresholds);
        using var backend = new CudaBlockSparseBackend(CUDA);
        using var alone = new CudaBlockSparseBackend(CUDA);
        for (var layer = 0; layer < 2; layer++)
        {
            var together = backend.Forward(q, k, v, layout, expression, out var kept, layer);
            var densities = kept.Statistics.Value.HeadDensities;
            // The CPU's path, from the same rounded numbers.
            new CpuBlockSparseBackend().Forward(q.cpu(), k.cpu(), v.cpu(), layout, expression, out var onCpu, layer);
            Assert.Equal(6, densities.Count);
            for (var head = 0; head < 6; head++)
            {
                var (video, own) = (head / 3, head % 3);
                Tensor Alone(Tensor x) => x.narrow(0, video, 1).narrow(1, own, 1).contiguous();
                var one = alone.Forward(
                    Alone(q), Alone(k), Alone(v), layout, AttentionExpression.Parse($"nabla-{Thresholds[layer, own]}{window}"), out var keptAlone);
                Assert.Equal(keptAlone.Statistics.Value.Density, densities[head]);
                // Bit by bit they need not be: kernels may share out the work in another way.
                Assert.True(Alone(together).to_type(ScalarType.Float32).allclose(one.to_type(ScalarType.Float32), 1e-2, 1e-2));
                Assert.Equal(onCpu.Statistics.Value.HeadDensities[head], densities[head], 0.01);
            }
        }

        Tensor OnCuda(int seed) => Draw(layout, dim, seed).to(CUDA).to_type(ScalarType.BFloat16);
    }

    [Fact, Trait("gpu", "true")]
    public void On_cuda_heads_in_turns_take_their_own_thresholds()
    {
        var device = Gpu.Require();
        var (heads, blocks) = (5, 70);
        using var offsets = new BlockOffsets(device, Enumerable.Repeat(64, blocks).ToArray());
        var random = new Random(4);
        var pooled = Enumerable.Range(0, heads * blocks * 64).Select(_ => (float)random.NextDouble() - 0.5f).Select(x => 3 * x).ToArray();
        using CudaBuffer q = CudaBuffer.From<float>(device, pooled), k = CudaBuffer.From<float>(device, [.. pooled.Reverse()]);
        double[] thresholds = [0.2, 0.9, 0.5, 1, 0.05];
        using var dropped = CudaBuffer.From<float>(device, [.. thresholds.Select(threshold => (float)(1 - threshold))]);
        using var mask = new DeviceBlockMask(device, heads, blocks);
        using var scalar = new DeviceBlockMask(device, heads, blocks);
        // Room for two heads at a time.
        using var nabla = new NablaMaskBuilder(device, scoreBytes: 2L * blocks * NablaScores.StrideFor(blocks) * 4);
        nabla.Run(q.Pointer, k.Pointer, 64, offsets, NablaThreshold.ByHead(dropped.Pointer), null, mask);
        device.Synchronize();
        var got = mask.ToHost();
        for (var head = 0; head < heads; head++)
        {
            nabla.Run(q.Pointer, k.Pointer, 64, offsets, thresholds[head], null, scalar);
            device.Synchronize();
            var expected = scalar.ToHost();
            for (var i = 0; i < blocks * blocks; i++)
            {
                Assert.Equal(expected[head, i / blocks, i % blocks], got[head, i / blocks, i % blocks]);
            }
        }
    }

    // A direction a block, so that the map is far from even.
    private static Tensor Draw(BlockLayout layout, int dim, int seed)
    {
        using var generator = new Generator((ulong)seed);
        var directions = randn([2, 3, layout.Blocks, dim], generator: generator);
        var blocks = tensor(Enumerable.Range(0, layout.Blocks).SelectMany(block => Enumerable.Repeat((long)block, layout.Lengths[block])).ToArray());
        return directions.index_select(2, blocks) + 0.5 * randn([2, 3, layout.Tokens, dim], generator: generator);
    }
}
