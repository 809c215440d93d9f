using System.Text.Json;
using NablaGen.Attention;
using NablaGen.Denoising;
using NablaGen.Distributed;
using NablaGen.Generation;
using NablaGen.Models.Streaming;
using NablaGen.Models.Wan;
using static TorchSharp.torch;

namespace NablaGen.Tests;

/// <summary>Sampling with the golden transformer and prompts, on the CPU.</summary>
internal static class GoldenSampling
{
    /// <summary>A request of 5 frames, which the caller changes.</summary>
    public static GenerationRequest Request(string attention, int steps = 3) => new()
    {
        Prompt = "row 0",
        NegativePrompt = "row 1",
        Attention = AttentionExpression.Parse(attention),
        Width = 256,
        Height = 192,
        Frames = 5,
        Fps = 8,
        Steps = steps,
        Solver = "unipc",
        Shift = 5,
        Guidance = 5,
        Seed = 3,
    };

    /// <summary>Noise → latents, on one rank or on this one of several. [C, T', h, w]</summary>
    public static Tensor Run(GenerationRequest request, ISamplingObserver? observer, ICommunicator? world = null, LayerPlacement? placement = null)
    {
        using var scope = NewDisposeScope();
        using var text = Golden.Open("t5");
        using var dit = Golden.Open("dit");
        using var vae = Golden.Open("vae");
        var lengths = JsonSerializer.Deserialize<int[]>(text.Metadata("lengths"))!;
        var context = text["out"];
        using var sampler = new LatentSampler(placement is null ? dit.Dit() : dit.Dit(placement)) { World = world };
        var noise = LatentSampler.Noise(request.LatentShape(ModelConfigs.ParseVae(vae.Metadata("config"), "vae").Traits), request.Seed);
        return sampler.Sample(
            request, noise, context.narrow(0, 0, 1).narrow(1, 0, lengths[0]),
            request.IsGuided ? context.narrow(0, 1, 1).narrow(1, 0, lengths[1]) : null, observer).MoveToOuterDisposeScope();
    }
}
