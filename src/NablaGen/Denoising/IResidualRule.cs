using NablaGen.Models;

namespace NablaGen.Denoising;

/// <summary>Estimates what a step that skips its layers gets wrong.</summary>
public interface IResidualRule : IDisposable
{
    /// <summary>The estimate; null where the step must be computed. Called for each step of a run, in order.</summary>
    /// <param name="embedded">The step before its layers.</param>
    /// <param name="threshold">The error at which the step is computed: the rule then begins anew.</param>
    double? Estimate(EmbeddedStep embedded, double threshold);
}
