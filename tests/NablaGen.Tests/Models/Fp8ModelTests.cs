using NablaGen.Attention;
using NablaGen.Cli;
using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Models;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using NablaGen.Tests.Models.Streaming;
using NablaGen.Tests.Weights.Lora;
using NablaGen.Weights;
using NablaGen.Weights.Lora;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>Transformers whose layers multiply in fp8, on the CPU, where the products are those of the same rounded numbers in float32.</summary>
public class Fp8ModelTests
{
    private static readonly TransformerFormats Fp8 = TransformerFormats.Plain with { Matrices = MatrixFormats.Fp8 };
    private static readonly ModuleOptions Options = Fp8.Over(ModuleOptions.Cpu);

    [Fact]
    public void The_golden_transformers_error_is_that_of_rounding_to_three_bits()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        using var model = golden.Dit(Options);
        var counted = new CountingOps();
        var error = Golden.RelativeError(Forward(golden, model, counted), golden["out.dense"]);
        TestContext.Current.TestOutputHelper!.WriteLine($"fp8 {error:0.0000}");
        // Random weights forget nothing: each product's 3.7% stays.
        Assert.InRange(error, 1e-3, 0.1);

        // Each product but those of an attention's output and of the prompt gets rows that the op before has quantised.
        var layers = model.Config.NumLayers;
        Assert.Equal((3 * layers, 3 * layers), (counted.QuantisedNorms, counted.Norms));
        Assert.Equal(layers, counted.QuantisedGelus);
    }

    [Fact]
    public void Only_the_layers_matrices_are_in_fp8()
    {
        using var model = new WanModel(DitConfig.WanI2V14B with { NumLayers = 1 }, Options with { Device = META });
        var formats = model.Matrices().ToLookup(pair => pair.Matrix is Fp8Matrix, pair => pair.Name);
        Assert.All(formats[true], name => Assert.StartsWith("blocks.0.", name));
        Assert.All(formats[false], name => Assert.DoesNotContain("blocks.", name));
        Assert.Equal(12, formats[true].Count());
        using var dense = new WanModel(model.Config, ModuleOptions.Meta);
        Assert.Equal(dense.Shapes().OrderBy(pair => pair.Key).Select(pair => (pair.Key, string.Join(',', pair.Value))), model.Shapes().OrderBy(pair => pair.Key).Select(pair => (pair.Key, string.Join(',', pair.Value))));
    }

    [Fact]
    public void A_plan_counts_the_smaller_weights()
    {
        var plain = WanVideoModel.InMemory(DitConfig.Wan14B, new NablaGenJson(), tokenizer: null, RefuseToOpen);
        var (bf16, fp8) = (Bytes(plain), Bytes(plain.WithFormats(Fp8)));
        Assert.InRange(fp8 / (double)bf16, 0.5, 0.55);

        static long Bytes(VideoModel model)
        {
            var sizes = model.SizesIn(ScalarType.BFloat16, ScalarType.BFloat16);
            return sizes.Transformer + model.Transformer.Layers * sizes.Layer;
        }
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Streamed_layers_compute_the_same_bits(int resident)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        using var whole = golden.Dit(Options);
        var weights = golden.Source.Under("weights.");
        var layers = WanLayers.Stream(
            whole.Config, Options, new LayerPlacement(resident, 2), (number, layer) => CheckpointLoader.Load(weights.Under(WanModel.LayerPrefix(number)), layer),
            (slots, hosts) => new PlainUploads(slots, hosts, []));
        using var streamed = new WanModel(whole.Config, Options, layers);
        CheckpointLoader.Copy(weights, streamed);
        Assert.True(Forward(golden, whole).eq(Forward(golden, streamed)).all().item<bool>());
    }

    [Fact]
    public void A_lora_is_merged_before_rounding()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        GoldenModelFolder.Assemble(folder["model"]);
        using var golden = Golden.Open("dit");
        new LoraWriter(golden.Source.Under("weights."), 1).Write(folder["style.safetensors"], "kohya");
        var lora = WanVideoModel.Open(folder["model"]).WithLoras([new LoraChoice(folder["style.safetensors"], 1)]);
        using var plain = (WanModel)lora.LoadTransformer(ModuleOptions.Cpu);
        using var rounded = (WanModel)lora.WithFormats(Fp8).LoadTransformer(ModuleOptions.Cpu);
        var exact = plain.Matrices().ToDictionary(pair => pair.Name, pair => ((DenseMatrix)pair.Matrix).Weight);
        var matrices = rounded.Matrices().Where(pair => pair.Matrix is Fp8Matrix).ToList();
        Assert.NotEmpty(matrices);
        foreach (var (name, matrix) in matrices)
        {
            var (codes, scales) = Fp8Rows.Quantize(exact[name]);
            Assert.True(codes.eq(((Fp8Matrix)matrix).Codes).all().item<bool>(), name);
            Assert.True(scales!.eq(((Fp8Matrix)matrix).Scales).all().item<bool>(), name);
        }
    }

    // Weights that fp8 can hold, whose products overflow: the row's scale is infinite, and the video is refused with what to try.
    [Fact]
    public void Activations_that_overflow_are_named()
    {
        using var scope = NewDisposeScope();
        using var folder = new TempFolder();
        GoldenModelFolder.Assemble(folder["model"]);
        var path = Path.Combine(folder["model"], GoldenModelFolder.DitFile);
        using (var source = TensorSources.Open(path))
        {
            SafetensorsWriter.Write(folder["huge.safetensors"], source.Entries.Keys.Select(name => KeyValuePair.Create(
                name, name.EndsWith("ffn.0.weight", StringComparison.Ordinal) ? source.Read(name).to_type(ScalarType.Float32).mul(1e37) : source.Read(name).to_type(ScalarType.Float32))));
        }

        File.Move(folder["huge.safetensors"], path, overwrite: true);
        using var pipeline = new TextToVideo(WanVideoModel.Open(folder["model"]).WithFormats(Fp8), CPU, ScalarType.Float32);
        var request = new PartialRequest { Prompt = "a", Seed = 3, Steps = 1, Guidance = 1, Width = 64, Height = 64, Frames = 1, Solver = "euler" }.ToRequest(pipeline.Defaults);
        var error = Assert.Throws<NablaGenException>(() => pipeline.Generate(request, folder["a.png"]));
        Assert.StartsWith("the latents contain NaN or infinity after sampling with euler, 1 steps and guidance 1 in float32 with products in fp8, so no video was made: try --precision bf16", error.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(folder["a.png"]));
    }

    // A seed alone says little: with one or the other it is a third to five thirds of the mean.
    [Fact]
    public void The_tiny_models_latents_are_stated()
    {
        using var scope = NewDisposeScope();
        var tiny = WanVideoModel.Open(Path.GetDirectoryName(ModelLocator.InTheBox("config.json"))!);
        int[] seeds = [1, 2, 3, 4];
        var float32 = Latents(tiny, ScalarType.Float32);
        var bf16 = Error(tiny);
        var fp8 = Error(tiny.WithFormats(Fp8));
        TestContext.Current.TestOutputHelper!.WriteLine($"latents to float32's: bf16 {bf16:0.0000}, fp8 {fp8:0.0000}");
        Assert.InRange(fp8, bf16, 0.13);

        double Error(VideoModel model) => Latents(model, ScalarType.BFloat16).Zip(float32).Average(pair => Golden.RelativeError(pair.First, pair.Second));

        IReadOnlyList<Tensor> Latents(VideoModel model, ScalarType dtype)
        {
            using var pipeline = new TextToVideo(model, CPU, dtype);
            var request = new PartialRequest { Prompt = "a red ball rolls to the right", Seed = 1, Steps = 2, Guidance = 1, Width = 128, Height = 128, Frames = 9, Solver = "euler" }.ToRequest(pipeline.Defaults);
            using var prepared = pipeline.Prepare([request]).Single();
            return pipeline.UseTransformer([prepared], null, (sampler, _) => seeds.Select(seed => sampler.Sample(
                request.Sampling, LatentSampler.Noise(request.LatentShape(model.Latents), seed), prepared.Conditioning)).ToList());
        }
    }

    private static Tensor Forward(Golden golden, WanModel model, IDitOps? ops = null)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var x = golden["x"];
        using var attention = AttentionFactory.Create(AttentionExpression.Dense, CPU, denseSteps: 0);
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, ModuleOptions.Cpu, ops);
        return model.forward(x.unsqueeze(0), golden["t"], golden["context"].unsqueeze(0), run).squeeze(0).MoveToOuterDisposeScope();
    }

    private static ITensorSource RefuseToOpen(string part, IReadOnlyDictionary<string, long[]> shapes) => throw new InvalidOperationException($"{part} is opened");

    // libtorch's ops, and how many of them gave rows in fp8.
    private sealed class CountingOps : IDitOps
    {
        private readonly TorchDitOps _ops = new();

        public int Norms { get; private set; }

        public int QuantisedNorms { get; private set; }

        public int QuantisedGelus { get; private set; }

        public Tensor Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale) => _ops.Modulate(norm, x, shift, scale);

        public Activation Modulate(WanLayerNorm norm, Tensor x, Tensor shift, Tensor scale, bool rowScales) => Count(_ops.Modulate(norm, x, shift, scale, rowScales));

        public Tensor Normalize(WanLayerNorm norm, Tensor x) => _ops.Normalize(norm, x);

        public Tensor NormalizeHeads(WanRmsNorm? norm, Tensor x, int heads, RopeTable? rope) => _ops.NormalizeHeads(norm, x, heads, rope);

        public Tensor AddGated(Tensor x, Tensor y, Tensor? gate) => _ops.AddGated(x, y, gate);

        public (Tensor X, Tensor Normalized) AddGatedAndNormalize(Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, Tensor? shift = null, Tensor? scale = null) =>
            _ops.AddGatedAndNormalize(x, y, gate, norm, shift, scale);

        public (Tensor X, Activation Normalized) AddGatedAndNormalize(
            Tensor x, Tensor y, Tensor? gate, WanLayerNorm norm, bool rowScales, Tensor? shift = null, Tensor? scale = null)
        {
            var (sum, normalized) = _ops.AddGatedAndNormalize(x, y, gate, norm, rowScales, shift, scale);
            return (sum, Count(normalized));
        }

        public Tensor LinearGelu(AutocastLinear layer, Tensor x) => _ops.LinearGelu(layer, x);

        public Activation LinearGelu(AutocastLinear layer, Activation x, bool rowScales)
        {
            Assert.NotNull(x.RowScales);
            var y = _ops.LinearGelu(layer, x, rowScales);
            QuantisedGelus += y.RowScales is null ? 0 : 1;
            return y;
        }

        public void Dispose()
        {
        }

        private Activation Count(Activation x)
        {
            Norms++;
            QuantisedNorms += x.RowScales is null ? 0 : 1;
            return x;
        }
    }
}
