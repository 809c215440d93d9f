using NablaGen.Attention;
using NablaGen.Models;
using NablaGen.Models.Wan.Dit;
using NablaGen.Models.Wan.Dit.Ops;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>Transformers that are told pictures, or a time for each token.</summary>
public class FamilyDitGoldenTests
{
    public static TheoryData<string, string> Cases()
    {
        var data = new TheoryData<string, string>();
        foreach (var file in new[] { "family/i2v", "family/flf2v" })
        {
            using var golden = Golden.Open(file);
            foreach (var name in golden.Names.Where(name => name.StartsWith("out.")))
            {
                data.Add(file, name["out.".Length..]);
            }
        }

        return data;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Output_with_pictures_equals_the_reference(string file, string expression)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open(file);
        using var model = golden.Dit();
        using var conditioning = Conditioned(golden);
        Golden.AssertClose(Forward(model, golden["x"], golden["t"], conditioning, expression), golden["out." + expression], 1e-5);
    }

    [Fact]
    public void Kept_keys_and_values_of_text_and_pictures_give_the_same_bits()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("family/flf2v");
        using var model = golden.Dit();
        using var conditioning = Conditioned(golden);
        var once = Forward(model, golden["x"], golden["t"], conditioning, "dense");
        Assert.True(once.Equals(Forward(model, golden["x"], golden["t"], conditioning, "dense", keep: true, passes: 2)));
    }

    [Theory]
    [InlineData("t", "out")]
    [InlineData("t.tokens", "out.tokens")]
    public void Output_at_a_time_for_each_token_equals_the_reference(string time, string output)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("family/ti2v");
        using var model = golden.Dit();
        var x = golden["x"];
        using var attention = AttentionFactory.Create(AttentionExpression.Parse("dense"), CPU);
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, ModuleOptions.Cpu);
        Golden.AssertClose(model.forward(x.unsqueeze(0), golden[time], golden["context"].unsqueeze(0), run).squeeze(0), golden[output], 1e-5);
    }

    [Fact]
    public void A_given_first_frame_has_time_zero_and_stays()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("family/ti2v");
        using var model = golden.Dit();
        var x = golden["x"];
        using var conditioning = new Conditioning(golden["context"].unsqueeze(0));
        conditioning.Add(Conditioning.FirstFrame, x.narrow(1, 0, 1).unsqueeze(0).clone());
        using var noGrad = no_grad();
        using var attention = AttentionFactory.Create(AttentionExpression.Parse("dense"), CPU);
        using var tokens = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, ModuleOptions.Cpu);
        var (frame, time) = (tokens.Layout.Tokens / tokens.Layout.Time, golden["t"].item<float>());
        var times = tensor(Enumerable.Range(0, tokens.Layout.Tokens).Select(token => token < frame ? 0 : time).ToArray()).unsqueeze(0);
        var expected = model.forward(x.unsqueeze(0), times, golden["context"].unsqueeze(0), tokens).squeeze(0);
        Golden.AssertClose(Forward(model, x, golden["t"], conditioning, "dense"), expected, 1e-6);

        using var run = model.Begin(x.shape, attention);
        using var prepared = run.Prepare(conditioning, keep: false);
        var latents = zeros_like(x).unsqueeze(0);
        run.Hold(latents, prepared);
        Assert.True(latents.narrow(2, 0, 1).Equals(x.narrow(1, 0, 1).unsqueeze(0)));
        Assert.Equal(0, latents.narrow(2, 1, x.shape[1] - 1).abs().sum().item<float>());
    }

    [Theory]
    [Trait("gpu", "true")]
    [InlineData(2)]
    [InlineData(260)]
    public void Factors_of_a_frame_or_a_token_agree_on_cuda(int groups)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        var layout = BlockLayout.Create(2, 13, 10);
        const int Dim = 256;
        using var fused = new CudaDitOps(CUDA, ScalarType.BFloat16, layout);
        using var plain = new TorchDitOps();
        using var norm = new WanLayerNorm(Dim, 1e-6, new ModuleOptions(CUDA, ScalarType.BFloat16));
        var x = randn([2, layout.Tokens, Dim], device: CUDA);
        var y = randn([2, layout.Tokens, Dim], device: CUDA).to_type(ScalarType.BFloat16);
        var m = randn([2, groups, 6, Dim], device: CUDA).unbind(2);
        Golden.AssertClose(fused.Modulate(norm, x, m[0], m[1]), plain.Modulate(norm, x, m[0], m[1]), 5e-3);
        Golden.AssertClose(fused.AddGated(x.clone(), y, m[2]), plain.AddGated(x, y, m[2]), 5e-3);
        var (sum, normalized) = fused.AddGatedAndNormalize(x.clone(), y.clone(), m[2], norm, m[0], m[1]);
        var (expectedSum, expected) = plain.AddGatedAndNormalize(x, y, m[2], norm, m[0], m[1]);
        Golden.AssertClose(sum, expectedSum, 5e-3);
        Golden.AssertClose(normalized, expected, 5e-3);
    }

    // As CudaModelTests: at most twice as far as the CPU's path in bfloat16, and a little.
    [Theory]
    [Trait("gpu", "true")]
    [MemberData(nameof(Cases))]
    public void Output_with_pictures_agrees_on_cuda(string file, string expression)
    {
        Assert.SkipUnless(TorchRuntime.HasCuda, "no CUDA device");
        using var scope = NewDisposeScope();
        using var golden = Golden.Open(file);
        double Error(Device device)
        {
            using var inner = NewDisposeScope();
            using var model = golden.Dit(new ModuleOptions(device, ScalarType.BFloat16));
            using var conditioning = Conditioned(golden);
            using var there = conditioning.To(device);
            var velocity = Forward(model, golden["x"].to(device), golden["t"].to(device), there, expression).cpu();
            return Golden.RelativeError(velocity, golden["out." + expression]);
        }

        Assert.InRange(Error(CUDA), 0, 2 * Error(CPU) + 0.005);
    }

    private static Conditioning Conditioned(Golden golden)
    {
        var conditioning = new Conditioning(golden["context"].unsqueeze(0));
        conditioning.Add(Conditioning.Image, golden["clip_fea"].flatten(0, 1).unsqueeze(0));
        conditioning.Add(Conditioning.Guide, golden["y"].unsqueeze(0));
        return conditioning;
    }

    private static Tensor Forward(
        IVideoTransformer model, Tensor x, Tensor t, Conditioning conditioning, string expression, bool keep = false, int passes = 1)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var attention = AttentionFactory.Create(AttentionExpression.Parse(expression), model.Options.Device, denseSteps: 0);
        using var run = model.Begin(x.shape, attention);
        using var prepared = run.Prepare(conditioning, keep);
        Tensor? velocity = null;
        for (var pass = 0; pass < passes; pass++)
        {
            var embedded = run.Embed(x.unsqueeze(0), t, prepared);
            velocity = run.RunHead(run.RunLayers(embedded, prepared), embedded);
        }

        return velocity!.squeeze(0).MoveToOuterDisposeScope();
    }
}
