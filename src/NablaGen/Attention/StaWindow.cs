namespace NablaGen.Attention;

/// <summary>
/// A sliding tile attention (STA) window in blocks: a query block sees the key blocks at |Δt| ≤ Time/2, |Δh| ≤ Height/2 and
/// |Δw| ≤ Width/2 (integer halves, as in sta_nabla, wan/modules/attention.py).
/// </summary>
public readonly record struct StaWindow(int Time, int Height, int Width)
{
    /// <summary>The reference's spelling, such as <c>sta-11-3-3</c>.</summary>
    public override string ToString() => $"sta-{Time}-{Height}-{Width}";
}
