using NablaGen.Attention;

namespace NablaGen.Tests;

/// <summary>Keeps every mask that a model's layers made; a pass that repeats an attention has the mask of the pass before.</summary>
internal sealed class MaskRecorder : IAttentionObserver
{
    public List<(AttentionSite Site, BlockMask Mask)> Masks { get; } = [];

    public List<AttentionSite> Dense { get; } = [];

    public void OnDense(AttentionSite site) => Dense.Add(site);

    public void OnSparse(AttentionSite site, IKeptBlocks kept) => Masks.Add((site, kept as BlockMask ?? Masks.Last(one => one.Site == site).Mask));
}
