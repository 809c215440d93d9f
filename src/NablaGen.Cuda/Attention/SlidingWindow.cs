namespace NablaGen.Cuda.Attention;

/// <summary>
/// The sliding tile attention (STA) part of a mask: block (t, h, w) keeps the key blocks with |Δt| ≤ <paramref name="ReachT"/>,
/// |Δh| ≤ <paramref name="ReachH"/>, |Δw| ≤ <paramref name="ReachW"/>, in blocks. For <c>sta-11-3-3</c> the reaches are 5, 1, 1.
/// </summary>
/// <param name="ReachT">Half the window in frames, rounded down.</param>
/// <param name="ReachH">Half its height.</param>
/// <param name="ReachW">Half its width.</param>
/// <param name="GridHeight">Height of a frame in blocks.</param>
/// <param name="GridWidth">Width of a frame in blocks.</param>
public readonly record struct SlidingWindow(int ReachT, int ReachH, int ReachW, int GridHeight, int GridWidth)
{
    /// <summary>Whether the query block keeps the key block, both numbered frame by frame and row by row.</summary>
    public bool Keeps(int query, int key)
    {
        var (qt, qh, qw) = Place(query);
        var (kt, kh, kw) = Place(key);
        return Math.Abs(qt - kt) <= ReachT && Math.Abs(qh - kh) <= ReachH && Math.Abs(qw - kw) <= ReachW;
    }

    private (int T, int H, int W) Place(int block) =>
        (block / (GridHeight * GridWidth), block / GridWidth % GridHeight, block % GridWidth);
}
