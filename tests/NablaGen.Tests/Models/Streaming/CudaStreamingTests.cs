using NablaGen.Attention;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Streaming;

/// <summary>Blocks streamed to a CUDA device: the same bits, less memory, nothing left.</summary>
[Trait("gpu", "true")]
[Collection(nameof(AloneCollection))]
public class CudaStreamingTests
{
    private const int Passes = 3;

    // 46 M weights a block, so that copies take longer than the host takes to queue the work: a missing wait would show.
    private static readonly DitConfig Config = DitConfig.Wan1_3B with { NumLayers = 8, TextDim = 256, TextLen = 64 };
    private static readonly ModuleOptions Options = new(CUDA, ScalarType.BFloat16);

    [Theory]
    [InlineData(0, 2)]
    [InlineData(3, 2)]
    [InlineData(1, 4)]
    public void A_streamed_model_computes_the_same_bits(int resident, int slots)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var whole = new WanModel(Config, Options);
        Fill(whole, "");
        using var streamed = Streamed(resident, slots);
        for (var pass = 0; pass < Passes; pass++)
        {
            var expected = Forward(whole, pass, default);
            var actual = Forward(streamed, pass, default);
            Assert.True(expected.isfinite().all().item<bool>());
            Assert.True(expected.eq(actual).all().item<bool>(), $"pass {pass}");
        }
    }

    [Fact]
    public void Streaming_takes_the_memory_of_the_slots_only()
    {
        RequireDevice();
        var block = 2L * 46_000_000;
        var whole = Asked(look =>
        {
            var model = new WanModel(Config, Options);
            Fill(model, "");
            look(0);
            return model;
        });
        var streamed = Asked(look => Streamed(0, 2, look));
        TestContext.Current.TestOutputHelper!.WriteLine($"whole {whole >> 20} MiB, streamed {streamed >> 20} MiB");
        Assert.InRange(whole - streamed, 5 * block, 7 * block);
    }

    [Fact]
    public void A_pass_that_is_cancelled_leaves_nothing()
    {
        RequireDevice();
        using var noGrad = no_grad();
        Cancelled();
        DeviceCache.Release(CUDA);
        var free = CudaDevices.Open(CUDA).Memory().Free;
        var live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Cancelled();
        DeviceCache.Release(CUDA);
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.InRange(free - CudaDevices.Open(CUDA).Memory().Free, long.MinValue, 32L << 20);
    }

    [Fact]
    public void The_cache_is_given_back()
    {
        RequireDevice();
        var cuda = CudaDevices.Open(CUDA);
        empty([1L << 30], ScalarType.Byte, CUDA).Dispose();
        var held = cuda.Memory().Free;
        DeviceCache.Release(CUDA);
        Assert.True(cuda.Memory().Free - held >= 1L << 30);
        using var after = ones([4], device: CUDA);
        Assert.Equal(4, after.sum().item<float>());
    }

    private static void Cancelled()
    {
        using var scope = NewDisposeScope();
        using var stop = new CancellationTokenSource();
        using var model = Streamed(0, 2, layer =>
        {
            if (layer == 3)
            {
                stop.Cancel();
            }
        });
        Assert.Throws<OperationCanceledException>(() => Forward(model, 0, stop.Token));
    }

    // The most that tensors hold when a block is asked for, by the allocator's own counter: what it maps for them follows its mood.
    private static long Asked(Func<Action<int>, WanModel> make)
    {
        using var noGrad = no_grad();
        var before = DeviceCache.AllocatedBytes(CUDA);
        var most = 0L;
        using var scope = NewDisposeScope();
        using var model = make(_ => most = Math.Max(most, DeviceCache.AllocatedBytes(CUDA)));
        Forward(model, 0, default).Dispose();
        return most - before;
    }

    private static WanModel Streamed(int resident, int slots, Action<int>? onGet = null)
    {
        var blocks = WanLayers.Stream(Config, Options, new LayerPlacement(resident, slots), (layer, block) => Fill(block, $"blocks.{layer}."));
        var model = new WanModel(Config, Options, onGet is null ? blocks : new Watched(blocks, onGet));
        Fill(model, "");
        return model;
    }

    // Each parameter's values follow from its name, wherever it lies.
    private static void Fill(nn.Module module, string prefix)
    {
        using var noGrad = no_grad();
        foreach (var (name, parameter) in module.named_parameters())
        {
            using var scope = NewDisposeScope();
            var seed = (prefix + name).Aggregate(17UL, (hash, letter) => hash * 31 + letter) % 1_000_003;
            using var generator = new Generator(seed);
            parameter.copy_(randn(parameter.shape, generator: generator) * 0.02);
        }
    }

    private static Tensor Forward(WanModel model, int seed, CancellationToken cancellation)
    {
        using var scope = NewDisposeScope();
        using var attention = AttentionFactory.Create(AttentionExpression.Parse("nabla-0.6"), CUDA, denseSteps: 0);
        using var run = new DitRun(Config, 3, 32, 32, attention, Options) { Cancellation = cancellation };
        using var generator = new Generator((ulong)seed + 1);
        var x = randn([1, 16, 3, 32, 32], generator: generator).to(CUDA);
        var context = randn([1, 20, 256], generator: generator).to(CUDA);
        return model.forward(x, tensor(new[] { 500L }).to(CUDA), context, run).MoveToOuterDisposeScope();
    }

    private static void RequireDevice() => Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");

    private sealed class Watched(ILayerSource<WanLayer> blocks, Action<int> onGet) : ILayerSource<WanLayer>
    {
        public int Count => blocks.Count;

        public WanLayer Get(int layer)
        {
            onGet(layer);
            return blocks.Get(layer);
        }

        public void Dispose() => blocks.Dispose();
    }
}
