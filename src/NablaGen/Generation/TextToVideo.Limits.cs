using NablaGen.Memory;

namespace NablaGen.Generation;

/// <content>What is asked about before it is done: very long jobs, and those beyond the memory.</content>
public sealed partial class TextToVideo
{
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

    private SamplingForecast Forecast(GenerationRequest request, MemoryPlan plan, StageClock clock) => new(
        model.Transformer.Layers, request.Steps * (request.IsGuided && !plan.BatchesGuidance ? 2 : 1), device, sampling =>
        {
            clock.Estimate(sampling);
            Limit?.CheckTime(sampling);
        });
}
