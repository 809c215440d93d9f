using NablaGen.Denoising;

namespace NablaGen.Generation;

/// <content>What a job would take, without doing it.</content>
public sealed partial class TextToVideo
{
    /// <summary>Checks requests as <see cref="Prepare"/> does, and says what making their videos would take. No weights are read, and nothing is written.</summary>
    /// <param name="requests">What would be made.</param>
    /// <param name="progress">Is told what is noted.</param>
    /// <param name="cancellation">Stops the checks.</param>
    /// <exception cref="NablaGenException">The model or a request is wrong, or the memory does not suffice.</exception>
    public GenerationOutlook Outlook(
        IReadOnlyList<GenerationRequest> requests, IGenerationProgress? progress = null, CancellationToken cancellation = default)
    {
        requests = [.. requests.Select(WithFoundLoras)];
        var clock = Clock(progress);
        Check(requests, clock, cancellation);
        var plan = Memory.Plan(requests);
        var sampling = TimeSpan.Zero;
        foreach (var request in requests)
        {
            cancellation.ThrowIfCancellationRequested();
            var shape = request.LatentShape(model.Latents);
            var pass = SamplingRate.Pass(model.Transformer, model.Transformer.TokensOf(shape), Density(request, shape), device, dtype);
            sampling += pass * (request.Steps * (request.IsGuided ? 2 : 1));
        }

        return new GenerationOutlook(
            plan, sampling, requests.Any(request => request is { Attention.Threshold: not null, TargetDensity: null } or { Attention.HeadThresholds: not null }),
            requests.Sum(OutputSpace.Video), requests.Sum(request => OutputSpace.Latents(request, model.Latents)));
    }

    /// <summary>What making the video of saved latents would take.</summary>
    /// <param name="latentsPath">What <c>Generate</c> saved.</param>
    /// <param name="recipe">The recipe in it.</param>
    /// <exception cref="NablaGenException">The file is bad or not of this model, or the memory does not suffice.</exception>
    public GenerationOutlook OutlookOfDecoding(string latentsPath, out Recipe recipe)
    {
        using var scope = TorchSharp.torch.NewDisposeScope();
        (var latents, recipe) = LatentFile.Load(latentsPath, model);
        model.CheckVae();
        return new GenerationOutlook(Memory.PlanDecoding(latents.shape), null, false, OutputSpace.Video(recipe), 0);
    }

    // What is known of it before: a threshold's density shows in sampling alone.
    private double Density(GenerationRequest request, long[] shape) =>
        request.TargetDensity is { } target ? target
        : request.Attention is { IsDense: false, Threshold: null, HeadThresholds: null }
            ? DensityController.Floor(request.Attention, model.Transformer.LayoutOf(shape), model.Transformer.Layers, request.DenseLayers)
            : 1;
}
