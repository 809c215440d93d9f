using NablaGen.Models;

namespace NablaGen.Denoising;

/// <summary>
/// MagCache: how much the layers' contribution shrinks from step to step is known from a table of the model; the product of the ratios since
/// the last computed step says how far off the kept one is, and these errors are summed. The first fifth of the steps is computed.
/// MagCache4Wan2.1 (Zehong-Ma/MagCache); here both passes of a step are skipped together, by the larger error.
/// </summary>
/// <param name="tables">The ratios by step, of the pass with the prompt and of the one without; for another number of steps the nearest counts.</param>
/// <param name="most">The most steps that are skipped one after another.</param>
/// <param name="run">What the passes share.</param>
public sealed class MagCacheRule(IReadOnlyList<IReadOnlyList<double>> tables, int most, StepCacheRun run) : IResidualRule
{
    private readonly double[] _ratios = [.. tables.Select(_ => 1.0)];
    private readonly double[] _errors = new double[tables.Count];
    private int _skipped;

    /// <inheritdoc/>
    public double? Estimate(EmbeddedStep embedded, double threshold)
    {
        if (run.Step < run.Steps / 5)
        {
            return null;
        }

        for (var i = 0; i < tables.Count; i++)
        {
            _ratios[i] *= Nearest(tables[i]);
            _errors[i] += Math.Abs(1 - _ratios[i]);
        }

        var error = _errors.Max();
        if (error < threshold && ++_skipped <= most)
        {
            return error;
        }

        Array.Fill(_ratios, 1);
        Array.Clear(_errors);
        _skipped = 0;
        return null;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
    }

    private double Nearest(IReadOnlyList<double> table) => run.Steps == 1
        ? table[^1]
        : table[(int)Math.Round((double)run.Step * (table.Count - 1) / (run.Steps - 1))];
}
