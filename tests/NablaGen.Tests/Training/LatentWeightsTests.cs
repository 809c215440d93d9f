using NablaGen.Tensors;
using NablaGen.Training.Dit;
using static TorchSharp.torch;

namespace NablaGen.Tests.Training;

public class LatentWeightsTests
{
    [Fact]
    public void Channels_count_as_much_as_the_picture_answers_to_them()
    {
        using var scope = NewDisposeScope();
        using var noGrad = no_grad();
        manual_seed(4);
        using var vae = Toys.RandomVae();
        // The first thing that a decoder does: one channel is not heard, another four times as loud.
        var heard = vae.named_parameters().Single(p => p.name == "conv2.weight").parameter;
        heard.select(1, 1).zero_();
        heard.select(1, 2).Times_(4);
        var weights = LatentWeights.Of(vae, randn([2, 4, 2, 4, 4]));
        Assert.Equal([1, 4, 1, 1, 1], weights.shape);
        var by = weights.flatten().data<float>().ToArray();
        Assert.Equal(0.05f, by[1]);
        Assert.True(by[2] > 1.5 * Math.Max(by[0], by[3]), string.Join(' ', by.Select(Numbers)));
        Assert.All(by, weight => Assert.InRange(weight, 0.05f, 4));
        Assert.InRange(by.Average(), 0.9, 1.1);
    }

    private static string Numbers(float weight) => FormattableString.Invariant($"{weight:f3}");
}
