using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Attention.Cuda;
using NablaGen.Cuda.Gemm;
using NablaGen.Models.Wan;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Models.Wan.Text;
using NablaGen.Models.Wan.Vae;
using NablaGen.Tensors;
using NablaGen.Tensors.Layers;
using NablaGen.Tensors.Matrices;
using NablaGen.Weights;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>
/// The models on a CUDA device, in bfloat16, against the reference's float32 outputs: at most twice as far from them as the CPU's path in
/// bfloat16, and a little. (Rounding alone moves blocks in and out of NABLA's mask.)
/// </summary>
[Trait("gpu", "true")]
public class CudaModelTests
{
    private static readonly ModuleOptions Options = new(CUDA, ScalarType.BFloat16);

    public static TheoryData<string> Expressions()
    {
        using var golden = Golden.Open("dit");
        return new TheoryData<string>(["dense", "nabla-1", .. golden.List("algorithms")]);
    }

    [Theory]
    [MemberData(nameof(Expressions))]
    public void The_transformer_agrees(string expression)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        AssertAgrees(golden, "x", expression, "out." + (expression == "nabla-1" ? "dense" : expression));
    }

    [Theory]
    [InlineData("dense")]
    [InlineData("nabla-1")]
    public void A_ragged_size_agrees(string expression)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        AssertAgrees(golden, "x.ragged", expression, "out.ragged.dense");
    }

    [Fact]
    public void The_text_encoder_agrees()
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("t5");
        using var model = new T5Encoder(ModelConfigs.ParseTextEncoder(golden.Metadata("config"), "t5"), Options);
        CheckpointLoader.Load(golden.Source.Under("weights."), model);
        var length = JsonSerializer.Deserialize<int[]>(golden.Metadata("lengths"))![0];
        var actual = model.Encode(golden["ids"][0].data<int>().Take(length).ToArray()).squeeze(0).cpu();
        Assert.InRange(Golden.RelativeError(actual, golden["out"][0].narrow(0, 0, length)), 0, 0.03);
    }

    [Fact]
    public void The_vae_agrees()
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("vae");
        using var model = new WanVae(ModelConfigs.ParseVae(golden.Metadata("config"), "vae"), Options.Float32);
        CheckpointLoader.Load(golden.Source.Under("weights."), model);
        var frames = new List<Tensor>();
        model.Decode(golden["z"].to(CUDA), chunk => frames.Add(chunk.cpu().DetachFromDisposeScope()));
        var difference = (cat(frames, 2) - golden["decoded"]).abs().max().item<float>();
        frames.ForEach(chunk => chunk.Dispose());
        Assert.InRange(difference, 0, 1e-3);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void The_fused_passes_equal_libtorchs(int batch)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var config = DitConfig.Wan1_3B with { TextLen = 100 };
        var layout = BlockLayout.Create(2, 13, 10);
        using var fused = new CudaDitOps(CUDA, ScalarType.BFloat16, layout);
        using var plain = new TorchDitOps();
        using var rope = new RopeTable(layout, config.HeadDim, CUDA);
        var x = randn([batch, layout.Tokens, config.Dim], device: CUDA);
        var y = randn([batch, layout.Tokens, config.Dim], device: CUDA).to_type(ScalarType.BFloat16);
        var other = randn([batch, layout.Tokens, config.Dim], device: CUDA).to_type(ScalarType.BFloat16);
        var m = randn([batch, 6, config.Dim], device: CUDA).chunk(6, 1);
        using var plainNorm = new WanLayerNorm(config.Dim, config.Eps, Options);
        using var affineNorm = new WanLayerNorm(config.Dim, config.Eps, Options, affine: true);
        using var headNorm = new WanRmsNorm(config.Dim, config.Eps, Options);
        foreach (var parameter in affineNorm.parameters().Concat(headNorm.parameters()))
        {
            parameter.normal_();
        }

        Same(fused.Modulate(plainNorm, x, m[0], m[1]), plain.Modulate(plainNorm, x, m[0], m[1]));
        Same(fused.Normalize(affineNorm, x), plain.Normalize(affineNorm, x));
        Same(fused.NormalizeHeads(headNorm, y.clone(), config.NumHeads, rope), plain.NormalizeHeads(headNorm, y, config.NumHeads, rope));
        var prompt = y.narrow(1, 0, config.TextLen).contiguous();
        Same(fused.NormalizeHeads(headNorm, prompt.clone(), config.NumHeads, null), plain.NormalizeHeads(headNorm, prompt, config.NumHeads, null));
        Same(fused.AddGated(x.clone(), y, m[2]), plain.AddGated(x, y, m[2]));
        Same(fused.AddGated(x.clone(), y, null), plain.AddGated(x, y, null));
        foreach (var gate in new[] { m[2], null })
        {
            var (x1, h1) = fused.AddGatedAndNormalize(x.clone(), y.clone(), gate, affineNorm);
            var (x2, h2) = plain.AddGatedAndNormalize(x, y, gate, affineNorm);
            Same(x1, x2);
            Same(h1, h2);
            Same(fused.NormalizeGated(x, y, gate, affineNorm, rowScales: false).Values, h2);
            var (x3, h3) = fused.AddTwoAndNormalize(x.clone(), y, gate, other.clone(), plainNorm, rowScales: false, m[0], m[1]);
            var (x4, h4) = plain.AddGatedAndNormalize(x2, other, null, plainNorm, m[0], m[1]);
            Same(x3, x4);
            Same(h3.Values, h4);
            (x1, h1) = fused.AddGatedAndNormalize(x.clone(), y.clone(), gate, plainNorm, m[0], m[1]);
            (x2, h2) = plain.AddGatedAndNormalize(x, y, gate, plainNorm, m[0], m[1]);
            Same(x1, x2);
            Same(h1, h2);
        }

        using var linear = new AutocastLinear(config.Dim, 264, Options);
        foreach (var parameter in linear.parameters())
        {
            parameter.normal_(0, 0.03);
        }

        Assert.True(LinearGelu.IsAvailable);
        // The sum is rounded once, after GELU, where libtorch rounds before it as well: nearer to the exact value, and other bits.
        var exact = nn.functional.gelu(nn.functional.linear(y.to_type(ScalarType.Float64), ((DenseMatrix)linear.Matrix).Weight.to_type(ScalarType.Float64),
            linear.Bias!.to_type(ScalarType.Float64)), TorchSharp.Modules.GELU.Approximate.tanh);
        Assert.InRange(Golden.RelativeError(fused.LinearGelu(linear, y), exact), 0, Golden.RelativeError(plain.LinearGelu(linear, y), exact));
    }

    [Theory]
    [InlineData(1, 90)]
    [InlineData(2, 200)]
    public void Padding_of_a_prompt_may_be_one_key(int batch, int keys)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var config = DitConfig.Wan1_3B;
        using var fused = new CudaDitOps(CUDA, ScalarType.BFloat16, BlockLayout.Create(2, 13, 10));
        Assert.SkipUnless(fused.TakesTextOf(keys, config.HeadDim), "a kernel for Hopper");
        using var norm = new WanRmsNorm(config.Dim, config.Eps, Options);
        foreach (var parameter in norm.parameters())
        {
            parameter.normal_();
        }

        Tensor Random(long length) => randn([batch, length, config.Dim], device: CUDA).to_type(ScalarType.BFloat16);
        Tensor Heads(Tensor x) => x.unflatten(2, [config.NumHeads, -1]).transpose(1, 2);
        var (q, k, v, copies) = (Random(1000), Heads(Random(keys)), Heads(Random(keys)), config.TextLen - keys + 1);
        Tensor All(Tensor x) => cat([x, x.narrow(2, keys - 1, 1).expand(-1, -1, copies - 1, -1)], 2).to_type(ScalarType.Float32);
        var normalized = Heads(norm.forward(q.to_type(ScalarType.Float32)));
        var exact = nn.functional.scaled_dot_product_attention(normalized, All(k), All(v)).transpose(1, 2).flatten(2);
        var weighed = IDitOps.WeighKeys(norm, k);
        Assert.InRange(Golden.RelativeError(fused.AttendToText(norm, q, weighed, v, copies, most: null).Values, exact), 0, 0.01);
        var (codes, scales) = fused.AttendToText(norm, q, weighed, v, copies, IDitOps.Largest(v));
        Assert.InRange(Golden.RelativeError(Fp8Rows.Decode(codes.cpu(), scales!.cpu()), exact.cpu()), 0, 0.035);
    }

    [Fact]
    public void The_rotation_means_blocks_in_passing()
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var config = DitConfig.Wan1_3B;
        var layout = BlockLayout.Create(3, 21, 26);
        using var ops = new CudaDitOps(CUDA, ScalarType.BFloat16, layout);
        using var rope = new RopeTable(layout, config.HeadDim, CUDA);
        using var norm = new WanRmsNorm(config.Dim, config.Eps, Options);
        norm.Weight.normal_();
        var x = randn([2, layout.Tokens, config.Dim], device: CUDA).to_type(ScalarType.BFloat16);
        Assert.Null(ops.NormalizeHeads(norm, x.clone(), config.NumHeads, rope, wantsMeans: false).BlockMeans);
        var (q, means) = ops.NormalizeHeads(norm, x.clone(), config.NumHeads, rope, wantsMeans: true);
        var expected = stack(layout.Lengths.ToArray().Select((length, i) =>
            q.narrow(2, layout.Lengths[..i].ToArray().Sum(), length).to_type(ScalarType.Float32).mean([2])).ToArray(), 2).flatten(0, 1);
        Golden.AssertClose(means!, expected, 1e-5);

        using var backend = new CudaBlockSparseBackend(CUDA);
        Assert.True(backend.TakesBlockMeans);
        var alone = backend.Forward(q, q, q, layout, AttentionExpression.Nabla(0.4), out var keptAlone);
        var density = keptAlone.Statistics.Value.HeadDensities;
        var given = backend.Forward(q, q, q, layout, AttentionExpression.Nabla(0.4), out var keptGiven, means: new BlockMeans(means!, means!));
        Assert.Equal(density, keptGiven.Statistics.Value.HeadDensities);
        Assert.True(alone.eq(given).all().item<bool>());
    }

    [Theory]
    [InlineData(3, 37, 40, 128)]
    [InlineData(2, 64, 64, 64)]
    [InlineData(5, 30, 30, 128)]
    public void Dense_attention_agrees_with_libtorchs(int time, int height, int width, int dim)
    {
        RequireDevice();
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var layout = BlockLayout.Create(time, height, width);
        var (q, k, v) = (Random(), Random(), Random());
        using var attention = AttentionFactory.Create(AttentionExpression.Dense, CUDA);
        var exact = nn.functional.scaled_dot_product_attention(q.to_type(ScalarType.Float32), k.to_type(ScalarType.Float32), v.to_type(ScalarType.Float32));
        var plain = nn.functional.scaled_dot_product_attention(q, k, v);
        var ours = attention.Forward(q, k, v, layout, default);
        Assert.InRange(Golden.RelativeError(ours, exact), 0, 1.5 * Golden.RelativeError(plain, exact));

        // Not copied: the layers around it take the heads last but one.
        Tensor Random() => randn([2, layout.Tokens, 3, dim], device: CUDA).to_type(ScalarType.BFloat16).transpose(1, 2);
    }

    private static void Same(Tensor actual, Tensor expected)
    {
        Assert.Equal(expected.shape, actual.shape);
        var equal = actual.to_type(expected.dtype).to_type(ScalarType.BFloat16).eq(expected.to_type(ScalarType.BFloat16));
        Assert.InRange(equal.to_type(ScalarType.Float32).mean().item<float>(), 0.98, 1);
        Assert.InRange(Golden.RelativeError(actual, expected), 0, 5e-3);
    }

    private static void RequireDevice() => Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");

    private static void AssertAgrees(Golden golden, string input, string expression, string expected)
    {
        using var scope = NewDisposeScope();
        var onCuda = Golden.RelativeError(Forward(golden, golden[input], expression, Options), golden[expected]);
        var onCpu = Golden.RelativeError(Forward(golden, golden[input], expression, Options with { Device = CPU }), golden[expected]);
        TestContext.Current.TestOutputHelper!.WriteLine($"{input} {expression}: CUDA {onCuda:0.0000}, CPU {onCpu:0.0000}");
        Assert.InRange(onCuda, 0, 2 * onCpu + 0.005);
    }

    private static Tensor Forward(Golden golden, Tensor x, string expression, ModuleOptions options)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var device = options.Device;
        using var model = new WanModel(ModelConfigs.ParseDit(golden.Metadata("config"), "dit"), options);
        CheckpointLoader.Load(golden.Source.Under("weights."), model);
        using var attention = AttentionFactory.Create(AttentionExpression.Parse(expression), device, denseSteps: 0);
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, options);
        Assert.Equal(device.type == TorchSharp.DeviceType.CUDA, run.Ops is CudaDitOps);
        return model.forward(x.unsqueeze(0).to(device), golden["t"].to(device), golden["context"].unsqueeze(0).to(device), run)
            .squeeze(0).cpu().MoveToOuterDisposeScope();
    }
}
