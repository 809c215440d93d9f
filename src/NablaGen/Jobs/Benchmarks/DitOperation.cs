namespace NablaGen.Jobs.Benchmarks;

/// <summary>One operation of a transformer block, timed alone.</summary>
/// <param name="Name">What it is.</param>
/// <param name="Calls">How often a whole pass runs it.</param>
/// <param name="Milliseconds">The median of one call.</param>
/// <param name="Floor">What one call would take at the device's own rate for its arithmetic or its memory, in milliseconds.</param>
/// <param name="Limit">What the floor counts: <c>products</c> or <c>memory</c>.</param>
public sealed record DitOperation(string Name, int Calls, double Milliseconds, double Floor, string Limit)
{
    /// <summary>Milliseconds in a whole pass.</summary>
    public double Total => Calls * Milliseconds;

    /// <summary>The floor of a whole pass, in milliseconds.</summary>
    public double TotalFloor => Calls * Floor;
}
