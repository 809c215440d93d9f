namespace NablaGen.Attention;

/// <summary>Is told what each attention kept: for the progress bar's density, statistics and tests.</summary>
public interface IAttentionObserver
{
    /// <summary>A layer attended to everything.</summary>
    void OnDense(AttentionSite site);

    /// <summary>A layer attended to the kept blocks only.</summary>
    void OnSparse(AttentionSite site, IKeptBlocks kept);
}
