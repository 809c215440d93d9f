using NablaGen.Attention;
using NablaGen.Generation;
using NablaGen.Generation.Fields;
using NablaGen.Models;
using NablaGen.Models.FewSteps;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Weights;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace NablaGen.Tests.Models;

/// <summary>Sparse + low-rank attention (RoLa) and the checkpoints that have it, without the golden.</summary>
public sealed class RolaTests : IDisposable
{
    private const string Name = "SparkWan2.1-T2V-14B-720P-0.95Sparsity-3Step";

    private readonly TempFolder _folder = new();

    [Fact]
    public void The_expression_is_read_back_and_counts_blocks_rounded_down()
    {
        var rola = AttentionExpression.Parse("rola-0.05");
        Assert.Equal(("rola-0.05", false, false, 0), (rola.ToString(), rola.IsDense, rola.UsesNabla, rola.DefaultDenseSteps));
        Assert.Equal((1, 1, 52, 1), (rola.RolaBlocks(1), rola.RolaBlocks(20), rola.RolaBlocks(1050), AttentionExpression.Rola(1).RolaBlocks(1)));
        Assert.Equal(rola, AttentionExpression.Rola(0.05));
        foreach (var bad in new[] { "rola-0", "rola-1.5", "rola-", "rola-0.1+top2", "rola-0.1_sta-1-1-1" })
        {
            Assert.Throws<InvalidRequestException>(() => AttentionExpression.Parse(bad));
        }
    }

    [Fact]
    public void Blocks_are_runs_of_64_tokens_in_raster_order()
    {
        var layout = BlockLayout.Raster(2, 7, 5);
        Assert.Equal(Enumerable.Range(0, 70), layout.Order);
        Assert.Equal([0, 64], layout.Starts.ToArray());
        Assert.Equal([64, 6], layout.Lengths.ToArray());
    }

    // The authors' formulas, term by term, in float64.
    [Theory]
    [InlineData(0.1, 5)]
    [InlineData(0.4, 0)]
    public void A_layer_is_what_the_formulas_say(double share, int ragged)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        random.manual_seed(4);
        var config = new DitConfig { Dim = 48, FfnDim = 16, NumHeads = 2, NumLayers = 1, LowRank = 8 };
        using var attention = new WanSelfAttention(config, ModuleOptions.Cpu);
        foreach (var parameter in attention.parameters())
        {
            parameter.normal_(0, 0.5);
        }

        var (height, width) = (16, 20 + ragged);
        using var kept = AttentionFactory.Create(AttentionExpression.Rola(share), CPU);
        using var run = new DitRun(config, 2, 2 * height, 2 * width, kept, ModuleOptions.Cpu);
        var x = randn([2, 2 * height * width, 48]);
        var expected = Reference(attention, x, run.Rope.Angles(12), share);
        Golden.AssertClose(attention.forward(x, run, 0), expected, 2e-6);
    }

    [Fact]
    public void A_checkpoint_is_known_by_its_keys_and_brings_its_defaults()
    {
        var path = Write(Name + ".safetensors");
        var found = ModelInspector.InspectFile(path);
        Assert.Equal((null, 0, 0, 0), (found.Problem, found.Missing.Count, found.Surplus.Count, found.WrongShapes.Count));
        Assert.Contains("sparse + low-rank attention (SparkDiffusion)", found.Family);
        Assert.Contains("low-rank branch of 4", found.Sizes);

        var request = Request(path);
        Assert.Equal(("rola-0.05", 3, 1.0, 1.0, "flow-euler"), (request.Attention.ToString(), request.Steps, request.Shift, request.Guidance, request.Solver));
        Assert.Equal([1000, 933.781, 852.895], request.Timesteps!);
        Assert.Equal((1280, 720), (request.Width, request.Height));

        File.Move(path, _folder["model.safetensors"]);
        request = Request(_folder["model.safetensors"]);
        Assert.Equal(("rola-0.1", 4, 832), (request.Attention.ToString(), request.Steps, request.Width));
    }

    [Fact]
    public void A_picture_is_made_in_three_passes_and_one_line_says_why()
    {
        var notes = new Notes();
        using var pipeline = TextToVideo.Open(Write(Name + ".safetensors"), device: "cpu");
        var request = new PartialRequest { Prompt = "a red ball", Width = 160, Height = 128, Frames = 1, Seed = 3 }.ToRequest(pipeline.Defaults);
        var recipe = pipeline.Generate(request, _folder["few.png"], progress: notes).Recipe;
        Assert.Equal(("rola-0.05", 3, "flow-euler"), (recipe.Attention.ToString(), recipe.Steps, recipe.Solver));
        var line = Assert.Single(notes.All, note => note.Contains("made for few steps"));
        Assert.StartsWith(Name + ".safetensors", line);
        foreach (var part in new[] { "is made for few steps (SparkDiffusion, 95% sparse, 3 steps): ", "attention rola-0.05", "solver flow-euler", "shift 1", "guidance 1", "timesteps [1000, 933.781, 852.895]" })
        {
            Assert.Contains(part, line);
        }

        Assert.Equal(recipe, RecipeFile.Read(_folder["few.png"]));
        // Another attention, a threshold or a step cache has no meaning here, and says so before the work.
        foreach (var (field, value, why) in new (RequestField, string, string)[]
        {
            (RequestFields.Attention, "nabla-0.7", "use rola-<share>"), (RequestFields.Threshold, "0.7", "use rola-<share>"), (RequestFields.StepCache, "easy", "no effect with 3 steps"),
            (RequestFields.TargetDensity, "0.3", "has none"),
        })
        {
            var texts = new[] { KeyValuePair.Create((RequestField)RequestFields.Prompt, "x"), KeyValuePair.Create(field, value) };
            var error = Assert.Throws<InvalidRequestException>(() => RequestFields.Table.Read(texts, FieldSource.CommandLine).ToRequest(pipeline.Defaults).Check(pipeline.Model));
            Assert.Contains(why, error.Message);
        }
    }

    [Theory]
    [InlineData("SparkWan2.1-T2V-1.3B-480P-0.90Sparsity.pth", "rola-0.1", 852.895)]
    [InlineData("SparkWan2.1-I2V-14B-720P-0.97Sparsity.pth", "rola-0.03", 852.895)]
    // The third step is the low-noise expert's first: just below the boundary, which is another with a picture.
    [InlineData("SparkWan2.2-T2V-14B-480P-0.95Sparsity-High.pth", "rola-0.05", 874.999)]
    [InlineData("SparkWan2.2-I2V-A14B-720P-0.95Sparsity-High.pth", "rola-0.05", 899.999)]
    [InlineData("mine.pth", "rola-0.1", 852.895)]
    public void A_published_name_tells_the_rest(string name, string attention, double third)
    {
        var recipe = FewStepTable.Load(_folder["none.json"]).FindByKeys("low-rank", name)!;
        var values = Preset.Read(recipe.Name, recipe.Values.Values, recipe.Values.Path!).Values;
        Assert.Equal((attention, 4, third), (values.Attention!.ToString(), values.Get(RequestFields.Timesteps)!.Count, values.Get(RequestFields.Timesteps)![2]));
    }

    [Fact]
    public void What_does_not_fit_is_refused_in_a_line()
    {
        var traits = Config.Traits;
        traits.Check(AttentionExpression.Rola(0.1));
        Assert.Contains("use rola-<share>", Assert.Throws<InvalidRequestException>(() => traits.Check(AttentionExpression.Nabla(0.7))).Message);
        Assert.Contains("use rola-<share>", Assert.Throws<InvalidRequestException>(() => traits.Check(AttentionExpression.Dense)).Message);
        Assert.Contains("this model lacks", Assert.Throws<InvalidRequestException>(() => (traits with { LowRank = 0 }).Check(AttentionExpression.Rola(0.1))).Message);

        var path = Write("model.safetensors", key => !key.EndsWith("gate_bias"));
        Assert.Contains("blocks.0.self_attn.gate_bias", Assert.Throws<NablaGenException>(() => Open(path).Check()).Message);
        var request = Request(path) with { };
        var dense = request.With(RequestFields.DenseSteps, 1);
        Assert.Contains("no place", Assert.Throws<InvalidRequestException>(() => dense.Check(Config.Traits, VideoLatents)).Message);
    }

    private static DitConfig Config { get; } = new()
    {
        Dim = 128,
        FfnDim = 32,
        NumHeads = 1,
        NumLayers = 1,
        FreqDim = 16,
        TextDim = 64,
        LowRank = 4,
    };

    private static LatentTraits VideoLatents { get; } = VaeConfig.Wan21.Traits;

    private static GenerationRequest Request(string path) => new PartialRequest { Prompt = "x" }.ToRequest(GenerationDefaults.Of(Open(path).Defaults));

    private static WanVideoModel Open(string path) => WanVideoModel.Open(path);

    // A transformer alone, beside a text encoder and a VAE that fit it.
    private string Write(string name, Func<string, bool>? keeps = null)
    {
        using var scope = NewDisposeScope();
        using var model = new WanModel(Config, ModuleOptions.Meta);
        SafetensorsWriter.Write(_folder[name], model.Shapes().Where(pair => keeps?.Invoke(pair.Key) ?? true).Select(pair => KeyValuePair.Create(pair.Key, randn(pair.Value))));
        GoldenModelFolder.Assemble(_folder["parts"]);
        foreach (var (folder, file) in new[] { ("text_encoders", GoldenModelFolder.TextEncoderFile), ("vae", GoldenModelFolder.VaeFile) })
        {
            Directory.CreateDirectory(_folder[folder]);
            File.Copy(Path.Combine(_folder["parts"], file), Path.Combine(_folder[folder], file));
        }

        File.Copy(Path.Combine(_folder["parts"], "google", "umt5-xxl", "spiece.model"), Path.Combine(_folder["text_encoders"], "spiece.model"));
        Directory.Delete(_folder["parts"], recursive: true);
        return _folder[name];
    }

    private static Tensor Reference(WanSelfAttention attention, Tensor x, Tensor angles, double share)
    {
        var weights = attention.named_parameters().ToDictionary(pair => pair.name, pair => pair.parameter.to_type(ScalarType.Float64));
        var (input, heads) = (x.to_type(ScalarType.Float64), 2);
        Tensor Linear(string name) => input.matmul(weights[name + ".weight"].t()) + weights[name + ".bias"];
        Tensor Norm(Tensor y, string name) => y / (y.square().mean([-1], true) + 1e-6).sqrt() * weights[name + ".weight"];
        Tensor Heads(Tensor y) => y.unflatten(2, [heads, -1]).transpose(1, 2);
        var (q, k, v) = (Heads(Norm(Linear("q"), "norm_q")), Heads(Norm(Linear("k"), "norm_k")), Heads(Linear("v")));
        var (turnedQ, turnedK) = (Turn(q, angles), Turn(k, angles));

        // Sparse: the blocks with the highest scores of smoothed means, and a softmax over their tokens alone.
        var (tokens, blocks) = (x.shape[1], (int)((x.shape[1] + 63) / 64));
        var count = Math.Max(1, (int)(share * blocks));
        Tensor Means(Tensor y) => stack([.. Enumerable.Range(0, blocks).Select(block => y.narrow(2, block * 64, Math.Min(64, tokens - block * 64)).mean([2]))], 2);
        var scores = Means(turnedQ).matmul(Means(turnedK - turnedK.mean([2], keepdim: true)).transpose(-2, -1));
        var kept = zeros_like(scores).scatter_(-1, scores.topk(count).indexes, ones_like(scores));
        var mask = kept.repeat_interleave(64, 2).repeat_interleave(64, 3).narrow(2, 0, tokens).narrow(3, 0, tokens);
        var logits = turnedQ.matmul(turnedK.transpose(-2, -1)) / Math.Sqrt(q.shape[3]);
        var sparse = functional.softmax(logits.masked_fill(mask == 0, double.NegativeInfinity), -1).matmul(v);

        Tensor Project(Tensor y, string name) => Turn(functional.silu(y.matmul(weights[name + ".weight"].t())), angles.narrow(1, 0, 4));
        var branch = Project(q, "proj_q").matmul(Project(k, "proj_k").transpose(-2, -1).matmul(v));
        branch /= (branch.square().mean([-1], true) + 1.1920929e-07).sqrt();
        var gate = functional.sigmoid(Heads(input).matmul(weights["gate_proj.weight"].t()) + weights["gate_bias"]);
        var scale = (sparse.square().mean([-1], true) + 1e-5).sqrt();
        var joined = ((sparse / scale + gate * branch) * scale).transpose(1, 2).flatten(2);
        return joined.matmul(weights["o.weight"].t()) + weights["o.bias"];
    }

    private static Tensor Turn(Tensor y, Tensor angles)
    {
        var (first, second) = (y.slice(-1, 0, y.shape[^1], 2), y.slice(-1, 1, y.shape[^1], 2));
        return stack([first * angles.cos() - second * angles.sin(), first * angles.sin() + second * angles.cos()], -1).flatten(-2);
    }

    private sealed class Notes : IGenerationProgress
    {
        public List<string> All { get; } = [];

        public void OnNote(string note) => All.Add(note);

        public void OnStage(GenerationStage stage, int units)
        {
        }

        public void OnProgress(int done, double? density)
        {
        }
    }

    public void Dispose() => _folder.Dispose();
}
