using NablaGen.Denoising;
using NablaGen.Memory;
using NablaGen.Tensors;

namespace NablaGen.Generation.Conditioning;

/// <summary>
/// Makes one kind of what a model is told: a prompt's encoding, a picture's latents. Its own models are in memory only while it works.
/// </summary>
internal interface IConditioner
{
    /// <summary>Reads the small files and checks what every request says, before any work.</summary>
    /// <param name="requests">The videos to make.</param>
    /// <param name="clock">Is told what the user should know, such as a prompt that is too long.</param>
    /// <param name="cancellation">Stops the checks.</param>
    /// <exception cref="NablaGenException">A file or a request is wrong.</exception>
    void Check(IReadOnlyList<GenerationRequest> requests, StageClock clock, CancellationToken cancellation);

    /// <summary>Adds its parts to each draft.</summary>
    /// <param name="drafts">One for each request that was checked.</param>
    /// <param name="options">Where its models run, and their type.</param>
    /// <param name="plan">How the work is divided so that it fits.</param>
    /// <param name="clock">Is told how it goes.</param>
    /// <param name="cancellation">Stops the work.</param>
    void AddTo(IReadOnlyList<ConditioningDraft> drafts, ModuleOptions options, MemoryPlan plan, StageClock clock, CancellationToken cancellation);
}

/// <summary>The conditioning of one request in the making; its tensors are on the CPU, where many take no room from the models.</summary>
/// <param name="Request">What to make.</param>
/// <param name="Conditioning">What the model will be told; the negative prompt's is there where the request is guided.</param>
internal sealed record ConditioningDraft(GenerationRequest Request, GuidedConditioning Conditioning) : IDisposable
{
    /// <summary>A draft without parts yet.</summary>
    public ConditioningDraft(GenerationRequest request)
        : this(request, new GuidedConditioning(new Models.Conditioning(), request.IsGuided ? new Models.Conditioning() : null))
    {
    }

    /// <inheritdoc/>
    public void Dispose() => Conditioning.Dispose();
}
