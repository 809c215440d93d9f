using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>Keeps the first steps and the first layers of a sparse run dense.</summary>
/// <param name="dense">Used in the first steps and layers.</param>
/// <param name="sparse">Used in all others.</param>
/// <param name="denseSteps">Solver steps kept dense.</param>
/// <param name="denseLayers">Transformer blocks kept dense, in every step.</param>
public sealed class ScheduledAttention(IAttention dense, IAttention sparse, int denseSteps, int denseLayers) : IAttention
{
    /// <inheritdoc/>
    public bool TakesBlockMeans => sparse.TakesBlockMeans;

    /// <inheritdoc/>
    public Tensor Forward(Tensor q, Tensor k, Tensor v, BlockLayout layout, AttentionSite site, BlockMeans? means = null)
    {
        var chosen = site.Step < denseSteps || site.Layer < denseLayers ? dense : sparse;
        return chosen.Forward(q, k, v, layout, site, means);
    }

    /// <inheritdoc/>
    public bool Repeats => dense.Repeats && sparse.Repeats;

    /// <inheritdoc/>
    public void RepeatFirst(int step) => (step < denseSteps || denseLayers > 0 ? dense : sparse).RepeatFirst(step);

    /// <inheritdoc/>
    public void Dispose()
    {
        dense.Dispose();
        sparse.Dispose();
    }
}
