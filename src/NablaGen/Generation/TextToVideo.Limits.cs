using NablaGen.Denoising;
using NablaGen.Memory;

namespace NablaGen.Generation;

/// <content>What is asked about before it is done: very long jobs, and those beyond the memory.</content>
public sealed partial class TextToVideo
{
    // A machine that needs a day for these makes a billion a second.
    private const double FewOperations = 24 * 3600 * 1e9;

    // How far a guess may be off.
    private const double Doubt = 1.5;

    /// <summary>Is asked before a job of more than a day or of more memory than is free. Null refuses what does not fit, and takes any time.</summary>
    public JobLimit? Limit
    {
        get => _memory.Limit;
        init => _memory.Limit = value;
    }

    private void CheckWeights()
    {
        try
        {
            MemoryCheck.Run(model.Parts, device, dtype);
        }
        catch (NablaGenException refused) when (Limit is { } limit)
        {
            if (!limit.AgreesToMemory(refused.Message))
            {
                throw new NablaGenException($"{refused.Message}; --yes tries it all the same", refused);
            }
        }
    }

    // What takes days for sure is asked about at once: its first layer may take minutes.
    private void CheckGuess(GenerationRequest? request)
    {
        if (Limit is null || request is null)
        {
            return;
        }

        var shape = request.LatentShape(model.Latents);
        var passes = request.Steps * (request.IsGuided ? 2 : 1);
        var tokens = model.Transformer.TokensOf(shape);
        if (passes * model.Transformer.OperationsOf(tokens) * Limit.Videos < FewOperations)
        {
            return;
        }

        var density = request.Attention.IsDense
            ? 1 : request.TargetDensity ?? DensityController.Floor(request.Attention, model.Transformer.LayoutOf(shape), model.Transformer.Layers, request.DenseLayers);
        var guess = SamplingRate.Pass(model.Transformer, tokens, density, device, dtype) * passes;
        if (guess * Limit.Videos > JobLimit.Longest * Doubt)
        {
            Limit.CheckTime(guess);
        }
    }

    private SamplingForecast Forecast(GenerationRequest request, MemoryPlan plan, StageClock clock) => new(
        model.Transformer.Layers, request.Steps * (request.IsGuided && !plan.BatchesGuidance ? 2 : 1), device, sampling =>
        {
            clock.Estimate(sampling);
            Limit?.CheckTime(sampling);
        });
}
