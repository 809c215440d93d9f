using NablaGen.Attention;
using static TorchSharp.torch;
using static TorchSharp.torch.nn.functional;

namespace NablaGen.Jobs.Calibration;

/// <summary>
/// Dense attention that on request measures what NABLA would keep and lose at each of some thresholds, or is NABLA itself in one layer.
/// </summary>
/// <param name="backend">Computes the sparse attentions.</param>
/// <param name="grams">Weigh a head's error.</param>
/// <param name="thresholds">What is measured, ascending.</param>
internal sealed class MeasuringAttention(IBlockSparseBackend backend, OutputGrams grams, IReadOnlyList<double> thresholds) : IAttention
{
    /// <summary>Takes the measurements of the passes to come; null to measure nothing.</summary>
    public StepMeasurement? Measurement { get; set; }

    /// <summary>The one layer that is sparse, and its threshold; null for none.</summary>
    public (int Layer, double Threshold)? Sparse { get; set; }

    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null)
    {
        if (Sparse is { } sparse && sparse.Layer == site.Layer)
        {
            return backend.Forward(q, k, v, layout, AttentionExpression.Nabla(sparse.Threshold), out _);
        }

        var dense = scaled_dot_product_attention(q, k, v);
        if (Measurement is { } measurement)
        {
            Measure(measurement, q, k, v, dense, layout, site.Layer);
        }

        return dense;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        backend.Dispose();
        grams.Dispose();
    }

    private void Measure(StepMeasurement measurement, Tensor q, Tensor k, Tensor v, Tensor dense, BlockLayout layout, int layer)
    {
        using var scope = NewDisposeScope();
        var squares = new List<Tensor> { grams.Squares(layer, dense) };
        var kept = new List<Lazy<KeptStatistics>>();
        foreach (var threshold in thresholds)
        {
            using var inner = NewDisposeScope();
            var output = backend.Forward(q, k, v, layout, AttentionExpression.Nabla(threshold), out var blocks);
            kept.Add(blocks.Statistics);
            squares.Add(grams.Squares(layer, output - dense).MoveToOuterDisposeScope());
        }

        // Read once, so that a GPU is not waited for at each threshold.
        var read = stack(squares).cpu().data<float>().ToArray();
        var heads = (int)dense.shape[1];
        measurement.Add(layer, read[..heads], [.. Enumerable.Range(1, thresholds.Count).Select(i => read[(i * heads)..((i + 1) * heads)])],
            [.. kept.Select(one => one.Value.HeadDensities)]);
    }
}
