using NablaGen.Attention;
using NablaGen.Memory;
using NablaGen.Models;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Layouts.Keys;
using NablaGen.Tensors;
using NablaGen.Tensors.Matrices;
using NablaGen.Tests.Models.Streaming;
using NablaGen.Tests.Weights;
using NablaGen.Tests.Weights.Lora;
using NablaGen.Weights;
using NablaGen.Weights.Lora;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>Transformers whose matrices stay as their file has them (<c>--weights resident</c>).</summary>
public class StoredModelTests
{
    private static readonly TransformerFormats Resident = TransformerFormats.Plain with { Matrices = MatrixFormats.Stored };

    [Theory]
    [InlineData("comfy-fp8-scaled.safetensors", 0.6)]
    [InlineData("wan-Q4_K_M.gguf", 0.6)]
    public void A_pass_has_the_bits_of_weights_expanded_as_they_are_read(string file, double most)
    {
        using var scope = NewDisposeScope();
        using var piece = PieceFile.Open(Path.Combine(GoldenFolder.Path, "checkpoints", file));
        using var plain = Load(piece!.Source, ModuleOptions.Cpu);
        using var resident = Load(piece.Source, Resident.Over(ModuleOptions.Cpu));
        Assert.True(Forward(plain).eq(Forward(resident)).all().item<bool>());

        var stored = resident.Matrices().Select(pair => pair.Matrix).OfType<StoredMatrix>().Where(matrix => matrix.Format is not null).ToList();
        Assert.NotEmpty(stored);
        var share = stored.Sum(matrix => matrix.Bytes) / (double)stored.Sum(matrix => 2 * matrix.Inputs * matrix.Outputs);
        TestContext.Current.TestOutputHelper!.WriteLine($"{file}: {stored.Count} matrices at {share:0.000} of bf16");
        Assert.InRange(share, 0.2, most);

        // A streamed layer is plain.
        using var streamed = new WanModel(plain.Config, Resident.Over(ModuleOptions.Cpu), WanLayers.Stream(
            plain.Config, Resident.Over(ModuleOptions.Cpu), new LayerPlacement(0, 2),
            (number, layer) => CheckpointLoader.Copy(piece.Source.Under(WanModel.LayerPrefix(number)), layer), (slots, hosts) => new PlainUploads(slots, hosts, [])));
        CheckpointLoader.Copy(piece.Source, streamed);
        Assert.True(Forward(plain).eq(Forward(streamed)).all().item<bool>());
    }

    [Theory, Trait("gpu", "true")]
    [InlineData("comfy-fp8-scaled.safetensors")]
    [InlineData("wan-Q4_K_M.gguf")]
    public void A_pass_on_cuda_has_the_bits_of_weights_expanded_as_they_are_read(string file)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        var options = new ModuleOptions(CUDA, ScalarType.BFloat16);
        using var piece = PieceFile.Open(Path.Combine(GoldenFolder.Path, "checkpoints", file));
        using var plain = Load(piece!.Source, options);
        using var resident = Load(piece.Source, Resident.Over(options));
        Assert.True(Forward(plain).eq(Forward(resident)).all().item<bool>());
    }

    [Theory]
    [InlineData("F8_E4M3", 0.6, null)]
    [InlineData("Q4_K", 0.4, null)]
    [InlineData("Q4_K", 0.4, 12.0)]
    [InlineData("Q4_K", 0.4, 8.0)]
    public void A_plan_of_the_14B_counts_what_stays(string format, double most, double? budget)
    {
        var model = WanVideoModel.InMemory(DitConfig.Wan14B, new NablaGenJson(), tokenizer: null, (_, shapes) => new Quantised(format, shapes));
        var plain = model.SizesIn(ScalarType.BFloat16, ScalarType.BFloat16);
        var resident = model.WithFormats(Resident);
        var sizes = resident.SizesIn(ScalarType.BFloat16, ScalarType.BFloat16);
        double All(WeightSizes one) => one.Transformer + 40 * one.Layer;
        Assert.InRange(All(sizes) / All(plain), 0.25, most);
        Assert.Equal(plain.Layer, sizes.StreamedLayer);
        if (budget is { } gib)
        {
            var video = new VideoWorkload([16, 21, 60, 104], AttentionExpression.Nabla(0.3), Prompts: 2);
            var needs = MemoryEstimate.Of(resident, sizes, video, new Device("cuda"), ScalarType.BFloat16);
            var plan = MemoryPlanner.Plan(needs, new MemoryBudget((long)(gib * (1L << 30)), 64L << 30), keepLoaded: false);
            Assert.NotNull(plan);
            TestContext.Current.TestOutputHelper!.WriteLine($"{gib} GiB: {plan.ResidentLayers} of {plan.Layers} layers stay, {plan.HostBytes >> 20} MiB of the host's memory");
            Assert.True(plan.Peak <= plan.Budget && plan.ResidentLayers > 0);
        }
    }

    [Fact]
    public void Matrices_that_a_lora_changes_are_plain_and_counted_so()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        GoldenModelFolder.Assemble(folder["model"]);
        using var golden = Golden.Open("dit");
        new LoraWriter(golden.Source.Under("weights."), 1).Write(folder["style.safetensors"], "kohya");
        // The same weights with their matrices in fp8.
        var file = Path.Combine(folder["model"], GoldenModelFolder.DitFile);
        using (var source = SafetensorsFile.Open(file))
        {
            var (header, data) = (new List<string>(), new MemoryStream());
            foreach (var (key, entry) in source.Entries)
            {
                var isMatrix = entry.Shape.Length == 2;
                byte[] bytes = isMatrix ? Codes(source.Read(key)) : source.Read(key).to_type(ScalarType.Float32).bytes.ToArray();
                header.Add($"\"{key}\":{{\"dtype\":\"{(isMatrix ? "F8_E4M3" : "F32")}\",\"shape\":[{string.Join(',', entry.Shape)}],\"data_offsets\":[{data.Length},{data.Length + bytes.Length}]}}");
                data.Write(bytes);
            }

            File.WriteAllBytes(file + ".8", RawFile.Bytes($"{{{string.Join(',', header)}}}", data.ToArray()));
        }

        File.Move(file + ".8", file, overwrite: true);
        var model = WanVideoModel.Open(folder["model"]).WithFormats(Resident);
        var changed = model.WithLoras([new LoraChoice(folder["style.safetensors"], 1)]);
        using var plain = (WanModel)model.LoadTransformer(ModuleOptions.Cpu);
        using var merged = (WanModel)changed.LoadTransformer(ModuleOptions.Cpu);
        Assert.Equal(Kept(plain), Layers(plain));
        Assert.True(Kept(merged) < Layers(merged));
        Assert.Equal(LayerBytes(plain), model.SizesIn(ScalarType.Float32, ScalarType.Float32).Layer);
        Assert.Equal(LayerBytes(merged), changed.SizesIn(ScalarType.Float32, ScalarType.Float32).Layer);

        static byte[] Codes(Tensor matrix) => [.. matrix.to_type(ScalarType.Float32).data<float>().ToArray().Select(E4M3.Encode)];
        static int Kept(WanModel model) => model.Matrices().Count(pair => pair.Matrix is StoredMatrix { Format: not null });
        static int Layers(WanModel model) => model.Matrices().Count(pair => pair.Matrix is StoredMatrix);
        static long LayerBytes(WanModel model) => (model.Matrices().Where(pair => pair.Matrix is StoredMatrix).Sum(pair => pair.Matrix.Bytes)
            + model.named_parameters().Where(pair => pair.name.StartsWith("blocks.", StringComparison.Ordinal)).Sum(pair => pair.parameter.NumberOfElements * pair.parameter.element_size()))
            / model.Config.NumLayers;
    }

    [Fact]
    public void Weights_without_such_a_form_are_refused()
    {
        var model = WanVideoModel.InMemory(DitConfig.Wan1_3B, new NablaGenJson(), tokenizer: null, (_, shapes) => new Quantised(null, shapes));
        var message = Assert.Throws<InvalidRequestException>(() => model.WithFormats(Resident)).Message;
        Assert.Equal("--weights resident has no effect: transformer has no matrix in fp8 or in GGUF's blocks; leave it out", message);
    }

    private static WanModel Load(ITensorSource source, ModuleOptions options)
    {
        var path = Path.Combine(GoldenFolder.Path, "checkpoints", "config.json");
        var model = new WanModel(ModelConfigs.ParseDit(File.ReadAllText(path), path), options);
        CheckpointLoader.Load(source, model);
        return model;
    }

    private static Tensor Forward(WanModel model)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("checkpoints/outputs");
        var x = golden["x"];
        using var attention = AttentionFactory.Create(AttentionExpression.Dense, model.Options.Device, denseSteps: 0);
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, model.Options);
        var device = model.Options.Device;
        return model.forward(x.unsqueeze(0).to(device), golden["t"].to(device), golden["context"].unsqueeze(0).to(device), run).MoveToOuterDisposeScope();
    }

    // The directory of a file whose matrices are in one form: it holds no numbers.
    private sealed class Quantised(string? format, IReadOnlyDictionary<string, long[]> shapes) : ITensorSource
    {
        public string Path => "weights";

        public IReadOnlyList<string> Files => [];

        public IReadOnlyDictionary<string, TensorEntry> Entries { get; } = shapes.ToDictionary(
            pair => pair.Key, pair => new TensorEntry(pair.Key, StoredType.F32, pair.Value, 0, 0), StringComparer.Ordinal);

        public string FileOf(string name) => Path;

        public StoredNumbers? FindStored(string name) => format is null || Entries[name].Shape.Length != 2 ? null : new StoredNumbers(
            format, Entries[name].Shape[0] * Entries[name].Shape[1] * (format == "Q4_K" ? 144 : 256) / 256, _ => { }, (_, _) => { });

        public Tensor Read(string name) => throw new InvalidOperationException(name);

        public void CopyTo(string name, Tensor target) => throw new InvalidOperationException(name);

        public void Dispose()
        {
        }
    }
}
