namespace NablaGen.Attention;

/// <summary>Averages what the attentions of a run kept; a dense layer counts as 1.</summary>
public sealed class DensityMeter : IAttentionObserver
{
    private double _sum;
    private int _count;

    /// <summary>The mean density over all layers, heads and steps so far; null before the first.</summary>
    public double? Mean => _count == 0 ? null : _sum / _count;

    /// <inheritdoc/>
    public void OnDense(AttentionSite site) => Add(1);

    /// <inheritdoc/>
    public void OnSparse(AttentionSite site, IKeptBlocks kept) => Add(kept.Density);

    private void Add(double density)
    {
        _sum += density;
        _count++;
    }
}
