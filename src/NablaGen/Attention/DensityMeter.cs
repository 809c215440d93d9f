namespace NablaGen.Attention;

/// <summary>Averages what the attentions of a run kept; a dense layer counts as 1.</summary>
public sealed class DensityMeter : IAttentionObserver
{
    private readonly List<Lazy<KeptStatistics>> _pending = [];
    private double _sum;
    private int _count;

    /// <summary>
    /// The mean density over all layers, heads and steps so far; null before the first. On CUDA it waits for the device: read it once a
    /// step.
    /// </summary>
    public double? Mean
    {
        get
        {
            foreach (var statistics in _pending)
            {
                Add(statistics.Value.Density);
            }

            _pending.Clear();
            return _count == 0 ? null : _sum / _count;
        }
    }

    /// <inheritdoc/>
    public void OnDense(AttentionSite site) => Add(1);

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept) => _pending.Add(kept.Statistics);

    private void Add(double density)
    {
        _sum += density;
        _count++;
    }
}
