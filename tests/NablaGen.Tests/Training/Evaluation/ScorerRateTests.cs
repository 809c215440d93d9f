using System.Globalization;
using NablaGen.Tensors;
using NablaGen.Training.Models;
using NablaGen.Training.World;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training.Evaluation;

/// <summary>
/// What evaluate rests on: the scorer is right about rendered clips of the shipped model's size. NABLAGEN_SCORER_CLIPS sets how many
/// clips; docs/evaluation.md has the rates of several hundred.
/// </summary>
public class ScorerRateTests(ITestOutputHelper output)
{
    private static readonly int? Clips =
        int.TryParse(Environment.GetEnvironmentVariable("NABLAGEN_SCORER_CLIPS"), CultureInfo.InvariantCulture, out int clips) ? clips : null;

    [Theory]
    [InlineData(17, 4)]
    [InlineData(33, 1)]
    public void Rendered_clips_score_98_percent_in_each_attribute(int frames, int clips)
    {
        var rates = ScorerRates.Measure(Clips ?? clips, new ClipSize(frames, 256, 256));
        output.WriteLine(rates.ToString());
        Assert.All(rates.Rates, rate => Assert.True(rate.Value >= 0.98, rates.ToString()));
        Assert.True(rates.Success >= 0.98, rates.ToString());
    }

    [Fact]
    public void Blurred_noisy_clips_score_95_percent_in_each_attribute()
    {
        var rates = ScorerRates.Measure(Clips ?? 3, new ClipSize(17, 256, 256), Soften);
        output.WriteLine(rates.ToString());
        Assert.All(rates.Rates, rate => Assert.True(rate.Value >= 0.95, rates.ToString()));
        Assert.True(rates.Success >= 0.95, rates.ToString());
    }

    /// <summary>The ceiling of the model in the box: what its transformer could score if it were perfect.</summary>
    [Fact(Explicit = true)]
    public void Clips_through_the_vae_in_the_box_score_90_percent()
    {
        using var vae = ModelFiles.LoadVae(Toys.Box, ModelSizes.Open(Toys.Box).Others.Vae, ModuleOptions.Cpu);
        var rates = ScorerRates.Measure(Clips ?? 10, new ClipSize(17, 256, 256), (frames, _) =>
        {
            using var scope = NewDisposeScope();
            using var noGrad = no_grad();
            return vae.DecodeWhole(vae.EncodeMoments(frames.unsqueeze(0)).Mean).squeeze(0).clamp(-1, 1).MoveToOuterDisposeScope();
        });
        output.WriteLine(rates.ToString());
        Assert.True(rates.Success >= 0.9, rates.ToString());
    }

    // About what a VAE does: blur (σ 1 pixel) and a little noise.
    private static Tensor Soften(Tensor frames, int seed)
    {
        using var scope = NewDisposeScope();
        var across = exp(-arange(-3, 4, ScalarType.Float32).pow(2) / 2);
        across = (across / across.sum()).reshape(1, 1, 1, 7);
        // Each plane a picture of one channel: convolutions in groups are slow on a CPU.
        var planes = nn.functional.pad(frames.flatten(0, 1).unsqueeze(1), [3, 3, 3, 3], PaddingModes.Replicate);
        planes = nn.functional.conv2d(nn.functional.conv2d(planes, across), across.transpose(2, 3)).reshape(frames.shape);
        using var random = new Generator((ulong)seed);
        return (planes + (0.03f * randn(planes.shape, generator: random))).clamp(-1, 1).MoveToOuterDisposeScope();
    }
}
