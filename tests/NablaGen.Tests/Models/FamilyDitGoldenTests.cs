using NablaGen.Attention;
using NablaGen.Models;
using NablaGen.Models.Wan.Dit;
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
        using var attention = AttentionFactory.Create(AttentionExpression.Parse(expression), CPU, denseSteps: 0);
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
