using NablaGen.Memory;
using NablaGen.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace NablaGen.Generation;

/// <summary>The memory that a model takes, as <c>inspect</c> says it.</summary>
internal static class InspectedMemory
{
    // As if the card had no end.
    private const long Endless = 1L << 50;

    // What cards have, in GiB.
    private static readonly int[] Cards = [8, 12, 16, 24, 32, 48, 80];

    /// <summary>What the plan of one video says, at the model's default size, attention and guidance.</summary>
    /// <param name="model">The model; its weights are not opened.</param>
    /// <exception cref="NablaGenException">Its defaults make no request.</exception>
    public static MemoryInspection Of(VideoModel model)
    {
        var request = new PartialRequest { Prompt = "x", Seed = 0 }.ToRequest(GenerationDefaults.Of(model));
        var device = new Device(DeviceType.CUDA, 0);
        var sizes = model.SizesIn(ScalarType.BFloat16, VideoModel.DefaultVaeDtype(device));
        var workload = new VideoWorkload(request.LatentShape(model.Latents), request.Attention, request.IsGuided ? 2 : 1, HasPictures: model.Pictures.NeedsFirst);
        var needs = MemoryEstimate.Of(model, sizes, workload, device, ScalarType.BFloat16);
        var whole = MemoryPlanner.Plan(needs, new MemoryBudget(Endless, Endless), keepLoaded: false)!;
        // The planner leaves a margin free.
        var budget = (long)(whole.Peak / (1 - MemoryPlanner.Margin));
        return new MemoryInspection(
            $"{request.Width}x{request.Height}x{request.Frames}", sizes.TextEncoder, needs.AllDitWeights, sizes.Vae, budget, Math.Min(budget, MemoryPlanner.LeastBudget(needs)),
            [.. OnCards(needs)]);
    }

    // From the smallest card for which there is a plan to the first that streams nothing and has room for the text encoder.
    private static IEnumerable<CardInspection> OnCards(MemoryNeeds needs)
    {
        foreach (var memory in Cards.Select(card => (long)card << 30))
        {
            if (MemoryPlanner.Plan(needs, new MemoryBudget(memory, Endless), keepLoaded: false) is not { } plan)
            {
                continue;
            }

            yield return new CardInspection(memory, plan.IsTextEncoderOnDevice, plan.Layers, plan.StreamedLayers, plan.Vae.Name, plan.HostBytes);
            if (plan is { StreamedLayers: 0, IsTextEncoderOnDevice: true })
            {
                yield break;
            }
        }
    }
}
