using static TorchSharp.torch;

namespace NablaGen.Attention;

/// <summary>
/// Asks an attention for its output as the product that follows reads it: E4M3 codes with a scale a row of all heads. An attention that cannot write
/// that gives numbers as always and leaves <see cref="RowScales"/> alone.
/// </summary>
public sealed class Fp8Output
{
    /// <summary>The rows' scales, once an attention's output is codes (bytes [B, H, L, D], in memory [B, L, H, D]); the caller's. float32 [B, L]</summary>
    public Tensor? RowScales { get; set; }
}
