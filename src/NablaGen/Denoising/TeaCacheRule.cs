using NablaGen.Models;
using static TorchSharp.torch;

namespace NablaGen.Denoising;

/// <summary>
/// TeaCache: the relative change of the time's modulation from step to step, put through a polynomial fitted to the model and summed. The
/// first five steps and the last are computed. TeaCache4Wan2.1 (ali-vilab/TeaCache), with "ret steps".
/// </summary>
/// <param name="coefficients">The polynomial, the highest power first.</param>
/// <param name="run">What the passes share.</param>
public sealed class TeaCacheRule(IReadOnlyList<double> coefficients, StepCacheRun run) : IResidualRule
{
    private const int FirstSteps = 5;

    private Tensor? _before;
    private double _error;

    /// <inheritdoc/>
    public double? Estimate(EmbeddedStep embedded, double threshold)
    {
        using var scope = NewDisposeScope();
        var now = embedded.Modulation;
        var change = _before is null ? 0 : ((now - _before).abs().mean() / _before.abs().mean()).item<float>();
        _before?.Dispose();
        _before = now.clone().DetachFromDisposeScope();
        if (run.Step < FirstSteps || run.Step == run.Steps - 1)
        {
            _error = 0;
            return null;
        }

        _error += coefficients.Aggregate(0.0, (sum, coefficient) => sum * change + coefficient);
        if (_error < threshold)
        {
            return _error;
        }

        _error = 0;
        return null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _before?.Dispose();
        _before = null;
    }
}
