using NablaGen.Attention;

namespace NablaGen.Tests;

/// <summary>Keeps every mask that a model's layers made.</summary>
internal sealed class MaskRecorder : IAttentionObserver
{
    public List<(AttentionSite Site, BlockMask Mask)> Masks { get; } = [];

    public List<AttentionSite> Dense { get; } = [];

    public void OnDense(AttentionSite site) => Dense.Add(site);

    public void OnSparse(AttentionSite site, IKeptBlocks kept) => Masks.Add((site, (BlockMask)kept));
}
