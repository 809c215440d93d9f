using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

public class PipelineGoldenTests
{
    public static TheoryData<string, string> Latents() => Cases("latents.");

    public static TheoryData<string, string> Frames() => Cases("frames.");

    [Theory]
    [MemberData(nameof(Latents))]
    public void Latents_equal_the_reference(string solver, string attention)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("pipeline");
        Golden.AssertClose(Sample(golden, solver, attention), golden[$"latents.{solver}.{attention}"], 1e-4);
    }

    [Theory]
    [MemberData(nameof(Frames))]
    public void Frames_equal_the_reference(string solver, string attention)
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open("pipeline");
        using var vaeGolden = Golden.Open("vae");
        using var vae = vaeGolden.Vae();
        var chunks = new List<Tensor>();
        vae.Decode(Sample(golden, solver, attention).unsqueeze(0), chunk => chunks.Add(chunk.clamp(-1, 1).DetachFromDisposeScope()));
        var frames = cat(chunks, 2).squeeze(0);
        chunks.ForEach(chunk => chunk.Dispose());
        var expected = golden[$"frames.{solver}.{attention}"];
        Assert.Equal(expected.shape, frames.shape);
        Assert.InRange((frames - expected).abs().mean().item<float>(), 0, 1e-3);
    }

    private static Tensor Sample(Golden golden, string solver, string attention)
    {
        using var scope = NewDisposeScope();
        using var text = Golden.Open("t5");
        using var dit = Golden.Open("dit");
        var lengths = JsonSerializer.Deserialize<int[]>(text.Metadata("lengths"))!;
        var context = text["out"];
        var noise = golden["noise"];
        var request = new GenerationRequest
        {
            Prompt = "row 0",
            NegativePrompt = "row 1",
            Attention = AttentionExpression.Parse(attention),
            Width = (int)noise.shape[3] * 8,
            Height = (int)noise.shape[2] * 8,
            Frames = ((int)noise.shape[1] - 1) * 4 + 1,
            Fps = 16,
            Steps = int.Parse(golden.Metadata("steps")),
            Solver = solver,
            Shift = double.Parse(golden.Metadata("shift")),
            Guidance = double.Parse(golden.Metadata("guidance")),
            Seed = 0,
        };
        using var sampler = new LatentSampler(dit.Dit());
        return sampler.Sample(request, noise, context.narrow(0, 0, 1).narrow(1, 0, lengths[0]), context.narrow(0, 1, 1).narrow(1, 0, lengths[1]))
            .MoveToOuterDisposeScope();
    }

    // "latents.unipc.nabla-0.7" → unipc, nabla-0.7
    private static TheoryData<string, string> Cases(string prefix)
    {
        using var golden = Golden.Open("pipeline");
        var data = new TheoryData<string, string>();
        foreach (var name in golden.Names.Where(name => name.StartsWith(prefix)))
        {
            var rest = name[prefix.Length..];
            var dot = rest.IndexOf('.');
            data.Add(rest[..dot], rest[(dot + 1)..]);
        }

        return data;
    }
}
