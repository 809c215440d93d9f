using NablaGen.Models;

namespace NablaGen.Memory;

/// <summary>One way to decode, and what it takes beside the weights.</summary>
/// <param name="Tiling">How it is cut up.</param>
/// <param name="Bytes">Memory at its peak.</param>
public sealed record VaeChoice(VaeTiling Tiling, long Bytes)
{
    /// <summary>What it is called on the screen.</summary>
    public string Name => Tiling.Height == 0 && Tiling.Width == 0 ? "whole frames" : $"tiles of {Tiling.Width}x{Tiling.Height}";
}
