using NablaGen.Attention;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models.Streaming;

public class LayerStreamerTests
{
    private static readonly DitConfig Config = new()
    {
        Dim = 48,
        FfnDim = 64,
        NumHeads = 4,
        NumLayers = 5,
        TextDim = 20,
        TextLen = 12,
        InDim = 4,
        OutDim = 4,
        FreqDim = 16,
    };

    [Theory]
    [InlineData(0, 2, ScalarType.Float32)]
    [InlineData(2, 2, ScalarType.Float32)]
    [InlineData(3, 2, ScalarType.BFloat16)]
    [InlineData(4, 2, ScalarType.Float32)]
    [InlineData(1, 3, ScalarType.BFloat16)]
    [InlineData(0, 5, ScalarType.Float32)]
    public void A_streamed_model_computes_the_same_bits(int resident, int slots, ScalarType dtype)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var weights = new TempFolder();
        var options = new ModuleOptions(CPU, dtype);
        using var whole = new WanModel(Config, options);
        using var file = Save(whole, weights["dit.safetensors"]);
        using var streamed = new WanModel(Config, options, Streamer(file, options, resident, slots, []));
        CheckpointLoader.Copy(file, streamed);

        // Twice: the second pass finds blocks in the slots.
        for (var seed = 1; seed <= 2; seed++)
        {
            AssertSame(Forward(whole, options, seed), Forward(streamed, options, seed));
        }
    }

    [Fact]
    public void The_next_block_comes_while_one_computes()
    {
        using var weights = new TempFolder();
        var log = new List<string>();
        using var whole = new WanModel(Config, ModuleOptions.Cpu);
        using var file = Save(whole, weights["dit.safetensors"]);
        using (var blocks = Streamer(file, ModuleOptions.Cpu, resident: 0, slots: 2, log))
        {
            for (var layer = 0; layer < 6; layer++)
            {
                blocks.Get(layer % 5);
            }
        }

        Assert.Equal(
            ["copy 0 to 0", "copy 1 to 1", "use 0", "copy 2 to 0", "use 1", "copy 3 to 1", "use 0", "copy 4 to 0", "use 1", "copy 0 to 1", "use 0", "copy 1 to 0", "use 1", "disposed"],
            log);
    }

    [Theory]
    [InlineData(3)] // a layer on the host
    [InlineData(7)] // the second slot
    public void A_constructor_that_throws_leaves_nothing_in_memory(int failing)
    {
        using var scope = NewDisposeScope();
        var pools = new List<ParameterPool>();
        var made = 0;
        WanLayer Make(ModuleOptions options)
        {
            pools.AddRange(options.Pool is { } pool ? [pool] : []);
            return made++ == failing ? throw new InvalidOperationException("full") : new WanLayer(Config, options);
        }

        Assert.Throws<InvalidOperationException>(() => new LayerStreamer<WanLayer>(
            5, ModuleOptions.Cpu, new LayerPlacement(0, 2), Make, (_, _) => { }, (slots, hosts) => new PlainUploads(slots, hosts, [])));
        Assert.Equal(failing, pools.Count);
        Assert.All(pools, pool => Assert.ThrowsAny<Exception>(() => pool.Take([1], ScalarType.Float32)));
    }

    [Fact]
    public void Blocks_that_stay_are_spread_and_need_no_copies()
    {
        Assert.Equal([false, false, true, false, true], Enumerable.Range(0, 5).Select(layer => LayerPlacement.IsResident(layer, 2, 5)));
        for (var count = 1; count < 40; count++)
        {
            for (var resident = 0; resident < count; resident++)
            {
                Assert.Equal(resident, Enumerable.Range(0, count).Count(layer => LayerPlacement.IsResident(layer, resident, count)));
            }
        }

        using var weights = new TempFolder();
        var log = new List<string>();
        using var whole = new WanModel(Config, ModuleOptions.Cpu);
        using var file = Save(whole, weights["dit.safetensors"]);
        using var blocks = Streamer(file, ModuleOptions.Cpu, resident: 4, slots: 2, log);
        for (var i = 0; i < 10; i++)
        {
            blocks.Get(i % 5);
        }

        // Only the first layer's is streamed, and once there it stays.
        Assert.Equal(["copy 0 to 0", "use 0", "use 0"], log);
    }

    [Fact]
    public void Any_order_is_right()
    {
        using var scope = NewDisposeScope();
        using var weights = new TempFolder();
        using var whole = new WanModel(Config, ModuleOptions.Cpu);
        using var file = Save(whole, weights["dit.safetensors"]);
        using var blocks = Streamer(file, ModuleOptions.Cpu, resident: 1, slots: 2, []);
        foreach (var layer in new[] { 3, 0, 0, 4, 2, 1, 3, 3, 0 })
        {
            var expected = file.Read($"blocks.{layer}.ffn.0.weight");
            var actual = blocks.Get(layer).named_parameters().Single(pair => pair.name == "ffn.0.weight").parameter;
            AssertSame(expected, actual);
        }
    }

    [Fact]
    public void Nothing_is_left_after_disposal_or_a_failure()
    {
        using var weights = new TempFolder();
        using var whole = new WanModel(Config, ModuleOptions.Cpu);
        using var file = Save(whole, weights["dit.safetensors"]);
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        var log = new List<string>();
        new WanModel(Config, ModuleOptions.Cpu, Streamer(file, ModuleOptions.Cpu, 2, 2, log)).Dispose();
        Assert.Equal("disposed", log[^1]);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);

        Assert.Throws<NablaGenException>(() => WanLayers.Stream(
            Config, ModuleOptions.Cpu, new LayerPlacement(2, 2), (layer, _) => Refuse(layer == 3), (_, _) => throw new InvalidOperationException()));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void A_cancelled_pass_can_be_begun_again()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var weights = new TempFolder();
        using var whole = new WanModel(Config, ModuleOptions.Cpu);
        using var file = Save(whole, weights["dit.safetensors"]);
        using var stop = new CancellationTokenSource();
        var blocks = Streamer(file, ModuleOptions.Cpu, 0, 2, []);
        using var streamed = new WanModel(Config, ModuleOptions.Cpu, new CancelAt(blocks, 2, stop));
        CheckpointLoader.Copy(file, streamed);
        Assert.Throws<OperationCanceledException>(() => Forward(streamed, ModuleOptions.Cpu, 1, stop.Token));
        AssertSame(Forward(whole, ModuleOptions.Cpu, 1), Forward(streamed, ModuleOptions.Cpu, 1));
    }

    private static void AssertSame(Tensor expected, Tensor actual) => Assert.True(expected.eq(actual).all().item<bool>());

    private static void Refuse(bool isBad)
    {
        if (isBad)
        {
            throw new NablaGenException("a bad file");
        }
    }

    private static SafetensorsFile Save(WanModel model, string path)
    {
        using var noGrad = no_grad();
        using var scope = NewDisposeScope();
        using var generator = new Generator(7);
        foreach (var parameter in model.parameters())
        {
            parameter.copy_(randn(parameter.shape, generator: generator) * 0.3);
        }

        SafetensorsWriter.Write(path, model.named_parameters().Select(pair => KeyValuePair.Create(pair.name, (Tensor)pair.parameter)));
        return SafetensorsFile.Open(path);
    }

    private static ILayerSource<WanLayer> Streamer(ITensorSource file, ModuleOptions options, int resident, int slots, List<string> log) =>
        WanLayers.Stream(
            Config, options, new LayerPlacement(resident, slots), (layer, block) => CheckpointLoader.Load(file.Under(WanModel.LayerPrefix(layer)), block),
            (count, hosts) => new PlainUploads(count, hosts, log));

    private static Tensor Forward(WanModel model, ModuleOptions options, long seed, CancellationToken cancellation = default)
    {
        using var scope = NewDisposeScope();
        using var attention = AttentionFactory.Create(AttentionExpression.Parse("nabla-0.7"), options.Device, denseSteps: 0);
        using var run = new DitRun(Config, 2, 20, 12, attention, options) { Cancellation = cancellation };
        using var generator = new Generator((ulong)seed);
        var x = randn([1, 4, 2, 20, 12], generator: generator);
        var context = randn([1, 9, 20], generator: generator);
        return model.forward(x, tensor(new[] { 500L }), context, run).MoveToOuterDisposeScope();
    }

    private sealed class CancelAt(ILayerSource<WanLayer> blocks, int layer, CancellationTokenSource stop) : ILayerSource<WanLayer>
    {
        public int Count => blocks.Count;

        public WanLayer Get(int index)
        {
            if (index == layer)
            {
                stop.Cancel();
            }

            return blocks.Get(index);
        }

        public void Dispose() => blocks.Dispose();
    }
}
