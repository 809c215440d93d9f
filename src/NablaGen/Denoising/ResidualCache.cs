using NablaGen.Models;
using NablaGen.Tensors;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// Skips the layers of a step: what they added to the tokens at the last computed step is added again, then comes the head. Which steps
/// is a rule's.
/// </summary>
/// <param name="threshold">The error at which a step is computed.</param>
/// <param name="run">What the passes share.</param>
/// <param name="rule">Estimates a step's error.</param>
public sealed class ResidualCache(double threshold, StepCacheRun run, IResidualRule rule) : IStepCache
{
    private Tensor? _residual;

    /// <inheritdoc/>
    public Tensor Velocity(Tensor latents, TransformerPass pass)
    {
        using var scope = NewDisposeScope();
        var embedded = pass.Embed();
        if (run.Skips(() => _residual is null ? Computed(embedded) : rule.Estimate(embedded, threshold), threshold))
        {
            return pass.Head(embedded.Tokens.Plus(_residual!), embedded).MoveToOuterDisposeScope();
        }

        // The layers overwrite their input.
        var before = embedded.Tokens.clone();
        var tokens = pass.Layers(embedded);
        _residual?.Dispose();
        _residual = (tokens - before).DetachFromDisposeScope();
        before.Dispose();
        return pass.Head(tokens, embedded).MoveToOuterDisposeScope();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _residual?.Dispose();
        rule.Dispose();
        _residual = null;
    }

    // The rule sees the first step, too.
    private double? Computed(EmbeddedStep embedded)
    {
        _ = rule.Estimate(embedded, threshold);
        return null;
    }
}
