using System.Globalization;
using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Models.Wan.Dit;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Tests.Models;

/// <summary>
/// Sparse + low-rank attention against the golden of its formulas. The file is too large for the repository: NABLAGEN_GOLDENS names a folder that has
/// it as checkpoints/rola.safetensors. What is checked without it is in RolaTests.
/// </summary>
public class RolaGoldenTests
{
    private const string File = "checkpoints/rola";

    private static bool IsThere => System.IO.File.Exists(Path.Combine(GoldenFolder.Path, File + ".safetensors"));

    [Fact]
    public void Output_and_kept_blocks_equal_the_reference()
    {
        Assert.SkipUnless(IsThere, $"{GoldenFolder.Path} has no {File}.safetensors");
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        using var golden = Golden.Open(File);
        using var model = golden.Dit();
        Assert.Equal(int.Parse(golden.Metadata("rank"), CultureInfo.InvariantCulture), model.Config.LowRank);
        var (x, masks) = (golden["x"], new MaskRecorder());
        using var attention = AttentionFactory.Create(AttentionExpression.Parse("rola-" + golden.Metadata("topk_ratio")), CPU, observer: masks);
        using var run = new DitRun(model.Config, (int)x.shape[1], (int)x.shape[2], (int)x.shape[3], attention, ModuleOptions.Cpu);
        var output = model.forward(x.unsqueeze(0), golden["t"], golden["context"].unsqueeze(0), run).squeeze(0);
        Golden.AssertClose(output, golden["out"], 1e-5);

        var expected = golden["mask"].to_type(ScalarType.Bool);
        Assert.InRange(Kept(masks, expected.shape).eq(expected).to_type(ScalarType.Float32).mean().item<float>(), 0.999, 1);
    }

    [Fact]
    public void Few_steps_give_the_references_latents()
    {
        Assert.SkipUnless(IsThere, $"{GoldenFolder.Path} has no {File}.safetensors");
        using var scope = NewDisposeScope();
        using var golden = Golden.Open(File);
        using var sampler = new LatentSampler(golden.Dit());
        var times = JsonSerializer.Deserialize<double[]>(golden.Metadata("flow_times"))!;
        var settings = new SamplingSettings
        {
            Attention = AttentionExpression.Parse("rola-" + golden.Metadata("topk_ratio")),
            Steps = times.Length - 1,
            Timesteps = [.. times[..^1].Select(time => time * FlowSchedule.TrainTimesteps)],
            Solver = "flow-euler",
            Shift = 1,
            Guidance = 1,
        };
        using var conditioning = new GuidedConditioning(new NablaGen.Models.Conditioning(golden["context"].unsqueeze(0)), null);
        Golden.AssertClose(sampler.Sample(settings, golden["noise"], conditioning), golden["latents"], 1e-4);
    }

    // [layers, heads, blocks, blocks]
    private static Tensor Kept(MaskRecorder masks, long[] shape)
    {
        var kept = zeros(shape, ScalarType.Bool);
        foreach (var (site, mask) in masks.Masks)
        {
            for (var head = 0; head < shape[1]; head++)
            {
                for (var row = 0; row < shape[2]; row++)
                {
                    foreach (var column in mask.Row(head, row))
                    {
                        kept[site.Layer, head, row, column] = true;
                    }
                }
            }
        }

        return kept;
    }
}
