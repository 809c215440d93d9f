using NablaGen.Models;

namespace NablaGen.Denoising;

/// <summary>The conditioning of the prompt and, with guidance, that of the negative prompt.</summary>
/// <param name="Prompt">What to show.</param>
/// <param name="Negative">What not to show; null without guidance.</param>
public sealed record GuidedConditioning(Conditioning Prompt, Conditioning? Negative) : IDisposable
{
    /// <summary>The same tensors, without a copy.</summary>
    public GuidedConditioning Alias() => new(Prompt.Alias(), Negative?.Alias());

    /// <summary>Several as one of a larger batch.</summary>
    /// <param name="all">All with a negative prompt, or all without.</param>
    public static GuidedConditioning Stack(IReadOnlyList<GuidedConditioning> all) => new(
        Conditioning.Stack([.. all.Select(one => one.Prompt)]),
        all[0].Negative is null ? null : Conditioning.Stack([.. all.Select(one => one.Negative!)]));

    /// <inheritdoc/>
    public void Dispose()
    {
        Prompt.Dispose();
        Negative?.Dispose();
    }
}
