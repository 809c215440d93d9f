using NablaGen.Denoising;
using NablaGen.Generation;
using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Tests;

/// <summary>Sampling from encoded prompts, as most tests have them.</summary>
internal static class SamplerExtensions
{
    public static Tensor Sample(
        this LatentSampler sampler, GenerationRequest request, Tensor noise, Tensor context, Tensor? negative, ISamplingObserver? observer = null,
        bool batchGuidance = false)
    {
        // The conditioning owns its tensors, and these are the test's.
        using var conditioning = new GuidedConditioning(
            new Conditioning(context.alias()), request.IsGuided && negative is not null ? new Conditioning(negative.alias()) : null);
        return sampler.Sample(request.Sampling, noise, conditioning, observer, batchGuidance);
    }
}
