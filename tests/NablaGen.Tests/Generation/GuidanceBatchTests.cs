using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Generation;
using static TorchSharp.torch;

namespace NablaGen.Tests.Generation;

public class GuidanceBatchTests
{
    [Theory]
    [InlineData("dense")]
    [InlineData("nabla-0.7_sta-1-1-1")]
    public void One_batch_makes_the_video_of_two_passes(string attention)
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        using var sampler = new LatentSampler(golden.Dit());
        var request = Request(attention);
        var channels = sampler.Model.Traits.Channels;
        using var noise = LatentSampler.Noise([channels, 2, 20, 12], 3);
        var context = golden["context"].unsqueeze(0);
        var negative = randn([1, 3, context.shape[2]]);
        var apart = sampler.Sample(request, noise, context, negative);
        var together = sampler.Sample(request, noise, context, negative, batchGuidance: true);
        Golden.AssertClose(together, apart, 1e-5);
    }

    [Fact]
    public void Without_guidance_there_is_nothing_to_batch()
    {
        using var scope = NewDisposeScope();
        using var golden = Golden.Open("dit");
        using var sampler = new LatentSampler(golden.Dit());
        var request = Request("dense") with { Guidance = 1 };
        using var noise = LatentSampler.Noise([sampler.Model.Traits.Channels, 1, 8, 8], 3);
        var context = golden["context"].unsqueeze(0);
        var (apart, together) = (sampler.Sample(request, noise, context, null), sampler.Sample(request, noise, context, null, batchGuidance: true));
        Assert.True(apart.eq(together).all().item<bool>());
    }

    private static GenerationRequest Request(string attention) => new()
    {
        Prompt = "x",
        NegativePrompt = "y",
        Attention = AttentionExpression.Parse(attention),
        Width = 128,
        Height = 128,
        Frames = 5,
        Fps = 8,
        Steps = 3,
        Solver = "unipc",
        Shift = 5,
        Guidance = 5,
        Seed = 1,
    };
}
