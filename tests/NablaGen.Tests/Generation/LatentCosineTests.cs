using NablaGen.Jobs.Compare;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

public sealed class LatentCosineTests
{
    [Fact]
    public void It_is_the_cosine_of_each_steps_latents()
    {
        using var baseline = new LatentTrajectory();
        var cosine = new LatentCosine(baseline);
        using (NewDisposeScope())
        {
            Tensor latents = tensor([1f, 0f, 0f, 2f], [1, 1, 1, 2, 2]);
            baseline.OnStep(0, latents);
            // The sampler goes on with its own tensor.
            latents.zero_();
            baseline.OnStep(1, tensor([3f, 4f], [1, 1, 1, 1, 2]));
        }

        using var scope = NewDisposeScope();
        cosine.OnStep(0, tensor([2f, 0f, 0f, 4f], [1, 1, 1, 2, 2]));
        cosine.OnStep(1, tensor([4f, -3f], [1, 1, 1, 1, 2]).to_type(ScalarType.BFloat16));
        Assert.Equal(1, cosine.Steps[0], 1e-12);
        Assert.Equal(0, cosine.Steps[1], 1e-12);
    }
}
