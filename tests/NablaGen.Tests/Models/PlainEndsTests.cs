using NablaGen.Attention;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using NablaGen.Tests.Models.Streaming;
using NablaGen.Weights;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>Transformers whose first and last layer stay in 16 bits while those between multiply in fp8, on the CPU.</summary>
public class PlainEndsTests
{
    private static readonly TransformerFormats Fp8 = TransformerFormats.Plain with { Matrices = MatrixFormats.Fp8 };
    private static readonly TransformerFormats Inner = Fp8 with { HasPlainEnds = true };

    private static readonly DitConfig Config = new()
    {
        TextLen = 32,
        Dim = 64,
        FfnDim = 96,
        FreqDim = 32,
        TextDim = 32,
        NumHeads = 2,
        NumLayers = 4,
    };

    [Fact]
    public void Only_the_matrices_between_are_in_fp8()
    {
        using var model = new WanModel(DitConfig.WanI2V14B with { NumLayers = 4 }, Inner.Over(ModuleOptions.Meta));
        var formats = model.Matrices().ToLookup(pair => pair.Matrix is Fp8Matrix, pair => string.Join('.', pair.Name.Split('.').Take(2)));
        Assert.Equal(["blocks.1", "blocks.2"], formats[true].Distinct().Order());
        Assert.Equal(2 * 12, formats[true].Count());
        Assert.Equal(24, formats[false].Count(name => name is "blocks.0" or "blocks.3"));
    }

    [Fact]
    public void A_plan_counts_the_larger_layers_and_keeps_them_on_the_device()
    {
        var model = WanVideoModel.InMemory(DitConfig.Wan14B, new NablaGenJson(), tokenizer: null, (part, _) => throw new InvalidOperationException($"{part} is opened"));
        var (plain, fp8, inner) = (Needs(model), Needs(model.WithFormats(Fp8)), Needs(model.WithFormats(Inner)));
        Assert.Equal((40, 38, fp8.LayerWeights), (fp8.Layers, inner.Layers, inner.LayerWeights));
        Assert.Equal(fp8.AllDitWeights + (2 * (plain.LayerWeights - fp8.LayerWeights)), inner.AllDitWeights);
        Assert.Equal(2 * plain.LayerWeights, inner.DitWeights - fp8.DitWeights);
        Assert.Equal((0, 2), (fp8.FixedLayers, inner.FixedLayers));
        // Half of the layers between have room; the ends are counted as staying.
        var room = inner.DitWeights + (21 * inner.LayerWeights) + inner.DitWork + inner.Runtime;
        var plan = MemoryPlanner.Plan(inner, new MemoryBudget((long)(room / (1 - MemoryPlanner.Margin)) + 1, long.MaxValue), keepLoaded: false)!;
        Assert.True(plan is { Layers: 38, FixedLayers: 2, ResidentLayers: > 10 and < 21 }, $"{plan.ResidentLayers} of {plan.Layers}");
        Assert.Equal(38 - plan.ResidentLayers, plan.StreamedLayers);
        // Both kinds of layers work.
        Assert.Equal(Math.Max(plain.DitWork, fp8.DitWork), inner.DitWork);

        static MemoryNeeds Needs(VideoModel model) => MemoryEstimate.Of(
            model, model.SizesIn(ScalarType.BFloat16, ScalarType.BFloat16), new VideoWorkload([16, 5, 60, 104], AttentionExpression.Dense), new Device(DeviceType.CUDA), ScalarType.BFloat16);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Streamed_layers_compute_the_same_bits_and_the_ends_are_never_streamed(int resident)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TempFolder();
        using var file = Save(folder["dit.safetensors"]);
        var options = Inner.Over(ModuleOptions.Cpu);
        using var whole = Load(file, options);
        var (filled, log) = (new List<int>(), new List<string>());
        var layers = WanLayers.Stream(
            Config, options, new LayerPlacement(resident, 2),
            (number, layer) =>
            {
                filled.Add(number);
                CheckpointLoader.Load(file.Under(WanModel.LayerPrefix(number)), layer);
            },
            (slots, hosts) =>
            {
                Assert.Equal(2 - resident, hosts.Count);
                return new PlainUploads(slots, hosts, log);
            });
        using var streamed = new WanModel(Config, options, layers);
        CheckpointLoader.Copy(file, streamed);
        Assert.Equal([0, 1, 2, 3], filled.Order());
        Assert.Equal(4, layers.Count);
        var expected = Forward(whole);
        Assert.True(expected.eq(Forward(streamed)).all().item<bool>());

        // The ends make a difference, and so do the layers between.
        using var plain = Load(file, ModuleOptions.Cpu);
        using var fp8 = Load(file, Fp8.Over(ModuleOptions.Cpu));
        var exact = Forward(plain);
        Assert.InRange(Golden.RelativeError(expected, exact), 1e-4, Golden.RelativeError(Forward(fp8), exact));
    }

    [Fact]
    public void With_nothing_between_the_bits_are_those_without_fp8()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var folder = new TempFolder();
        using var file = Save(folder["dit.safetensors"], layers: 2);
        var config = Config with { NumLayers = 2 };
        using var plain = Load(file, ModuleOptions.Cpu, config);
        using var inner = Load(file, Inner.Over(ModuleOptions.Cpu), config);
        Assert.True(Forward(plain).eq(Forward(inner)).all().item<bool>());
    }

    private static WanModel Load(ITensorSource file, ModuleOptions options, DitConfig? config = null)
    {
        var model = new WanModel(config ?? Config, options);
        CheckpointLoader.Load(file, model);
        return model;
    }

    private static SafetensorsFile Save(string path, int layers = 4)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(7);
        using var model = new WanModel(Config with { NumLayers = layers }, ModuleOptions.Cpu);
        foreach (var parameter in model.parameters())
        {
            parameter.copy_(randn(parameter.shape, generator: generator) * 0.3);
        }

        SafetensorsWriter.Write(path, model.named_parameters().Select(pair => KeyValuePair.Create(pair.name, (Tensor)pair.parameter)));
        return SafetensorsFile.Open(path);
    }

    private static Tensor Forward(WanModel model)
    {
        using var scope = NewDisposeScope();
        using var attention = AttentionFactory.Create(AttentionExpression.Dense, CPU);
        using var run = new DitRun(model.Config, 2, 16, 12, attention, ModuleOptions.Cpu);
        using var generator = new Generator(3);
        return model.forward(
            randn([1, 16, 2, 16, 12], generator: generator), tensor(new[] { 500L }), randn([1, 20, Config.TextDim], generator: generator), run).MoveToOuterDisposeScope();
    }
}
