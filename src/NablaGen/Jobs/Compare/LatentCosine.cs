using NablaGen.Attention;
using NablaGen.Denoising;
using static TorchSharp.torch;

namespace NablaGen.Jobs.Compare;

/// <summary>Compares a run's latents with another's, step by step: the cosine of the angle between them as vectors, 1 where they agree.</summary>
/// <param name="baseline">The other run, from the same noise and with as many steps.</param>
public sealed class LatentCosine(LatentTrajectory baseline) : ISamplingObserver
{
    private readonly List<double> _steps = [];

    /// <summary>The cosine after each step so far.</summary>
    public IReadOnlyList<double> Steps => _steps;

    /// <inheritdoc/>
    public void OnDense(AttentionSite site)
    {
    }

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept)
    {
    }

    /// <inheritdoc/>
    public void OnStep(int step, Tensor latents)
    {
        using var scope = NewDisposeScope();
        // In double: a float's rounding shows beside latents that hardly differ.
        var (a, b) = (baseline.Steps[step].to_type(ScalarType.Float64).flatten(), latents.to(ScalarType.Float64, CPU).flatten());
        _steps.Add((a.dot(b) / (a.norm() * b.norm())).item<double>());
    }
}
